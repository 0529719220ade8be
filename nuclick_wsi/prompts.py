"""What the user said, in slide pixels: clicks and squiggles, each with its identity.

Readers of projects and files make these; the engine turns every one into exactly one instance or one rejection.
"""

import hashlib
import itertools
import math
import uuid
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real

from nuclick_wsi.accepted import one_of
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.geometry import Point


class ObjectKind(StrEnum):
    """What is segmented; it decides the model, the crop and the neighbours that exclude each other."""

    NUCLEUS = "nucleus"
    CELL = "cell"
    GLAND = "gland"


class ObjectChoice(StrEnum):
    """What the user asks for: one kind; points as nuclei and lines as glands; or of each click cell and nucleus."""

    AUTO = "auto"
    NUCLEUS = "nucleus"
    CELL = "cell"
    GLAND = "gland"
    CELL_AND_NUCLEUS = "cell+nucleus"

    @property
    def of_points(self) -> tuple[ObjectKind, ...]:
        """The kinds that a point asks for; none where points are left alone."""
        match self:
            case ObjectChoice.AUTO | ObjectChoice.NUCLEUS:
                return (ObjectKind.NUCLEUS,)
            case ObjectChoice.CELL:
                return (ObjectKind.CELL,)
            case ObjectChoice.CELL_AND_NUCLEUS:
                return ObjectKind.NUCLEUS, ObjectKind.CELL
        return ()

    @property
    def of_lines(self) -> tuple[ObjectKind, ...]:
        """The kinds that a line asks for: a gland, or what is asked of clicks, where that alone is wanted."""
        return (ObjectKind.GLAND,) if self in (ObjectChoice.AUTO, ObjectChoice.GLAND) else self.of_points

    @property
    def kinds(self) -> tuple[ObjectKind, ...]:
        """All kinds that points and lines ask for."""
        return tuple(dict.fromkeys((*self.of_points, *self.of_lines)))

    @property
    def left_alone(self) -> "tuple[ObjectChoice, ...]":
        """The choices that ask for everything that can come of what this one leaves alone, lines for glands too."""
        points = () if self.of_points else (ObjectChoice.CELL_AND_NUCLEUS,)
        return points if ObjectKind.GLAND in self.of_lines else (*points, ObjectChoice.GLAND)


_FIRST_PLANE, _LAST_PLANE = -(2**31), 2**31 - 1
"""QuPath counts planes with Java's int."""


class Role(StrEnum):
    """Whether a prompt wants an outline, or only keeps its neighbours out."""

    SEGMENT = "segment"
    NEIGHBOUR = "neighbour"
    """Takes from the outlines around it what it would take if it were segmented too; its own is not asked for."""
    EXCLUDE_ONLY = "exclude only"
    """Known to the network as something else, and no object: it takes no pixel."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Channel, z-slice and time point as QuPath counts them; the defaults are a slide's only plane."""

    c: int = -1
    z: int = 0
    t: int = 0

    def __post_init__(self) -> None:
        for axis in ("c", "z", "t"):
            if not _FIRST_PLANE <= (number := getattr(self, axis)) <= _LAST_PLANE:
                raise ValueError(f"its plane has {axis} = {number!r:.40}, and planes are counted up to {_LAST_PLANE}")


@dataclass(frozen=True, slots=True)
class Click:
    """One position inside an object: a point, or any pair (x, y)."""

    point: Point

    def __post_init__(self) -> None:
        if not isinstance(self.point, Point):
            object.__setattr__(self, "point", Point.of(self.point))

    @property
    def strokes(self) -> tuple[tuple[Point, ...], ...]:
        """The click as one stroke of one point, so that clicks and squiggles are drawn alike."""
        return ((self.point,),)


@dataclass(frozen=True, slots=True)
class Squiggle:
    """One or several strokes inside one object, each of at least two points, or pairs (x, y), and some length.

    Strokes are kept in a canonical order and direction: programs that pass them on may reverse or sort them
    (QuPath does since 0.6), and neither the result nor the id may depend on it.
    """

    strokes: tuple[tuple[Point, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "strokes", _strokes(self.strokes))
        if not self.strokes or any(stroke_length(stroke) == 0 for stroke in self.strokes):
            raise ValueError("every stroke of a squiggle needs at least two different points")
        canonical = tuple(sorted(min(stroke, stroke[::-1]) for stroke in self.strokes))
        object.__setattr__(self, "strokes", canonical)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request for one outline.

    `id` is a UUID string that depends on nothing but what the user drew, so the same prompt has the same id in
    every run; `class_name` is QuPath's full name ("Tumor: Positive"), or None for no class.
    """

    id: str
    kind: ObjectKind
    signal: Click | Squiggle
    class_name: str | None = None
    plane: Plane = Plane()
    role: Role = Role.SEGMENT

    def __post_init__(self) -> None:
        if not isinstance(self.signal, Click | Squiggle):
            raise SettingsError(f"A prompt's signal is {self.signal!r:.80}; accepted is a Click or a Squiggle.")
        if not isinstance(self.id, str):
            raise SettingsError(f"A prompt's id is {self.id!r:.80}; accepted is a text, other than those of others.")
        if type(self.kind) is not ObjectKind:
            object.__setattr__(self, "kind", one_of(ObjectKind, self.kind, "A prompt's kind"))
        if type(self.role) is not Role:
            object.__setattr__(self, "role", one_of(Role, self.role, "A prompt's role"))


def _strokes(strokes: object) -> tuple[tuple[Point, ...], ...]:
    """Return strokes of points, which may be given as pairs (x, y), and one stroke alone."""
    try:
        lines = [list(stroke) for stroke in strokes]  # type: ignore[attr-defined]  # the error says what is accepted
    except TypeError as error:
        raise ValueError(
            f"the strokes of a squiggle are lists of points, [[(x, y), (x, y), ...], ...], not {strokes!r:.80}"
        ) from error
    if lines and all(len(line) == 2 and all(isinstance(part, Real) for part in line) for line in lines):
        lines = [lines]
    return tuple(tuple(map(Point.of, line)) for line in lines)


def stroke_length(stroke: tuple[Point, ...]) -> float:
    """Return the length of a stroke, in the pixels of its points."""
    return sum(math.dist((a.x, a.y), (b.x, b.y)) for a, b in itertools.pairwise(stroke))


_NAMESPACE = uuid.UUID("6f1b0f0e-52a7-5d0e-9a5c-6d7e3c0b41aa")
_BEGUN = hashlib.sha1(_NAMESPACE.bytes, usedforsecurity=False)
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def prompt_id(source: str, signal: Click | Squiggle, repeat: int = 0) -> str:
    """Return the id of a prompt: the same for the same drawing, in any order of reading.

    Parameters
    ----------
    source
        What the drawing belongs to: the id of its QuPath object where it has one, else its class.
    signal
        The drawing; positions count to 0.01 px, which is what GeoJSON keeps.
    repeat
        How many equal drawings of the same source came before, so that even those have ids of their own.
    """
    # The z makes -0.00 a 0.00.
    drawn = ";".join([",".join([f"{p.x:z.2f} {p.y:z.2f}" for p in stroke]) for stroke in signal.strokes])
    return _id_of(source, type(signal).__name__, drawn, repeat)


def cell_id(click_id: str) -> str:
    """Return the id of the cell around a click of which the nucleus is asked for too, and has the click's own id."""
    return id_beside(click_id, ObjectKind.CELL)


def id_beside(first_id: str, kind: ObjectKind) -> str:
    """Return the id of the prompt of a second kind that comes of the same drawing as another, which has the first."""
    return _uuid5(f"{first_id}|{kind.value}")


def unusable_id(source: str, drawn: str, repeat: int = 0) -> str:
    """Return the id of a drawing that cannot be a prompt, such as a squiggle without length, so that it can be named.

    `source` and `repeat` are those of `prompt_id`; `drawn` is whatever tells the drawing from others of its source.
    """
    return _id_of(source, "unusable", drawn, repeat)


def _id_of(source: str, what: str, drawn: str, repeat: int) -> str:
    return _uuid5(f"{source}|{what}|{drawn}|{repeat}")


def _uuid5(name: str) -> str:
    """Return what `str(uuid.uuid5(_NAMESPACE, name))` returns, several times as fast: a slide may have 100,000."""
    digest = _BEGUN.copy()
    digest.update(name.encode())
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
