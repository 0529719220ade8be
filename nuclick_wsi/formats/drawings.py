"""The one rule that turns drawings into prompts, the same for every kind of file.

Readers of projects and of GeoJSON or CSV files make drawings; the command line and the engine take the prompt set.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.formats.colors import Color
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import PromptSet, Reason, Rejection
from nuclick_wsi.json_values import encodable
from nuclick_wsi.prompts import (
    Click,
    ObjectChoice,
    ObjectKind,
    Plane,
    Prompt,
    Role,
    Squiggle,
    id_beside,
    prompt_id,
    stroke_length,
    unusable_id,
)

_DEFAULT_PLANE = Plane()

Parts: TypeAlias = tuple[NDArray[np.float64], ...]
Kinds: TypeAlias = tuple[ObjectKind, ...]


class Mark(StrEnum):
    """What was drawn: each point is a prompt of its own; all lines of one drawing are one prompt."""

    POINTS = "points"
    LINES = "lines"


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One annotation of points or of lines, as it was read and before anything is checked.

    Attributes
    ----------
    parts
        Positions in slide pixels (level 0), float64 of shape (n, 2), columns x and y: one array of all points, or
        one array a line.
    source
        The id of the object in QuPath; None where the file gives none.
    label
        What a message calls it: its name, or its place in the file.
    is_beside
        Whether it is known to be there, and nothing is asked of it.
    role
        What its prompts are. A class of which a part starts with "Ignore", as QuPath's `Ignore*`, wants no outlines.
    """

    mark: Mark
    parts: Parts
    label: str
    source: str | None = None
    class_name: str | None = None
    plane: Plane = _DEFAULT_PLANE
    is_beside: bool = False
    role: Role = field(init=False)

    def __post_init__(self) -> None:
        if self.class_name is not None:
            whole = encodable(self.class_name)
            if whole != self.class_name:  # else all drawings of a class go on sharing its name
                object.__setattr__(self, "class_name", whole)
        wanted = Role.NEIGHBOUR if self.is_beside else Role.SEGMENT
        is_ignored = any(part.strip().startswith("Ignore") for part in (self.class_name or "").split(":"))
        object.__setattr__(self, "role", Role.EXCLUDE_ONLY if is_ignored else wanted)

    @property
    def origin(self) -> str:
        """What its prompts' ids start from: the object's id, else class and plane, so that order does not matter."""
        if self.source is not None:
            return self.source
        return f"{self.class_name or ''}|{self.plane.c} {self.plane.z} {self.plane.t}"


@dataclass(frozen=True, slots=True)
class Found:
    """The drawings of a file, how many other things it holds, by what they are, and the colours of classes."""

    drawings: Sequence[Drawing]
    left_alone: Counter[str] = field(default_factory=Counter)
    class_colors: Mapping[str, Color] = field(default_factory=dict)

    def __add__(self, other: "Found") -> "Found":
        return Found(
            (*self.drawings, *other.drawings),
            self.left_alone + other.left_alone,
            {**other.class_colors, **self.class_colors},
        )

    def prompts(self, choice: ObjectChoice) -> PromptSet:
        """Return the prompts that the drawings ask for."""
        return replace(prompts_of_drawings(self.drawings, choice, self.left_alone), class_colors=self.class_colors)


def marks_of(leaves: Iterable[tuple[str, NDArray[np.float64]]]) -> tuple[Mark, Parts] | None:
    """Return what the single parts of a geometry amount to, or None where they are a region or a mixture.

    Parameters
    ----------
    leaves
        Type ("Point", "LineString", "Polygon") and positions, shape (n, 2), of every part; several parts where the
        geometry is a Multi- or a collection.
    """
    pairs = list(leaves)
    types = {kind for kind, _ in pairs}
    positions = tuple(part for _, part in pairs)
    if types == {"Point"}:
        return Mark.POINTS, (np.concatenate(positions),)
    return (Mark.LINES, positions) if types == {"LineString"} else None


def prompts_of_drawings(
    drawings: Iterable[Drawing], choice: ObjectChoice, left_alone: Mapping[str, int] | None = None
) -> PromptSet:
    """Return the prompts that drawings ask for.

    Every point of a drawing of points is a click, and a drawing of lines is one squiggle, of the kinds that
    `choice` names; of two kinds, it is two prompts. What is to be ignored is so by all kinds that are asked for. What
    cannot be a prompt is rejected by name, what was not asked for is counted.

    Parameters
    ----------
    left_alone
        What the reader itself has left alone, by what it is; the result counts it too.
    """
    prompts: list[Prompt] = []
    rejections: list[Rejection] = []
    others = Counter(left_alone or {})
    ids = _Ids()
    for drawing in drawings:
        kinds = _kinds(drawing, choice)
        if not kinds:
            others[f"{drawing.mark}: not asked for"] += 0 if drawing.is_beside else _size(drawing)
            continue
        found, refused = (_clicks if drawing.mark is Mark.POINTS else _squiggle)(drawing, kinds, ids)
        prompts += found
        if drawing.is_beside:
            continue
        if drawing.role is Role.SEGMENT:
            rejections += refused
        elif refused:
            others["to be ignored, but unusable"] += len(refused)
    return PromptSet(tuple(prompts), tuple(rejections), {what: n for what, n in others.items() if n})


def _kinds(drawing: Drawing, choice: ObjectChoice) -> Kinds:
    """Return the kinds that a drawing counts for."""
    if drawing.role is Role.EXCLUDE_ONLY:
        return choice.kinds
    if drawing.mark is Mark.POINTS:
        return choice.of_points
    # Beside clicks, lines are what glands were drawn with, unless one was asked for as a nucleus or a cell.
    return tuple(kind for kind in choice.of_lines if kind is ObjectKind.GLAND or not drawing.is_beside)


class _Ids:
    """Ids that differ even for equal drawings of one source."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def prompt(self, origin: str, signal: Click | Squiggle) -> str:
        return self._next(lambda repeat: prompt_id(origin, signal, repeat))

    def unusable(self, origin: str, drawn: str) -> str:
        return self._next(lambda repeat: unusable_id(origin, drawn, repeat))

    def _next(self, make: Callable[[int], str]) -> str:
        first = make(0)
        repeat = self._seen[first]
        self._seen[first] += 1
        return make(repeat) if repeat else first


def _size(drawing: Drawing) -> int:
    return sum(len(part) for part in drawing.parts) if drawing.mark is Mark.POINTS else 1


def _clicks(drawing: Drawing, kinds: Kinds, ids: _Ids) -> tuple[list[Prompt], list[Rejection]]:
    found: list[Prompt] = []
    refused: list[Rejection] = []
    for x, y in (position for part in drawing.parts for position in part.tolist()):
        if math.isfinite(x) and math.isfinite(y):
            found += _prompts(drawing, kinds, Click(Point(x, y)), ids)
        else:
            refused.append(_rejection(drawing, Reason.NOT_FINITE, f"({x}, {y})", ids))
    if not found and not refused:
        refused.append(_rejection(drawing, Reason.NO_POINTS, "", ids))
    return found, refused


def _squiggle(drawing: Drawing, kinds: Kinds, ids: _Ids) -> tuple[list[Prompt], list[Rejection]]:
    broken = [position for part in drawing.parts for position in part.tolist() if not np.isfinite(position).all()]
    if broken:
        return [], [_rejection(drawing, Reason.NOT_FINITE, f"({broken[0][0]}, {broken[0][1]})", ids)]
    strokes = [tuple(Point(x, y) for x, y in part.tolist()) for part in drawing.parts]
    long_ones = tuple(stroke for stroke in strokes if stroke_length(stroke) > 0)
    if not long_ones:
        first = next((stroke[0] for stroke in strokes if stroke), None)
        where = "" if first is None else f"at ({first.x:g}, {first.y:g})"
        return [], [replace(_rejection(drawing, Reason.NO_LENGTH, where, ids), position=first)]
    return _prompts(drawing, kinds, Squiggle(long_ones), ids), []


def _prompts(drawing: Drawing, kinds: Kinds, signal: Click | Squiggle, ids: _Ids) -> list[Prompt]:
    """Return a prompt of each kind; the first has the id that it has alone, one beside it an id made of that."""
    identity = ids.prompt(drawing.origin, signal)
    identities = (identity, *(id_beside(identity, kind) for kind in kinds[1:]))
    return [
        Prompt(one, kind, signal, drawing.class_name, drawing.plane, drawing.role)
        for one, kind in zip(identities, kinds, strict=True)
    ]


def _rejection(drawing: Drawing, reason: Reason, seen: str, ids: _Ids) -> Rejection:
    identity = ids.unusable(drawing.origin, f"{reason.name}|{seen}")
    return Rejection(identity, reason, f"{drawing.label} {seen}".strip(), drawing.class_name)
