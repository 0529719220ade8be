"""What OME-Zarr says of label images, in its versions 0.5 and 0.4 (https://ngff.openmicroscopy.org)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nuclick_wsi.choices import LabelsVersion
from nuclick_wsi.exports.numbered import Layer
from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.scale import PixelSize

MOST_DESCRIBED = 50_000
"""Objects of a layer that its metadata name one by one: viewers read all of it to show anything."""


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The levels of a picture: slide pixels per pixel of each, finest first, and the size of a slide pixel."""

    downsamples: Sequence[int]
    pixel_size: PixelSize


def group_attributes(version: LabelsVersion, content: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a group: since 0.5 the content lies under `ome` with its version."""
    return {"ome": {"version": version.value, **content}} if version is LabelsVersion.V05 else content


def label_image(layer: Layer, pyramid: Pyramid, version: LabelsVersion, colors: Mapping[str, Color]) -> dict[str, Any]:
    """Return what is said of one picture of labels: its levels, and what the numbers mean."""
    own = {} if version is LabelsVersion.V05 else {"version": version.value}
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    datasets = [
        {"path": str(level), "coordinateTransformations": list(_transformations(pyramid, downsample))}
        for level, downsample in enumerate(pyramid.downsamples)
    ]
    multiscale = {**own, "name": layer.name, "axes": axes, "datasets": datasets, "type": "middle of the pixel"}
    return {"multiscales": [multiscale], "image-label": {**own, **_described(layer, colors)}}


def _transformations(pyramid: Pyramid, downsample: int) -> Iterable[dict[str, Any]]:
    """Yield how a level's pixels become microns. Positions are of pixels' middles, which move with the pixel's size."""
    sides = pyramid.pixel_size.y_um, pyramid.pixel_size.x_um
    yield {"type": "scale", "scale": [side * downsample for side in sides]}
    if downsample > 1:
        yield {"type": "translation", "translation": [side * (downsample - 1) / 2 for side in sides]}


def _described(layer: Layer, colors: Mapping[str, Color]) -> dict[str, Any]:
    """Return class and prompt of each number, and the colours of those that have a class."""
    if len(layer.objects) > MOST_DESCRIBED:
        return {}
    properties = [
        {"label-value": one.number, "class": one.instance.class_name or "", "prompt": one.instance.prompt_id}
        for one in layer.objects
    ]
    coloured = [
        {"label-value": one.number, "rgba": [*(colors.get(name) or color_of(name)), 255]}
        for one in layer.objects
        if (name := one.instance.class_name)
    ]
    return {"properties": properties, **({"colors": coloured} if coloured else {})}
