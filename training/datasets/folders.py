"""Which pictures of a folder train, choose settings and judge: a folder goes in, the names of one part come out."""

from dataclasses import dataclass
from pathlib import Path

from nuclick_training.datasets.data import picture_names
from nuclick_training.datasets.split_assignment import SplitAssignment, divide, patient_of
from nuclick_training.datasets.splits import SPLITS, Split


@dataclass(frozen=True, slots=True)
class _Picture:
    """What `divide` wants to know; a picture is a file of its own."""

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

    Data sets of ours have fixed parts; of other folders a fifth of the patients validates and a fifth tests. Patients
    are told by TCGA's names; other pictures are a patient each. A split that is given comes before either.
    """
    names = picture_names(folder)
    split = split or SPLITS.get(folder.name)
    if split is not None:
        return [name for name in names if split.part_of(name) == part]
    parts = divide([_Picture(name, str(folder)) for name in names], SplitAssignment())
    return [name for name, where in zip(names, parts, strict=True) if where == part]


def is_store(folder: Path) -> bool:
    """Whether a folder is a zarr store, which says itself what its parts are."""
    return (folder / "zarr.json").is_file()
