"""The jobs of a run, one per image; a job is read only when its turn comes, so that one bad image stops no other.

A job knows where its image's prompts come from and where its results go; the run knows neither.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.files import back_up
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.earlier_results import earlier_results
from nuclick_wsi.formats.geojson import find_results, put_results, results_place
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.prompts import ObjectKind, Role
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.slide import Frame

NO_PROMPTS_LEFT = "its clicks and squiggles are gone, so the outlines of earlier runs were taken out of"
IGNORED = "of a class Ignore*"
"""What a report of a run calls the prompts that want no outline."""
_PROMPTS_ARE = "Prompts are annotations: points are clicks, and lines are squiggles."
_LONGEST_STEM = 200
"""Bytes; most file systems take names of 255."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """Everything that a run needs to know about one image.

    `find_slide` is called only where there are prompts: without any, the slide may be missing.
    """

    prompts: PromptSet
    find_slide: Callable[[], Path]
    frame: Frame
    pixel_size: PixelSize | None = None
    """As the project says it; None leaves it to the slide."""
    size: Size | None = None
    """Of level 0 as the project says it, to be sure that the slide found is the one that was drawn on."""
    class_colors: Mapping[str, Color] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    """What the user is to know of the image, each a clause."""
    prompts_are: str = _PROMPTS_ARE
    """What counts as a prompt where these came from, as a sentence for a user whose drawings are none."""
    names_no_unit: bool = False
    """Whether positions are of a table, where they are pixels unless its columns say um."""

    @property
    def left_alone(self) -> dict[str, int]:
        """What was seen besides prompts that want an outline, counted by what it is."""
        # One drawing may be ignored by several kinds of object.
        ignored = len({(one.signal, one.plane) for one in self.prompts.prompts if one.role is Role.EXCLUDE_ONLY})
        return {**self.prompts.left_alone, **({IGNORED: ignored} if ignored else {})}

    @property
    def wanted(self) -> Counter[ObjectKind]:
        """How many prompts of each kind of object ask for an outline."""
        return Counter(prompt.kind for prompt in self.prompts.prompts if prompt.role is Role.SEGMENT)


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """Which model served a kind of object."""

    kind: ObjectKind
    name: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one image, as a sink gets them.

    Attributes
    ----------
    instances
        In any order. A million of them are on disk, and come into memory one by one as they are gone through; a sink
        may do that several times.
    unread
        Ids of prompts for which nothing could be computed, because the slide could not be read there: what earlier
        runs wrote for them stays.
    """

    instances: Collection[Instance]
    class_colors: Mapping[str, Color]
    models: Sequence[ModelUsed]
    settings: Mapping[str, Any]
    unread: Collection[str] = ()


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
        Why an object of an earlier run was left as the user changed it, by prompt id.
    from_earlier
        Ids of the prompts whose outline is still that of an earlier run, for want of a new one (`Results.unread`).
    remarks
        What else the user is to know, each a clause about the file.
    """

    path: Path
    counts: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    from_earlier: Collection[str] = ()
    remarks: Sequence[str] = ()


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

    def clear(self) -> Sequence[str]:
        """Take away the results of earlier runs, because their prompts are gone; return what the user is to know."""
        ...


@dataclass(frozen=True, slots=True)
class GeoJsonSink:
    """Keeps results in a GeoJSON file that QuPath imports."""

    path: Path
    as_type: ObjectType
    source: str = ""
    """The inputs of the results, as `source_name` names them."""

    def write(self, results: Results) -> Written:
        """Replace the results of earlier runs; a file that is not one of them stays, and a free name is taken."""
        place = results_place(self.path, self.source)
        earlier = earlier_results(place.path, results.unread)
        new = results.instances
        if earlier.features:
            new = [one for one in new if one.prompt_id not in earlier.prompts]
        put_results(place, new, self.as_type, results.class_colors, earlier)
        return Written(place.path, from_earlier=earlier.prompts, remarks=place.remarks)

    @property
    def found(self) -> Path:
        """Where the results of earlier runs are; the file need not exist."""
        return find_results(self.path, self.source)

    @property
    def has_results(self) -> bool:
        """Whether the file holds anything that could be an outline of an earlier run."""
        path = self.found
        if not path.exists():
            return False
        try:
            return bool(orjson.loads(path.read_bytes())["features"])
        except (ValueError, KeyError, TypeError):
            return True

    def clear(self) -> Sequence[str]:
        """Empty the file, if there is one; a copy keeps what it held."""
        if not self.has_results:
            return ()
        place = results_place(self.path, self.source)
        # An edited file was copied when its place was chosen.
        told = place.remarks or (f"it is kept as it was as {back_up(place.path).path.name}",)
        put_results(place, (), self.as_type, {})
        return (f"{NO_PROMPTS_LEFT} {place.path}", *told)


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
    """The image's key in the journal: it stays the same where the user renames the image."""


def file_stem(name: str) -> str:
    """Return a name that every file system takes: characters that Windows or a path forbids become `_`."""
    safe = "".join("_" if character in '<>:"/\\|?*' or ord(character) < 32 else character for character in name)
    # File systems count bytes, and endings, numbers and copies need room too.
    short = safe.strip(" .")[:120].encode()[:_LONGEST_STEM].decode(errors="ignore")
    return short.rstrip(" .") or "image"
