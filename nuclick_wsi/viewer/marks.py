"""What the page knows of a click or squiggle, and the prompts that it stands for, by the one rule for all sources.

The page sends its marks as JSON with each request: the server keeps none of a page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from nuclick_wsi.errors import RequestError
from nuclick_wsi.formats.drawings import Drawing, Mark, prompts_of_drawings
from nuclick_wsi.instances import PromptSet, Reason, Rejection
from nuclick_wsi.json_values import Json
from nuclick_wsi.prompts import ObjectChoice, ObjectKind, Plane, Prompt, Role

_MOST_KNOWN = 100_000
"""Marks whose prompts are kept: with each click a page sends all of its marks, of which nearly all are as before."""

IGNORE_CLASS = "Ignore*"
"""The class that marks something else, as in QuPath."""


class MarkObject(StrEnum):
    """What a mark is in; `ignore` is none of what is outlined."""

    NUCLEUS = "nucleus"
    CELL = "cell"
    CELL_AND_NUCLEUS = "cell+nucleus"
    GLAND = "gland"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class PageMark:
    """A click or a squiggle.

    Attributes
    ----------
    id
        By which the page knows it.
    strokes
        Slide pixels; one stroke of one position for a click.
    source
        The id of the drawing that it is of, which decides the ids of its prompts; None where a file gave none.
    """

    id: str
    object: MarkObject
    strokes: tuple[tuple[tuple[float, float], ...], ...]
    class_name: str | None = None
    source: str | None = None
    plane: Plane = Plane()

    @property
    def is_click(self) -> bool:
        """Whether it is one position."""
        return len(self.strokes) == 1 and len(self.strokes[0]) == 1

    @property
    def drawing(self) -> Drawing:
        """The mark as the readers of files have it."""
        shape = Mark.POINTS if self.is_click else Mark.LINES
        name = (self.class_name or IGNORE_CLASS) if self.object is MarkObject.IGNORE else self.class_name
        parts = tuple(np.array(stroke, np.float64).reshape(-1, 2) for stroke in self.strokes)
        return Drawing(shape, parts, f"mark {self.id}", self.source, name, self.plane)

    def as_json(self) -> Json:
        """Return it as the page has it."""
        plane = {} if self.plane == Plane() else {"plane": [self.plane.c, self.plane.z, self.plane.t]}
        about = {"id": self.id, "object": self.object, "class": self.class_name, "source": self.source}
        return {**about, "strokes": self.strokes, **plane}


@dataclass(frozen=True, slots=True)
class MarkedPrompts:
    """The prompts of some marks, what cannot be a prompt, and the id of the mark that each is of, by its own id."""

    prompts: tuple[Prompt, ...]
    rejections: tuple[Rejection, ...]
    owners: Mapping[str, str] = field(default_factory=dict)


def read_marks(content: object) -> tuple[PageMark, ...]:
    """Read the marks of a page.

    Raises
    ------
    RequestError
        If one of them is none; the message names it.
    """
    if not isinstance(content, list):
        raise RequestError(f"prompts is {content!r:.60}, not a list of marks.")
    marks = tuple(_mark(number, one) for number, one in enumerate(content))
    if len({mark.id for mark in marks}) < len(marks):
        raise RequestError("prompts has two marks of one id.")
    return marks


def _mark(number: int, content: Any) -> PageMark:
    try:
        strokes = tuple(tuple((float(x), float(y)) for x, y in stroke) for stroke in content["strokes"])
        mark = PageMark(
            id=_text(content["id"]),
            object=MarkObject(content["object"]),
            strokes=strokes,
            class_name=None if content.get("class") is None else _text(content["class"]),
            source=_source(content),
            plane=Plane(*map(int, content.get("plane", (-1, 0, 0)))),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError(f"prompts[{number}] is {content!r:.120}, not a mark of the page ({error!r}).") from error
    if not strokes or not all(strokes):
        raise RequestError(f"prompts[{number}] has a stroke without a position.")
    if mark.object is not MarkObject.IGNORE and mark.is_click is (mark.object is MarkObject.GLAND):
        raise RequestError(f"prompts[{number}]: a {mark.object} is marked by a {'line' if mark.is_click else 'click'}.")
    return mark


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise ValueError(f"{value!r:.60} is no text")
    return value


def _source(content: Json) -> str | None:
    value = content.get("source", content["id"])
    return None if value is None else _text(value)


def prompts_of_marks(marks: Sequence[PageMark]) -> MarkedPrompts:
    """Return the prompts that marks ask for; what is to be ignored is so by all kinds of object among them."""
    found: dict[str, Prompt] = {}
    rejections: list[Rejection] = []
    owners: dict[str, str] = {}
    for mark in marks:
        if mark.object is MarkObject.IGNORE:
            continue
        here = _asked(mark)
        for prompt in here.prompts:
            if prompt.id in found:
                rejections.append(Rejection.of(prompt, Reason.DUPLICATE, "drawn twice in one file"))
            else:
                found[prompt.id], owners[prompt.id] = prompt, mark.id
        rejections += here.rejections
        owners |= {one.prompt_id: mark.id for one in here.rejections}
    kinds = sorted({prompt.kind for prompt in found.values()})
    ignored = [one for mark in marks if mark.object is MarkObject.IGNORE for one in _ignored(mark, kinds)]
    return MarkedPrompts((*found.values(), *ignored), tuple(rejections), owners)


@lru_cache(maxsize=_MOST_KNOWN)
def _asked(mark: PageMark) -> PromptSet:
    return prompts_of_drawings([mark.drawing], ObjectChoice(mark.object))


def key_of(mark: PageMark) -> str:
    """Return the id of a mark's first prompt, by which a run knows it; of what cannot be a prompt, the page's."""
    found = _ignored(mark, (ObjectKind.NUCLEUS,)) if mark.object is MarkObject.IGNORE else _asked(mark).prompts
    return found[0].id if found else mark.id


def _ignored(mark: PageMark, kinds: Iterable[ObjectKind]) -> list[Prompt]:
    """Return what keeps outlines of these kinds out of a place."""
    choice = ObjectChoice.NUCLEUS  # of a class that is ignored, any choice makes a prompt of any mark
    found = prompts_of_drawings([mark.drawing], choice).prompts
    return [replace(prompt, kind=kind) for prompt in found for kind in kinds]


Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in slide pixels."""


def changed_near(
    prompts: Sequence[Prompt], changed: Sequence[Box], reach: Mapping[ObjectKind, float]
) -> tuple[Prompt, ...]:
    """Return prompts with those as neighbours that are too far from a change for their outlines to change with it.

    Parameters
    ----------
    changed
        Boxes around what has changed.
    reach
        How far from a prompt of each kind a change may matter, in slide pixels.
    """
    return tuple(
        one
        if one.role is not Role.SEGMENT or _is_near(one, changed, reach[one.kind])
        else replace(one, role=Role.NEIGHBOUR)
        for one in prompts
    )


def _is_near(prompt: Prompt, changed: Sequence[Box], reach: float) -> bool:
    x = [point.x for stroke in prompt.signal.strokes for point in stroke]
    y = [point.y for stroke in prompt.signal.strokes for point in stroke]
    left, right, top, bottom = min(x) - reach, max(x) + reach, min(y) - reach, max(y) + reach
    return any(box[0] <= right and box[2] >= left and box[1] <= bottom and box[3] >= top for box in changed)
