"""The objects of a slide as conversion between formats sees them: shapes with their class, id and name.

The reader of one format makes them and the writer of another takes them; each says what it cannot hold.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import shapely

from nuclick_wsi.formats.colors import Color
from nuclick_wsi.geometry import Point
from nuclick_wsi.json_values import encodable
from nuclick_wsi.prompts import Plane

Lost: TypeAlias = Counter[str]
"""What a format cannot hold, in words, and how often it was there."""

WITHOUT_SHAPE = "objects without a shape"

_PLANE = Plane()


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One object.

    Attributes
    ----------
    geometry
        Points, lines or polygons with holes, several of one kind where it is a Multi-, in slide pixels (level 0) of
        the frame of the program that it comes from.
    id
        A UUID; of a result, that of its prompt.
    is_result
        Whether a run made it.
    measurements
        Names of what was measured of it.
    """

    geometry: shapely.Geometry
    id: str | None = None
    name: str | None = None
    class_name: str | None = None
    is_result: bool = False
    plane: Plane = _PLANE
    measurements: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("id", "name", "class_name"):
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, encodable(text))


@dataclass(frozen=True, slots=True)
class Features:
    """All objects of one image, with the colours of their classes, and what was lost on the way here."""

    features: Sequence[Feature]
    class_colors: Mapping[str, Color] = field(default_factory=dict)
    lost: Lost = field(default_factory=Counter)

    def shifted(self, by: Point) -> "Features":
        """Return the same in a frame in which everything lies further right and down."""
        moved = [
            replace(one, geometry=shapely.transform(one.geometry, lambda xy: xy + np.array((by.x, by.y))))
            for one in self.features
        ]
        return replace(self, features=moved)


@dataclass(frozen=True, slots=True)
class Converted:
    """A file's content that a writer made of objects, and what is really in it.

    Attributes
    ----------
    objects, results
        How many of the objects are in it, and how many of these a run made.
    annotations
        How many entries of the format they became.
    """

    content: bytes
    objects: int
    results: int
    annotations: int
    lost: Lost

    def __str__(self) -> str:
        """Return the counts in words."""
        entries = f" as {_counted(self.annotations, 'annotation')}" if self.annotations != self.objects else ""
        return f"{_counted(self.objects, 'object')}{entries}, {self.results} of them results"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
