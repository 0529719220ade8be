"""Which pictures of a folder are for training, for validation and for testing."""

from dataclasses import dataclass
from pathlib import Path

from nuclick_training.datasets.data import picture_names
from nuclick_training.datasets.split_assignment import SplitAssignment, assign_parts, patient_of
from nuclick_training.datasets.splits import SPLITS, Split


@dataclass(frozen=True, slots=True)
class _Picture:
    """What `assign_parts` needs to know of a picture."""

    name: str
    source: str

    @property
    def patient(self) -> str:
        return patient_of([self.name], None)

    @property
    def content(self) -> str:
        return self.name


def names_of(folder: Path, part: str, split: Split | None = None) -> list[str]:
    """Return the names of the pictures of a part: train, validation or test.

    The project's own data sets have fixed parts. In other folders a fifth of the patients is for validation and a fifth
    for testing; patients are recognised by TCGA's names, and any other picture counts as a patient of its own. A split
    that is given overrules both.
    """
    names = picture_names(folder)
    split = split or SPLITS.get(folder.name)
    if split is not None:
        return [name for name in names if split.part_of(name) == part]
    parts = assign_parts([_Picture(name, str(folder)) for name in names], SplitAssignment())
    return [name for name, where in zip(names, parts, strict=True) if where == part]


def is_store(folder: Path) -> bool:
    """Whether a folder is a zarr store, which says itself what its parts are."""
    return (folder / "zarr.json").is_file()
