"""Which annotations are prompts, and how each is read: by its type, and by what its group's name says.

They become drawings, which `nuclick_wsi.formats.drawings` turns into prompts by one rule for all sources.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from asap_bridge.annotations import Annotation, AnnotationType
from asap_bridge.names import CarriedName, ResultName, is_result_group
from asap_bridge.splines import spline_stroke
from nuclick_wsi.formats.drawings import Drawing, Mark, prompts_of_drawings
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.paths import comparable
from nuclick_wsi.prompts import ObjectChoice


class ReadAs(StrEnum):
    """What an annotation is to a run."""

    CLICK = "click"
    """Every point of it is a click."""
    SQUIGGLE = "squiggle"
    REGION = "region"
    """A surface, or nothing: left alone."""
    RESULT = "result"
    """In a group of results, or moved out of one by the user: never a prompt."""


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Which groups say that they hold clicks or squiggles; their names are the class of what is in them.

    Attributes
    ----------
    clicks, squiggles
        Exactly these groups; where there are none, all with "click" or "squiggle" in the name.
    """

    clicks: Sequence[str] = ()
    squiggles: Sequence[str] = ()

    def says_clicks(self, group: str | None) -> bool:
        """Whether a group is said to hold clicks."""
        return _says(group, self.clicks, "click")

    def says_squiggles(self, group: str | None) -> bool:
        """Whether a group is said to hold squiggles."""
        return _says(group, self.squiggles, "squiggle")


def _says(group: str | None, named: Sequence[str], word: str) -> bool:
    if not named:
        return word in (group or "").lower()
    return group is not None and comparable(group) in map(comparable, named)


def read_as(one: Annotation, rule: GroupRule) -> ReadAs:
    """Return what an annotation is to a run."""
    if is_result_group(one.group) or ResultName.parse(one.name) is not None:
        return ReadAs.RESULT
    match one.type:
        case AnnotationType.DOT:
            return ReadAs.CLICK
        case AnnotationType.POINT_SET:
            is_clicks = rule.says_clicks(one.group) and not rule.says_squiggles(one.group)
            return ReadAs.CLICK if is_clicks else ReadAs.SQUIGGLE
        case AnnotationType.MEASUREMENT:
            return ReadAs.SQUIGGLE
        case AnnotationType.POLYGON | AnnotationType.SPLINE if rule.says_squiggles(one.group):
            return ReadAs.SQUIGGLE
    return ReadAs.REGION


def prompts_of(annotations: Iterable[Annotation], choice: ObjectChoice, rule: GroupRule) -> PromptSet:
    """Return the prompts among the annotations of a slide, and what was left alone."""
    drawings: list[Drawing] = []
    strokes: dict[tuple[str, str | None], int] = {}
    left_alone: Counter[str] = Counter()
    for one in annotations:
        reading = read_as(one, rule)
        if reading in (ReadAs.REGION, ReadAs.RESULT):
            left_alone[reading.value] += 1
            continue
        drawing = _drawing(one, reading)
        # Strokes that were one squiggle in QuPath are annotations of their own here, with the id of the squiggle.
        key = (drawing.source, one.group) if drawing.source and drawing.mark is Mark.LINES else None
        if key is not None and key in strokes:
            place = strokes[key]
            drawings[place] = _joined(drawings[place], drawing)
            continue
        if key is not None:
            strokes[key] = len(drawings)
        drawings.append(drawing)
    return prompts_of_drawings(drawings, choice, left_alone)


def _drawing(one: Annotation, reading: ReadAs) -> Drawing:
    carried = CarriedName.parse(one.name)
    return Drawing(
        mark=Mark.POINTS if reading is ReadAs.CLICK else Mark.LINES,
        parts=(stroke_of(one),) if reading is ReadAs.SQUIGGLE else (one.points.astype(np.float64),),
        label=f"annotation {one.name!r}",
        source=carried.id if carried is not None else None,
        class_name=one.group,
    )


def stroke_of(one: Annotation) -> NDArray[np.float64]:
    """Return an annotation as a stroke, shape (n, 2): along its curve, and without the edge that closes it."""
    points = one.points.astype(np.float64)
    return spline_stroke(points) if one.type is AnnotationType.SPLINE else points


def _joined(one: Drawing, other: Drawing) -> Drawing:
    return Drawing(one.mark, one.parts + other.parts, one.label, one.source, one.class_name, one.plane)
