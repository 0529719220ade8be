"""What the metadata of an OME-Zarr picture say (0.4 and 0.5): its levels, axes and pixel size, or why it is refused.

As with TIFF files, what is read is one brightfield picture of 8 bits: grey, or red, green and blue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nuclick_wsi.errors import SlideError
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers.source import number_of
from nuclick_wsi.slides.readers.tiff_description import microns_of

_RGB = ("ff0000", "00ff00", "0000ff")
_NAMES = {"z": "z-slices", "t": "time points"}


@dataclass(frozen=True, slots=True)
class ZarrPicture:
    """A pyramid in a group.

    Attributes
    ----------
    paths
        Of the levels' arrays in the group, finest first.
    axes
        Their names in the arrays' order.
    pixel_size
        Of the finest level.
    """

    paths: tuple[str, ...]
    axes: str
    pixel_size: PixelSize | None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "ZarrPicture":
        """Return the picture that a group's attributes describe.

        Raises
        ------
        SlideError
            If they describe none, or one that is no brightfield picture; with the reason alone.
        """
        ome = attributes.get("ome", attributes)
        try:
            multiscale = ome["multiscales"][0]
            datasets = list(multiscale["datasets"])
            axes = "".join(axis if isinstance(axis, str) else axis["name"] for axis in multiscale["axes"])
            paths = tuple(str(one["path"]) for one in datasets)
            size = _pixel_size(multiscale, datasets[0])
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise SlideError(f"its metadata are not those of an OME-Zarr picture ({error!r})") from error
        if "image-label" in ome:
            raise SlideError("holds labels, and pictures are read: name the picture that they belong to")
        if axes[-2:] != "yx" or len(set(axes)) < len(axes) or not set(axes) <= set("tczyx"):
            raise SlideError(f"has the axes {axes}; those of a picture are t, c, z, y, x in this order")
        _require_colours(ome)
        return cls(paths, axes, size)

    def planes(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Return remarks on the planes that are not read; refuse channels that are no colours.

        Parameters
        ----------
        shape
            Of the finest level.

        Raises
        ------
        SlideError
            If the channels are neither one, grey, nor three.
        """
        counts = dict(zip(self.axes, shape, strict=True))
        if (channels := counts.get("c", 1)) not in (1, 3):
            raise SlideError(
                f"holds {channels} channels, as fluorescence does; brightfield pictures are read, which are RGB"
            )
        more = [f"{counts[axis]} {name}" for axis, name in _NAMES.items() if counts.get(axis, 1) > 1]
        if not more:
            return ()
        return (f"the file holds {' and '.join(more)}, of which the first is read; marks on others get no outline",)


def _require_colours(ome: Mapping[str, Any]) -> None:
    """Refuse three channels that are shown in other colours than red, green and blue."""
    omero = ome.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list) or len(channels) != len(_RGB):
        return
    colors = tuple(str(one.get("color", "")).lower() for one in channels if isinstance(one, dict))
    if all(colors) and colors != _RGB:
        raise SlideError(
            f"holds three channels in the colours {', '.join(colors)}, as fluorescence does; brightfield pictures are "
            "read, whose channels are red, green and blue"
        )


def _pixel_size(multiscale: Mapping[str, Any], finest: Mapping[str, Any]) -> PixelSize | None:
    """Return the size of a pixel of the finest level; None where no unit of length is said."""
    units = [axis.get("unit") if isinstance(axis, dict) else None for axis in multiscale["axes"][-2:]]
    microns = [microns_of(unit) if isinstance(unit, str) and unit else None for unit in units]
    scales = [_scale(one.get("coordinateTransformations", ())) for one in (finest, multiscale)]
    sides = []
    for axis, unit in zip((-2, -1), microns, strict=True):
        side = number_of(scales[0][axis] * (scales[1][axis] if scales[1] else 1)) if scales[0] else None
        if unit is None or side is None:
            return None
        sides.append(side * unit)
    height, width = sides
    return PixelSize(width, height)


def _scale(transformations: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return the factors of the first scale among transformations; none where there is none."""
    return next(([float(part) for part in one["scale"]] for one in transformations if one["type"] == "scale"), [])
