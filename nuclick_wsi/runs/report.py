"""The report of a run, image by image, for the record that is kept as JSON and the table that the user sees."""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from nuclick_wsi.instances import Rejection
from nuclick_wsi.runs.jobs import ModelUsed, Written
from nuclick_wsi.runs.preview.files import Preview
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import Reading

RECORDED_PACKAGES = ("nuclick-wsi", "torch", "numpy", "scipy", "shapely", "openslide-python", "tiffslide", "pillow")


class Status(StrEnum):
    """How an image ended."""

    DONE = "done"
    INCOMPLETE = "incomplete"
    """Done, but for prompts where the slide could not be read."""
    READY = "ready"
    """Checked in a dry run: it can be segmented."""
    NO_PROMPTS = "no prompts"
    NO_OUTLINES = "no outlines"
    """Every prompt was rejected."""
    FAILED = "failed"
    """Its data or its slide cannot be used; the error says why."""


@dataclass(frozen=True, slots=True)
class ImageReport:
    """One image of a run."""

    name: str
    status: Status
    error: str | None = None
    slide: Path | None = None
    fingerprint: str | None = None
    reader: str | None = None
    pixel_size: PixelSize | None = None
    pixel_size_source: str | None = None
    """Who says that it is this."""
    readings: Sequence[Reading] = ()
    prompts: Mapping[str, int] = field(default_factory=dict)
    """How many prompts of each kind asked for an outline."""
    recalled: int = 0
    """How many of them were known from an earlier run and did not go through the network."""
    instances: int = 0
    unsure: Mapping[str, float] = field(default_factory=dict)
    """How sure the outlines are that are worth a look, by prompt, the least sure first."""
    rejections: Sequence[Rejection] = ()
    left_alone: Mapping[str, int] = field(default_factory=dict)
    """What was seen besides prompts that want an outline, counted by what it is."""
    prompts_are: str = ""
    """What counts as a prompt where these came from, as a sentence; for an image that has none."""
    remarks: Sequence[str] = ()
    """What the user is to know of the image."""
    cleared: Sequence[str] = ()
    """What the user is to know of outlines of earlier runs that were taken out, because their prompts are gone."""
    written: Written | None = None
    preview: Preview | None = None
    traceback: str | None = None
    """Only where the error is a defect of this program."""
    seconds: float = 0.0

    @property
    def reasons(self) -> Counter[str]:
        """How many prompts were rejected for each reason."""
        return Counter(rejection.reason.value for rejection in self.rejections)

    @property
    def was_computed(self) -> bool:
        """Whether every prompt of the image has ended as an instance or a rejection."""
        return self.status in (Status.DONE, Status.INCOMPLETE, Status.NO_OUTLINES)

    @property
    def left_no_trace(self) -> bool:
        """Whether there was nothing to do, and nothing was done."""
        return self.status is Status.NO_PROMPTS and not self.cleared

    @property
    def told(self) -> tuple[str, ...]:
        """All that the user is to know of the image and of its results, each a clause."""
        return (*self.remarks, *self.cleared, *(self.written.remarks if self.written else ()))

    def as_json(self) -> dict[str, Any]:
        """Return the report with what is unknown left out."""
        size = self.pixel_size
        entries = {
            "name": self.name,
            "status": self.status.value,
            "error": self.error,
            "traceback": self.traceback,
            "slide": self.slide and str(self.slide),
            "fingerprint": self.fingerprint,
            "reader": self.reader,
            "pixel_size_um": size and [size.x_um, size.y_um],
            "pixel_size_from": self.pixel_size_source,
            "readings": [
                {"kind": r.kind.value, "level": r.level, "downsample": r.downsample, "upsampled": r.upsampled}
                for r in self.readings
            ],
            "prompts": dict(self.prompts),
            "recalled": self.recalled,
            "instances": self.instances,
            "to_look_at": {prompt: round(sureness, 4) for prompt, sureness in self.unsure.items()},
            "rejections_by_reason": dict(self.reasons),
            "rejections": [rejection.as_json() for rejection in self.rejections],
            "left_alone": dict(self.left_alone),
            "result": self.written and str(self.written.path),
            "changes": self.written and (dict(self.written.counts) or None),
            "kept": self.written and (dict(self.written.kept) or None),
            "from_earlier_run": self.written and (sorted(self.written.from_earlier) or None),
            "remarks": list(self.told) or None,
            "preview": self.preview and str(self.preview.overview),
            "preview_page": self.preview and str(self.preview.page),
            "preview_sheets": self.preview and [str(path) for path in self.preview.sheets],
            "seconds": round(self.seconds, 3),
        }
        return {key: value for key, value in entries.items() if value is not None}

    def as_end(self) -> dict[str, Any]:
        """Return how the image has ended, in short, and when that was."""
        # What there may be a million of is not made into values for it.
        bare = replace(self, unsure={}, rejections=())
        said = {**bare.as_json(), "rejections_by_reason": dict(self.reasons)}
        short = {key: said[key] for key in _OF_AN_END if key in said}
        return {**short, "finished": datetime.now(UTC).isoformat(timespec="seconds")}


_OF_AN_END = (
    "name",
    "status",
    "error",
    "prompts",
    "recalled",
    "instances",
    "rejections_by_reason",
    "result",
    "seconds",
)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run."""

    started: datetime
    settings: Mapping[str, Any]
    models: Sequence[ModelUsed]
    images: Sequence[ImageReport]
    notes: Sequence[str] = ()
    """What the user is to know of the run as a whole."""
    details: Sequence[str] = ()
    """What is recorded, and told who wants to know all."""
    finished: datetime = field(default_factory=lambda: datetime.now(UTC))
    record: Path | None = None
    """Where the run's record is kept; None for a dry run, and where there was nothing to do."""
    rejections_table: Path | None = None
    """Where all rejections are kept as a table; None where there are none."""

    @property
    def failed(self) -> list[ImageReport]:
        """The images that could not be worked on."""
        return [image for image in self.images if image.status is Status.FAILED]

    def content(self) -> dict[str, Any]:
        """Return the run record: what ran, on what, with which model and settings, and with which results."""
        return {
            "generator": "nuclick-wsi",
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "platform": {"python": platform.python_version(), "system": platform.platform()},
            "packages": _versions(RECORDED_PACKAGES),
            "settings": dict(self.settings),
            "models": [asdict(model) | {"path": str(model.path)} for model in self.models],
            "notes": [*self.details, *self.notes],
            "record": self.record and str(self.record),
            "rejections_table": self.rejections_table and str(self.rejections_table),
            "images": [image.as_json() for image in self.images],
        }

    def as_json(self) -> bytes:
        """Return the run record as a JSON file's content."""
        return orjson.dumps(self.content(), option=orjson.OPT_INDENT_2)


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
