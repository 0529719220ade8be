"""What an ASAP file holds, as values: annotations of seven types, and the groups that they are in.

Positions are slide pixels (level 0) of the whole slide, as single-precision numbers: ASAP keeps no others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

DEFAULT_COLOR = "#F4FA58"
"""What ASAP gives to a new annotation."""
DEFAULT_GROUP_COLOR = "#64FE2E"
UNGROUPED = "None"
"""What ASAP writes where there is no group; it can therefore be no group's name."""

Rgb = tuple[int, int, int]
Points = NDArray[np.float32]

_COLOR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


class AnnotationType(StrEnum):
    """ASAP's types, in the exact words of its files."""

    NONE = "None"
    DOT = "Dot"
    POLYGON = "Polygon"
    SPLINE = "Spline"
    POINT_SET = "PointSet"
    MEASUREMENT = "Measurement"
    RECTANGLE = "Rectangle"


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """One annotation.

    Attributes
    ----------
    points
        Shape (n, 2), columns x and y, in the file's `Order`; polygons are not closed.
    group
        The name of its group; None where it is in none.
    """

    name: str
    type: AnnotationType
    points: Points
    group: str | None = None
    color: str = DEFAULT_COLOR


@dataclass(frozen=True, slots=True)
class Group:
    """A group of annotations, perhaps inside another; its attributes are all that survives when ASAP saves."""

    name: str
    parent: str | None = None
    color: str = DEFAULT_GROUP_COLOR
    attributes: Mapping[str, str] = field(default_factory=dict)


def rgb_of(color: str) -> Rgb | None:
    """Return what `#RRGGBB` means; None for a colour that is written in another way."""
    found = _COLOR.fullmatch(color)
    return None if found is None else (int(found[1], 16), int(found[2], 16), int(found[3], 16))


def color_text(rgb: Rgb) -> str:
    """Return a colour as ASAP writes it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)
