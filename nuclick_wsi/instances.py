"""What comes of prompts: an instance or a rejection of each, and the set of prompts that a reader hands over.

Every prompt ends as exactly one of the two; nothing is dropped in silence, not even what a reader leaves alone.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from nuclick_wsi.accepted import all_of
from nuclick_wsi.choices import LOOK_AT_BELOW
from nuclick_wsi.geometry import Point
from nuclick_wsi.prompts import ObjectKind, Plane, Prompt

if TYPE_CHECKING:  # training decodes masks, and a GPU node may be without shapely
    from shapely import MultiPolygon, Polygon


class Reason(StrEnum):
    """Why a prompt has no outline, in the words that a user sees."""

    OUTSIDE_SLIDE = "outside the slide"
    OTHER_PLANE = "on a plane that the slide does not have"
    DUPLICATE = "on the same spot as another prompt"
    NO_POINTS = "no points in the annotation"
    NO_LENGTH = "a squiggle without length"
    TOO_LONG = "a line longer than such an object"
    NOT_FINITE = "a position that is not a number"
    NO_OBJECT = "the network sees no object there"
    TOO_SMALL = "smaller than the smallest object"
    TAKEN = "every pixel went to a neighbour"
    UNREADABLE = "the slide could not be read there"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A prompt without an outline.

    Attributes
    ----------
    detail
        What was seen, beyond the reason.
    class_name, position, kind
        The prompt's class, its first point and what it asked for, so that the user can find it; None where there is
        none to name.
    """

    prompt_id: str
    reason: Reason
    detail: str
    class_name: str | None = None
    position: Point | None = None
    kind: ObjectKind | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as run records and the server's answers have it."""
        return {
            "prompt": self.prompt_id,
            "reason": self.reason.value,
            "detail": self.detail,
            "kind": self.kind,
            "class": self.class_name,
            "position": self.position and [self.position.x, self.position.y],
        }

    @classmethod
    def of(cls, prompt: Prompt, reason: Reason, detail: str) -> "Rejection":
        """Return the rejection of a prompt."""
        return cls(prompt.id, reason, detail, prompt.class_name, prompt.signal.strokes[0][0], prompt.kind)


@dataclass(frozen=True, slots=True)
class Instance:
    """The outline of one prompt, in slide pixels (level 0).

    `area_um2` is that of the polygon, whether it runs between pixels or along their edges; `mean_probability` is the
    mean over the mask's pixels. `sureness` is the Dice that the outline is estimated to reach, 0 to 1; None where the
    model's card does not say how sure it is. Several polygons only where the strokes of one squiggle lie in parts that
    do not touch.
    """

    prompt_id: str
    kind: ObjectKind
    polygon: "Polygon | MultiPolygon"
    class_name: str | None
    plane: Plane
    area_um2: float
    mean_probability: float
    sureness: float | None = None


def order_in_files(instance: Instance) -> tuple[int, str]:
    """Return what the instances in a file are sorted by: a plain class before those derived from it, then prompt ids.

    QuPath makes up a colour for a parent that it meets too late.
    """
    return (instance.class_name or "").count(":"), instance.prompt_id


class Instances(Protocol):
    """Instances that are gone through, or looked at by their place: a million of them are on disk."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Instance]: ...

    def __getitem__(self, place: int, /) -> Instance: ...


class InstancesInOrder(Collection[Instance]):
    """Instances that are gone through in the order of files, so that nobody has to sort them or look what there is."""

    @property
    @abstractmethod
    def kinds(self) -> Set[ObjectKind]:
        """What kinds of object are among them."""

    @abstractmethod
    def __getitem__(self, place: int, /) -> Instance:
        """Return the instance that has a place in the order of files."""


def unsure(instances: Iterable[Instance], limit: float = LOOK_AT_BELOW) -> list[Instance]:
    """Return the instances that are less sure than a limit, the least sure first."""
    found = [(one.sureness, one.prompt_id, one) for one in instances if one.sureness is not None]
    return [one for sureness, _, one in sorted(found, key=lambda each: each[:2]) if sureness < limit]


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All that was found in a project's image or a file.

    Attributes
    ----------
    prompts
        Those to segment and those that only exclude (`Prompt.role`).
    rejections
        What was meant as a prompt and cannot be one.
    left_alone
        How many of what else was there, by what it is: "detection", "region", ...
    class_colors
        Red, green and blue of the classes of which a file says the colour.
    """

    prompts: tuple[Prompt, ...]
    rejections: tuple[Rejection, ...] = ()
    left_alone: Mapping[str, int] = field(default_factory=dict)
    class_colors: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", all_of(Prompt, self.prompts, "The prompts"))
        object.__setattr__(self, "rejections", all_of(Rejection, self.rejections, "The rejections"))

    @classmethod
    def of(cls, prompts: "PromptSet | Iterable[Prompt]") -> "PromptSet":
        """Return a set of prompts from itself, or from prompts alone; SettingsError for anything else."""
        return prompts if isinstance(prompts, cls) else cls(prompts)  # type: ignore[arg-type]  # made a tuple
