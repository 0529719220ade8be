"""JPEG tiles of a TIFF that are damaged inside: libjpeg decodes them to wrong pixels and warns, and readers drop that.

Each tile is looked at once, when something that touches it is read. Tiles of other compressions are not: Deflate, LZW
and WebP fail by themselves where they are damaged, and JPEG 2000 does not notice.
"""

from pathlib import Path

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.readers.jpeg_pictures import JpegPicture, damage_in, damaged, jpeg_decoder, jpeg_pictures

_COARSEST = 8
"""libjpeg may compute an eighth of each side: it reads all of a tile's bytes all the same."""


class TileCheck:
    """Looks at the JPEG tiles of one file; several threads may ask at the same time."""

    def __init__(self, path: Path) -> None:
        self._decoder = jpeg_decoder()
        self._pictures = jpeg_pictures(path) if self._decoder is not None else {}
        self._faults: dict[tuple[Size, int], str | None] = {}

    def require_whole(self, size: Size, window: Window) -> None:
        """Refuse a window of the level of a size where a tile under it is damaged.

        Raises
        ------
        SlideError
            With what libjpeg says of it.
        """
        picture = self._pictures.get(size)
        if picture is None:
            return
        for number, place in picture.tiles_in(window):
            if (size, number) not in self._faults:
                self._faults[size, number] = self._fault_of(picture, number)
            if (fault := self._faults[size, number]) is not None:
                raise SlideError(damaged(place, fault))

    def _fault_of(self, picture: JpegPicture, number: int) -> str | None:
        """Return what libjpeg says of a damaged tile; None of others, some of which readers refuse by themselves."""
        assert self._decoder is not None, "without a decoder there are no pictures"
        jpeg = picture.jpeg(number)
        if jpeg is None:
            return None
        try:
            self._decoder.decode_jpeg(jpeg, min_height=1, min_width=1, min_factor=_COARSEST, strict=True)
        except ValueError as error:
            return damage_in(error)
        return None
