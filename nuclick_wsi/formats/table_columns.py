"""Which column of a table holds what: positions in pixels or microns, class, plane, slide, and QuPath's own columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CLASS_NAMES = ("class", "classification", "class_name")
_SLIDE_NAMES = ("slide", "image")
_COLOR_NAMES = ("color", "colorrgb")
_OTHERS = {"roi": "roi", "object type": "object_type", "num points": "num_points"}
"""Of QuPath's tables of measurements."""

_POSITION = re.compile(r"(centroid )?([xy])[ _]*(?:[\[(] *)?(\S*?)(?: *[\])])?")
_LONGEST_NAME = 100
"""Characters; the time to look for a pattern grows with their square."""
_PIXELS = ("px", "pixel", "pixels")
_IN_MICRONS = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometers", "âµm", "\ufffdm"), 1.0),
    "nm": 1e-3,
    "mm": 1e3,
}
"""Of units as they are spelled, the micro sign also as programs write it that misread the file."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the columns in a row, by what they hold.

    Attributes
    ----------
    unit
        Microns for each unit of the positions; None where they are slide pixels.
    """

    places: Mapping[str, int]
    unit: float | None = None

    def cell(self, row: Sequence[str], name: str) -> str:
        """Return what a row holds under a name; empty where it holds nothing."""
        place = self.places.get(name)
        return row[place].strip() if place is not None and place < len(row) else ""


def columns_of(head: Sequence[str]) -> Columns | None:
    """Return the columns that a header names; None where it names no x and y."""
    names = [" ".join(cell.lower().split()) for cell in head]
    positions, unit = _positions(names)
    if positions is None:
        return None
    places = {name: place for place, name in reversed(list(enumerate(names))) if name in ("c", "z", "t")}
    for what, accepted in (("class", _CLASS_NAMES), ("slide", _SLIDE_NAMES), ("color", _COLOR_NAMES)):
        place = next((names.index(name) for name in accepted if name in names), None)
        if place is not None:
            places[what] = place
    places |= {what: names.index(name) for name, what in _OTHERS.items() if name in names}
    return Columns({**places, **positions}, unit)


def _positions(names: Sequence[str]) -> tuple[dict[str, int] | None, float | None]:
    """Return where x and y are, and their unit; pixels are preferred, and both must be in one unit."""
    found: dict[float | None, dict[str, int]] = {}
    for place, name in enumerate(names):
        parts = _POSITION.fullmatch(name) if len(name) <= _LONGEST_NAME else None
        if parts is None:
            continue
        is_centroid, axis, unit = parts.groups()
        if unit in _PIXELS or (not unit and not is_centroid):
            found.setdefault(None, {}).setdefault(axis, place)
        elif unit in _IN_MICRONS:
            found.setdefault(_IN_MICRONS[unit], {}).setdefault(axis, place)
    whole = {unit: axes for unit, axes in found.items() if len(axes) == 2}
    if not whole:
        return None, None
    unit = None if None in whole else next(iter(whole))
    return whole[unit], unit
