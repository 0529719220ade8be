"""Results as OME-Zarr: a pyramid of labels for each kind of object, written region by region, and their table.

Every level is painted from the outlines by the same rule, so a coarse level has no number that no object has, and
needs no finer one to be read. Regions without objects are not stored.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nuclick_wsi.choices import LabelsVersion
from nuclick_wsi.exports.numbered import Layer
from nuclick_wsi.exports.ome_metadata import Pyramid, group_attributes, label_image
from nuclick_wsi.exports.rasterize import Raster
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window

TABLE = Path("tables", "objects.csv")
"""Where the table of objects is in a store."""

_CHUNK = 512
"""Side in pixels of what a viewer reads at once."""
_REGION = 4096
"""Side in pixels of what is painted at once; in zarr 3 also of one file: 64 MiB of memory, most of it never stored."""
_COARSEST = 512
"""No side of the coarsest level is longer."""


def downsamples_of(size: Size) -> list[int]:
    """Return slide pixels per pixel of each level: powers of two, until the slide is a thumbnail."""
    steps = max(0, math.ceil(math.log2(max(size.width, size.height) / _COARSEST)))
    return [2**step for step in range(steps + 1)]


class LabelStore:
    """A store of label images that is being written into an empty folder."""

    def __init__(self, folder: Path, size: Size, pyramid: Pyramid, version: LabelsVersion) -> None:
        import zarr  # noqa: PLC0415  (a second, for those who want labels)

        self._folder, self._size, self._pyramid, self._version = folder, size, pyramid, version
        self._root = zarr.open_group(folder, mode="w", zarr_format=3 if version is LabelsVersion.V05 else 2)
        self._root.attrs.update(group_attributes(version, {}))

    def write(self, layers: list[Layer], colors: Mapping[str, Color], table: bytes) -> None:
        """Write all layers, and the table of their objects."""
        labels = self._root.create_group("labels")
        labels.attrs.update(group_attributes(self._version, {"labels": [layer.name for layer in layers]}))
        for layer in layers:
            group = labels.create_group(layer.name)
            group.attrs.update(
                group_attributes(self._version, label_image(layer, self._pyramid, self._version, colors))
            )
            for level, downsample in enumerate(self._pyramid.downsamples):
                self._paint(group, str(level), layer, downsample)
        (self._folder / TABLE).parent.mkdir()
        (self._folder / TABLE).write_bytes(table)

    def _paint(self, group: Any, name: str, layer: Layer, downsample: int) -> None:
        full = Window(0, 0, *(-(-side // downsample) for side in (self._size.width, self._size.height)))
        array = self._array(group, name, full)
        for region in _regions(full):
            painted = layer.painted(Raster(region, downsample))
            if painted is not None:
                array[region.slices_in(full)] = painted

    def _array(self, group: Any, name: str, full: Window) -> Any:
        if self._version is LabelsVersion.V04:
            return group.create_array(
                name,
                shape=full.shape,
                chunks=(_CHUNK, _CHUNK),
                dtype="uint32",
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
        return group.create_array(
            name,
            shape=full.shape,
            chunks=(_CHUNK, _CHUNK),
            shards=tuple(min(_REGION, -(-side // _CHUNK) * _CHUNK) for side in full.shape),
            dtype="uint32",
            dimension_names=("y", "x"),
        )


def _regions(full: Window) -> Iterator[Window]:
    for top in range(0, full.height, _REGION):
        for left in range(0, full.width, _REGION):
            region = Window(left, top, _REGION, _REGION).intersection(full)
            assert region is not None, "it begins inside"
            yield region
