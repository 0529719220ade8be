"""Which slides are for training, validation and testing: assigned by patient or by slide, never by patch.

`assign_parts` chooses the part of every slide, and `leaks` finds patients and slides that are in more than one part.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nuclick_training.datasets.data import DataError
from nuclick_training.datasets.splits import SPLITS, Split
from nuclick_wsi.choices import SplitBy
from nuclick_wsi.errors import SettingsError

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
_TCGA = re.compile(r"TCGA-\w\w-\w{4}")


class SplitSlide(Protocol):
    """What an assignment needs to know of a slide."""

    @property
    def name(self) -> str:
        """What its user calls it."""
        ...

    @property
    def source(self) -> str:
        """Where its outlines come from."""
        ...

    @property
    def patient(self) -> str:
        """The patient that it is from."""
        ...

    @property
    def content(self) -> str:
        """A fingerprint of its file: the same slide under two names is one slide."""
        ...


@dataclass(frozen=True, slots=True)
class SplitAssignment:
    """How slides are assigned to parts.

    Attributes
    ----------
    validation, test
        Shares of the patients, or of the slides.
    """

    by: SplitBy = SplitBy.PATIENT
    validation: float = 0.2
    test: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise SettingsError(
                f"--validation {self.validation} and --test {self.test} are shares of the patients: each 0 or more, "
                "and below 1 together, so that some are left to train."
            )


def patient_of(names: Sequence[str], pattern: re.Pattern[str] | None) -> str:
    """Return the patient of a slide.

    Parameters
    ----------
    names
        What the slide is called: first by its user, then by its file, without ending.
    pattern
        What finds the patient in the first name: its first group, or all that it matches. None finds the patient of
        TCGA's names; of other names each is a patient of its own.

    Raises
    ------
    DataError
        The pattern is not in the name.
    """
    if pattern is None:
        found = next(filter(None, map(_TCGA.search, names)), None)
        return found[0] if found else names[-1]
    found = pattern.search(names[0])
    text = (found[1] if found.re.groups else found[0]) if found else None
    if not text:
        raise DataError(f"{names[0]}: --patient-from {pattern.pattern} finds no patient in this name.")
    return text


def fixed_split(source: str) -> Split:
    """Return the split that is fixed for a data set, by its folder's name; SettingsError where there is none."""
    folder = re.split(r"[\\/]", source.rstrip("\\/"))[-1]
    if folder not in SPLITS:
        raise SettingsError(
            f"{source}: no parts are fixed for {folder}, only for {', '.join(SPLITS)}. Use --split-by patient."
        )
    return SPLITS[folder]


def assign_parts(slides: Sequence[SplitSlide], assignment: SplitAssignment) -> list[str]:
    """Return the part of every slide.

    Patients are shuffled. Each share is rounded to whole patients, at least one, as long as one patient is left for
    training; of two patients, one is for validation.

    Raises
    ------
    SettingsError
        Fixed parts are asked for, of data that has none.
    """
    if assignment.by is SplitBy.FIXED:
        return [fixed_split(slide.source).part_of(slide.name) for slide in slides]
    groups = _groups(slides, assignment.by)
    names = sorted(set(groups))
    order = np.random.default_rng(assignment.seed).permutation(len(names))
    validation, test = _counts(len(names), assignment)
    parts = [VALIDATION] * validation + [TEST] * test + [TRAIN] * (len(names) - validation - test)
    part_of = {names[index]: part for index, part in zip(order, parts, strict=True)}
    return [part_of[group] for group in groups]


def leaks(slides: Sequence[SplitSlide], parts: Sequence[str], by: SplitBy) -> list[str]:
    """Return a sentence for every patient, and every slide, that is in more than one part.

    Patients may be in several parts where slides were assigned without regard to patients (`SplitBy.SLIDE`).
    """
    found = []
    if by is not SplitBy.SLIDE:
        patients = _parts_by([slide.patient for slide in slides], parts)
        found += [f"patient {patient} is in {_listed(where)}" for patient, where in patients.items() if len(where) > 1]
    for content, where in _parts_by([slide.content for slide in slides], parts).items():
        if len(where) > 1:
            names = sorted({slide.name for slide in slides if slide.content == content})
            found.append(f"slide {' = '.join(names)} is in {_listed(where)}")
    return found


def _groups(slides: Sequence[SplitSlide], by: SplitBy) -> list[str]:
    """Return what must stay together: a patient, or a slide; and in any case one file, whatever it is called."""
    groups = [slide.patient if by is SplitBy.PATIENT else slide.content for slide in slides]
    for slide in slides:
        together = {group for group, other in zip(groups, slides, strict=True) if other.content == slide.content}
        groups = [min(together) if group in together else group for group in groups]
    return groups


def _counts(groups: int, assignment: SplitAssignment) -> tuple[int, int]:
    """Return how many groups are for validation and how many for testing."""
    validation = min(max(1, round(groups * assignment.validation)) if assignment.validation else 0, groups - 1)
    test = min(max(1, round(groups * assignment.test)) if assignment.test else 0, groups - 1 - validation)
    return validation, test


def _parts_by(keys: Sequence[Hashable], parts: Sequence[str]) -> Mapping[Hashable, set[str]]:
    found: dict[Hashable, set[str]] = {}
    for key, part in zip(keys, parts, strict=True):
        found.setdefault(key, set()).add(part)
    return found


def _listed(parts: set[str]) -> str:
    return " and ".join(part for part in PARTS if part in parts)
