"""The results of one image with a number each: the value of their pixels, and their row in the table of objects."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.exports.rasterize import Raster, pixels_of
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind

PLURALS = {ObjectKind.NUCLEUS: "nuclei", ObjectKind.CELL: "cells", ObjectKind.GLAND: "glands"}
"""What pictures of the objects of one kind are called."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An object and its number, from 1, of which no other object of the image has the same."""

    number: int
    instance: Instance


class Layer:
    """The objects of one kind. They do not overlap, so that one picture holds them; those of other kinds may."""

    def __init__(self, kind: ObjectKind, objects: Sequence[Numbered]) -> None:
        self.kind = kind
        self.objects = objects
        self._tree = shapely.STRtree([one.instance.polygon for one in objects])

    @property
    def name(self) -> str:
        """What a picture of them is called."""
        return PLURALS[self.kind]

    def near(self, raster: Raster) -> list[Numbered]:
        """Return the objects whose bounding box meets a raster, by number."""
        return [self.objects[index] for index in np.sort(self._tree.query(shapely.box(*raster.bounds))).tolist()]

    def painted(self, raster: Raster) -> NDArray[np.uint32] | None:
        """Return the number of the object that has each pixel, 0 where none has it; None where all are 0."""
        found = [(one.number, pixels_of(one.instance.polygon, raster)) for one in self.near(raster)]
        drawn = [(number, pixels) for number, pixels in found if pixels is not None]
        if not drawn:
            return None
        labels = np.zeros(raster.window.shape, np.uint32)
        for number, (place, mask) in drawn:
            labels[place][mask] = number
        return labels


def layers_of(instances: Iterable[Instance]) -> list[Layer]:
    """Return the objects kind by kind, numbered in the order of their prompts' ids."""
    by_kind: dict[ObjectKind, list[Numbered]] = {}
    for number, one in enumerate(sorted(instances, key=lambda one: one.prompt_id), start=1):
        by_kind.setdefault(one.kind, []).append(Numbered(number, one))
    return [Layer(kind, by_kind[kind]) for kind in sorted(by_kind)]


def all_objects(layers: Iterable[Layer]) -> list[Numbered]:
    """Return the objects of all layers by number."""
    return sorted((one for layer in layers for one in layer.objects), key=lambda one: one.number)
