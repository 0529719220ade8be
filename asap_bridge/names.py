"""Names that carry what ASAP has no place for: which prompt a result answers, and the id of a QuPath object.

ASAP keeps nothing else that a run adds when it saves.
"""

import hashlib
import re
from dataclasses import dataclass

from asap_bridge.annotations import Annotation, AnnotationType, Points

GROUP = "NuClick"
"""The group of results without a class; those of a class are in `NuClick: <class>`."""
HOLES = "NuClick holes"
"""The same for holes, which are polygons of their own in ASAP; these groups are part of those above."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_RESULT = re.compile(rf"NuClick ({_UUID}) (\d+)\.(\d+) ([0-9a-f]{{8}})(?: sure ([01]\.\d\d))?")
_CARRIED = re.compile(rf"(?s)(.*?) ?\{{({_UUID})(?:/(\d+)\.(\d+))?\}}")


@dataclass(frozen=True, slots=True)
class ResultName:
    """The name of one ring of one result.

    Attributes
    ----------
    part
        The polygon, from 1 on: a squiggle of several strokes may have more than one.
    ring
        0 for the outline, from 1 on for its holes.
    digest
        Of the positions, so that it shows when the user has moved one.
    sureness
        The Dice that the outline is estimated to reach, two decimals; None where it is not known.
    """

    prompt_id: str
    part: int
    ring: int
    digest: str
    sureness: float | None = None

    def __str__(self) -> str:
        sure = "" if self.sureness is None else f" sure {self.sureness:.2f}"
        return f"NuClick {self.prompt_id} {self.part}.{self.ring} {self.digest}{sure}"

    @classmethod
    def parse(cls, name: str) -> "ResultName | None":
        """Return what a name says; None for a name that is not a result's."""
        found = _RESULT.fullmatch(name)
        if found is None:
            return None
        sureness = None if found[5] is None else float(found[5])
        return cls(found[1], int(found[2]), int(found[3]), found[4], sureness)


@dataclass(frozen=True, slots=True)
class CarriedName:
    """The name of an annotation that comes from QuPath: its name there, its id, and which part of it this is.

    Attributes
    ----------
    part, ring
        As in `ResultName`; 0 and 0 where the object is one piece.
    """

    name: str
    id: str
    part: int = 0
    ring: int = 0

    def __str__(self) -> str:
        piece = f"/{self.part}.{self.ring}" if self.part else ""
        return f"{self.name} {{{self.id}{piece}}}".lstrip()

    @classmethod
    def parse(cls, name: str) -> "CarriedName | None":
        """Return what a name says; None for a name that carries no id."""
        found = _CARRIED.fullmatch(name)
        return None if found is None else cls(found[1], found[2], int(found[3] or 0), int(found[4] or 0))


def result_group(class_name: str | None, *, holes: bool = False) -> str:
    """Return the name of the group that a class's results are in."""
    group = HOLES if holes else GROUP
    return group if class_name is None else f"{group}: {class_name}"


def outer_group(group: str) -> str:
    """Return the group of outlines that belongs to a group of holes; any other group itself."""
    return group.replace(HOLES, GROUP, 1) if group.startswith(HOLES) else group


def is_result_group(group: str | None) -> bool:
    """Whether a group is for results, by its name alone."""
    return group in (GROUP, HOLES) or (group or "").startswith((f"{GROUP}: ", f"{HOLES}: "))


def digest_of(kind: AnnotationType, points: Points) -> str:
    """Return a short digest of what was drawn, the same before and after ASAP has saved it."""
    return hashlib.sha256(kind.value.encode() + points.astype("<f4").tobytes()).hexdigest()[:8]


def unchanged_result(one: Annotation) -> ResultName | None:
    """Return a result's name where it is as it was written, and where; None where the user has had a hand in it."""
    name = ResultName.parse(one.name)
    if name is None or not is_result_group(one.group) or digest_of(one.type, one.points) != name.digest:
        return None
    return name
