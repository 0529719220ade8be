"""A model's card: what the network is, what it was made from, how good it is and where it fails.

Cards live in the header of the model's safetensors file; they are read here without loading a single weight.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from numbers import Real
from pathlib import Path

from nuclick_wsi.choices import ModelTerms
from nuclick_wsi.errors import ModelError
from nuclick_wsi.json_values import object_at, text_at
from nuclick_wsi.models.headers import read_header
from nuclick_wsi.paths import existing
from nuclick_wsi.prompts import ObjectKind

MODELS = Path(__file__).parent / "shipped"
"""The folder of the shipped models."""

DEFAULTS: Mapping[ObjectKind, tuple[str, ...]] = {
    ObjectKind.NUCLEUS: ("nuclei", "nuclei-open"),
    ObjectKind.CELL: ("cells", "cells-open"),
    ObjectKind.GLAND: ("glands",),
}
"""The shipped models that serve a kind unless the user names one: the first that is there and may be taken."""

Calibration = tuple[tuple[float, float], ...]
"""The Dice that a network expects of an outline, and the one that is reached then; both rise."""

METADATA_KEY = "nuclick_card"
_LARGEST_CROP, _LARGEST_MPP, _LARGEST_AREA = 8192, 100.0, 1e12
_TYPES: Mapping[type, tuple[str, ...]] = {
    str: ("name", "architecture", "terms", "split", "limits", "choice"),
    int: ("crop_size",),
    Real: ("mpp", "threshold", "smallest_um2", "fill_holes_um2"),
    Mapping: ("config", "settings"),
    bool: ("open_terms",),
}
"""Of a card's entries: the file may come from anywhere."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data set that a model learned from, and the terms that the model inherits."""

    name: str
    licence: str

    def __post_init__(self) -> None:
        _require_types(self, {str: ("name", "licence")})


@dataclass(frozen=True, slots=True)
class Score:
    """What a model reached on which data, and the command that prints it."""

    data: str
    metric: str
    value: float
    command: str

    def __post_init__(self) -> None:
        _require_types(self, {str: ("data", "metric", "command"), Real: ("value",)})


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything about a model but its weights.

    Attributes
    ----------
    architecture, config
        What `nuclick_wsi.models.network.build` takes.
    crop_size
        Side of the crop, in pixels of `mpp` microns; a multiple of 32.
    threshold
        Least probability of a pixel of the object.
    smallest_um2, fill_holes_um2
        Smaller objects are rejected; holes up to this area are filled.
    terms
        What the model may be used for.
    open_terms
        Whether that is anything, for anyone, commerce included; naming the authors of its data may be asked for.
    split, settings, limits
        How the data was divided, how the network was fitted, what it is bad at.
    calibration
        Which Dice validation objects reached where the network expected how much, from which the sureness of outlines
        is read; empty where it was not measured.
    choice
        Which other networks it was compared with, and why it is this one; empty where none was.
    """

    name: str
    kind: ObjectKind
    architecture: str
    config: Mapping[str, object]
    crop_size: int
    mpp: float
    threshold: float
    smallest_um2: float
    fill_holes_um2: float
    data: tuple[DataSource, ...]
    terms: str
    split: str
    limits: str
    created: date
    settings: Mapping[str, object] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    choice: str = ""
    open_terms: bool = False
    calibration: Calibration = ()

    def __post_init__(self) -> None:
        _require_types(self, _TYPES)
        if not 32 <= self.crop_size <= _LARGEST_CROP or self.crop_size % 32:
            raise ValueError(f"crop_size must be a multiple of 32 up to {_LARGEST_CROP}, not {self.crop_size}")
        if not 0 < self.mpp <= _LARGEST_MPP:
            raise ValueError(f"mpp must be above 0 and at most {_LARGEST_MPP:g}, not {self.mpp}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, not {self.threshold}")
        if not all(0 <= area < _LARGEST_AREA for area in (self.smallest_um2, self.fill_holes_um2)):
            raise ValueError(f"smallest_um2 and fill_holes_um2 must be at least 0 and below {_LARGEST_AREA:g}")
        for column in zip(*self.calibration, strict=True):
            if list(column) != sorted(column) or not 0 <= column[0] <= column[-1] <= 1:
                raise ValueError(f"calibration must be pairs of shares that rise, not {self.calibration}")

    def allows(self, terms: ModelTerms) -> bool:
        """Whether the model may be taken where these terms are asked for."""
        return terms is ModelTerms.ANY or self.open_terms

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        return json.dumps(dataclasses.asdict(self) | {"created": self.created.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read a card back.

        Raises
        ------
        ValueError
            An entry is missing, unknown or impossible.
        """
        try:
            entries = json.loads(text)
            entries["kind"] = ObjectKind(entries["kind"])
            entries["created"] = date.fromisoformat(entries["created"])
            entries["data"] = tuple(DataSource(**source) for source in entries["data"])
            entries["calibration"] = tuple((float(x), float(y)) for x, y in entries.get("calibration", ()))
            entries["scores"] = tuple(Score(**score) for score in entries["scores"])
            return cls(**entries)
        except KeyError as error:
            raise ValueError(f"entry {error} is missing") from error
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(str(error)) from error
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def _require_types(value: object, types: Mapping[type, tuple[str, ...]]) -> None:
    """Raise a ValueError that names the first entry of another type; true and false are no numbers."""
    for kind, names in types.items():
        for name in names:
            found = getattr(value, name)
            if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
                raise ValueError(f"{name} is {found!r:.60}, not a {kind.__name__.lower()}")


def read_card(path: str | Path) -> ModelCard:
    """Read the card of a model file.

    Raises
    ------
    ModelError
        The file is missing, is not safetensors, is cut short, or has no card.
    """
    path = Path(path)
    text = text_at(object_at(read_header(path), "__metadata__"), METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path} is a safetensors file without a card, so its kind and pixel size are unknown. Models are made by "
            "`nuclick-wsi weights import` or by training."
        )
    try:
        return ModelCard.from_json(text)
    except ValueError as error:
        raise ModelError(f"{path} has a card that cannot be read: {error}. Is it from a newer version?") from error


def shipped_models() -> dict[str, Path]:
    """Return the models that came with the package, by name."""
    return {path.stem: path for path in sorted(MODELS.glob("*.safetensors"), key=lambda path: path.stem)}


def default_model(kind: ObjectKind, terms: ModelTerms = ModelTerms.ANY) -> Path:
    """Return the shipped model that serves a kind, as `DEFAULTS` states it.

    Raises
    ------
    ModelError
        None is shipped, or none with these terms.
    """
    shipped = shipped_models()
    for name in DEFAULTS[kind]:
        if name in shipped and read_card(shipped[name]).allows(terms):
            return shipped[name]
    if terms is ModelTerms.ANY:
        raise ModelError(f"No model for a {kind} is shipped. Name a file of your own with --model FILE.safetensors.")
    served = sorted({read_card(path).kind.value for path in shipped.values() if read_card(path).open_terms})
    others = f"There is one for a {' and one for a '.join(served)}" if served else "There is none for any kind"
    raise ModelError(
        f"No shipped model for a {kind} may be used for anything, as --terms open asks for. {others}. Name a model of "
        "your own with --model FILE.safetensors, ask for another kind with --object, or, where the terms that "
        "`nuclick-wsi weights list` shows suit you, drop --terms open."
    )


def require_terms(card: ModelCard, terms: ModelTerms) -> None:
    """Refuse a model that the user named, where its terms are not those that are asked for; ModelError."""
    if not card.allows(terms):
        raise ModelError(
            f"The model {card.name} may not be used for anything, as --terms open asks for. Its terms: {card.terms}. "
            "Take another model (`nuclick-wsi weights list` shows the terms of each), or drop --terms open."
        )


def find_model(model: str | Path) -> Path:
    """Return the file of a shipped model's name or of a path."""
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    path = existing(Path(model))
    if not path.is_file():
        names = ", ".join(shipped) or "none"
        raise ModelError(f"{model} is neither a file nor a shipped model ({names}).")
    return path
