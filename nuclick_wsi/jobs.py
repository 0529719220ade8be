"""What a run works through: one job per image, read only when its turn comes, so that one bad image stops no other.

A job knows where its image's prompts come from and where its results go; the run knows neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.geojson import Color, write_results
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slide import Frame


@dataclass(frozen=True, slots=True)
class ImageInput:
    """Everything that a run needs to know about one image.

    `find_slide` is asked only where there are prompts: an image without any may be missing without harm.
    """

    prompts: PromptSet
    find_slide: Callable[[], Path]
    frame: Frame
    pixel_size: PixelSize | None = None
    """As the project says it; None leaves it to the slide."""
    size: Size | None = None
    """Of level 0 as the project says it, to be sure that the slide found is the one that was drawn on."""
    class_colors: Mapping[str, Color] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """Which model served a kind of object."""

    kind: ObjectKind
    name: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Results:
    """What came of one image, for whoever keeps it."""

    instances: Sequence[Instance]
    class_colors: Mapping[str, Color]
    models: Sequence[ModelUsed]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What a sink did.

    Attributes
    ----------
    path
        The file that holds the results.
    counts
        How many objects were added, replaced, removed, unchanged; empty where a file was written as a whole.
    kept
        Why an object of ours was left as the user made it, by prompt id.
    notes
        Which file has another name than it would have, and why.
    """

    path: Path
    counts: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Sink(Protocol):
    """Where the results of one image are kept. What the user drew or changed there is never lost."""

    def write(self, results: Results) -> Written:
        """Put these results in the place of those of earlier runs.

        Raises
        ------
        ResultError
            If they cannot be kept; then what was there is as it was.
        """
        ...

    def clear(self) -> None:
        """Take away the results of earlier runs, where there are any: the prompts that they belong to are gone."""
        ...


@dataclass(frozen=True, slots=True)
class GeoJsonSink:
    """Keeps results in a GeoJSON file that QuPath imports."""

    path: Path
    as_type: ObjectType
    source: str = ""
    """What the results are made from."""

    def write(self, results: Results) -> Written:
        """Replace the results of earlier runs; a file that is not one of them stays, and a free name is taken."""
        place = write_results(self.path, results.instances, self.as_type, results.class_colors, self.source)
        return Written(place.path, notes=place.notes)

    def clear(self) -> None:
        """Empty the file, if there is one."""
        if self.path.exists():
            write_results(self.path, (), self.as_type, {}, self.source)


@dataclass(frozen=True, slots=True)
class Job:
    """One image of a run.

    `read` raises a `NuclickError` where the image's data cannot be read or the image is refused.
    """

    name: str
    """As the user knows the image."""
    stem: str
    """The name of the files that a run makes for it, unique within the run."""
    read: Callable[[], ImageInput]
    sink: Sink
    identity: str
    """What the journal knows the image by: it stays where the user gives the image another name."""


def file_stem(name: str) -> str:
    """Return a name that every file system takes: characters that Windows or a path forbids become `_`."""
    safe = "".join("_" if character in '<>:"/\\|?*' or ord(character) < 32 else character for character in name)
    return safe.strip(" .")[:120] or "image"
