"""How QuPath opens the slide of an image: its "server builder", and what it knows of the slide.

Both are read from the JSON of the project and of data/<id>/server.json. An image that is not the plain slide, such as
a rotated one, is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.geometry import Size
from nuclick_wsi.json_values import Json, list_at, object_at, text_at
from nuclick_wsi.scale import PixelSize
from qupath_extension.json_files import read_json
from qupath_extension.uris import path_of_uri

_EIGHT_BITS = "UINT8"

# Both micro signs: QuPath writes U+00B5, other writers of the same JSON have used the Greek letter.
_MICRONS = ("\u00b5m", "\u03bcm", "um")


@dataclass(frozen=True, slots=True)
class Server:
    """The slide of an image, as QuPath knows it.

    Attributes
    ----------
    uri
        Where the slide is; empty where the builder names no single one.
    provider
        The class that opens it, such as "qupath.lib.images.servers.openslide.OpenslideServerBuilder".
    args
        Its arguments, such as "--series", "0" or "--no-crop".
    size
        In slide pixels (level 0); after QuPath's cropping, where it crops.
    z_count, t_count
        Number of z-slices and of time points.
    refusal
        Why positions on this image are not positions on the slide, and what to do; None where they are.
    """

    uri: str
    provider: str | None
    args: tuple[str, ...]
    name: str | None
    size: Size | None
    pixel_size: PixelSize | None
    z_count: int
    t_count: int
    refusal: str | None

    @property
    def crops_to_bounds(self) -> bool:
        """Whether x = 0 is the left edge of OpenSlide's bounds, as QuPath's OpenSlide does unless told otherwise."""
        return "openslide" in (self.provider or "").lower() and "--no-crop" not in self.args


def read_server(builder: Json, server_file: Path | None = None) -> Server:
    """Return the server that a builder describes; server.json fills in what the project does not say.

    Raises
    ------
    ProjectError
        server.json is needed and damaged.
    """
    metadata = object_at(builder, "metadata")
    if not metadata and server_file is not None and server_file.exists():
        metadata = object_at(read_json(server_file), "metadata")
    uri = text_at(_plain_builder(builder), "uri") or ""
    arguments = tuple(str(arg) for arg in list_at(builder, "args"))
    return Server(
        uri=uri,
        provider=text_at(_plain_builder(builder), "providerClassName"),
        args=arguments,
        name=text_at(metadata, "name"),
        size=_size(metadata),
        pixel_size=_pixel_size(object_at(metadata, "pixelCalibration")),
        z_count=_count(metadata, "sizeZ") or 1,
        t_count=_count(metadata, "sizeT") or 1,
        refusal=_refusal(builder, uri, _series(arguments)) or _no_brightfield(metadata),
    )


def _chain(builder: Json) -> Iterator[Json]:
    """Yield a builder, and the ones that it wraps."""
    one = builder
    while one:
        yield one
        one = object_at(one, "builder")


def _plain_builder(builder: Json) -> Json:
    return list(_chain(builder))[-1] if builder else {}


def _refusal(builder: Json, uri: str, series: int) -> str | None:
    kinds = [text_at(one, "builderType") or "unnamed" for one in _chain(builder)]
    if not kinds:
        return "the project does not say how to open it; open the image in QuPath and save the project"
    if kinds != ["uri"]:
        rotation = text_at(builder, "rotation")
        seen = f"{kinds[0]} ({rotation})" if rotation else kinds[0]
        return (
            f"QuPath shows a {seen} version of the slide, so positions on it are not positions on the slide; add the "
            "plain slide to the project and draw there"
        )
    if not uri:
        return "the project names no slide for it; add the slide to the project again"
    if series:
        return (
            f"it is image number {series} of its file, and only the first can be read; export it to a file of its own"
        )
    if path_of_uri(uri) is None:
        return f"{uri} is not a file; download the slide and add the file to the project"
    return None


def _no_brightfield(metadata: Json) -> str | None:
    """Return why pixels are none of a brightfield picture, as QuPath knows them; None where they are, or not known."""
    if metadata.get("isRGB") is not False:
        return None
    channels, pixels = metadata.get("channels"), text_at(metadata, "pixelType") or _EIGHT_BITS
    count = len(channels) if isinstance(channels, list) else 1
    if count == 1 and pixels.upper() == _EIGHT_BITS:
        return None
    return (
        f"QuPath shows {count} channel{'' if count == 1 else 's'} of type {pixels}, as of fluorescence, and "
        "brightfield pictures are read, which are RGB of 8 bits; where it is one, export it as RGB and draw there"
    )


def _series(args: tuple[str, ...]) -> int:
    """Return which image of a file with several Bio-Formats shows."""
    position = args.index("--series") + 1 if "--series" in args else len(args)
    value = args[position] if position < len(args) else "0"
    return int(value) if value.isdecimal() else 0


def _count(metadata: Json, key: str) -> int | None:
    value = metadata.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _size(metadata: Json) -> Size | None:
    width, height = _count(metadata, "width"), _count(metadata, "height")
    return Size(width, height) if width and height else None


def _pixel_size(calibration: Json) -> PixelSize | None:
    lengths = []
    for side in (object_at(calibration, "pixelWidth"), object_at(calibration, "pixelHeight")):
        value = side.get("value")
        if text_at(side, "unit") not in _MICRONS or not isinstance(value, int | float):
            return None
        lengths.append(value)
    try:
        return PixelSize(*map(float, lengths))
    except (ValueError, OverflowError):  # zero, negative or infinite: as good as none
        return None
