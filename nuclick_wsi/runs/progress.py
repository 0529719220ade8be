"""How far the runs on a target have come, image by image: from the ends that the journal keeps, and from the lock."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from nuclick_wsi.runs.jobs import Job
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.report import Status
from nuclick_wsi.runs.run_lock import LockHolder, holder_of

TO_RETRY = (Status.FAILED, Status.INCOMPLETE)


class State(StrEnum):
    """Where an image stands; the first three are as its last run ended."""

    DONE = "done"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    WAITING = "waiting"
    """No run has come to its end."""


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """Where one image stands.

    Attributes
    ----------
    end
        How its last run ended, as `ImageReport.as_end` says; empty where none has.
    kept
        How many prompts' results are kept.
    """

    name: str
    state: State
    end: Mapping[str, Any] = field(default_factory=dict)
    kept: int = 0

    @property
    def reason(self) -> str:
        """Why it is not done; empty where it is."""
        if self.state is State.INCOMPLETE:
            return "parts of the slide could not be read"
        if self.state is State.WAITING and self.kept:
            return f"a run was stopped; {self.kept} results are kept"
        return str(self.end.get("error", ""))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**self.end, "name": self.name, "state": self.state.value, "reason": self.reason, "kept": self.kept}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where all images of a target stand."""

    images: Sequence[ImageProgress]
    running: LockHolder | None
    """The run that is at work, as far as its lock says."""

    @property
    def counts(self) -> dict[str, int]:
        """How many images are in each state."""
        found = Counter(image.state.value for image in self.images)
        return {state.value: found[state.value] for state in State}

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        lock = self.running
        running = lock and {"host": lock.process.host, "process": lock.process.number, "since": lock.since}
        return {"running": running, "counts": self.counts, "images": [image.as_json() for image in self.images]}


def progress_of(jobs: Iterable[Job], journal: Journal) -> Progress:
    """Return how far runs have come; a journal that is not there is not made."""
    ends, kept = ends_in(journal), journal.kept() if journal.path.exists() else {}
    images = [
        ImageProgress(
            job.name, _state(ends.get(job.identity, {})), ends.get(job.identity, {}), kept.get(job.identity, 0)
        )
        for job in jobs
    ]
    holder = holder_of(journal.path.parent)
    return Progress(images, holder if holder is not None and holder.process.is_running() is not False else None)


def to_retry(jobs: Iterable[Job], journal: Journal) -> list[Job]:
    """Return the jobs whose last run failed, or could not read all of the slide."""
    ends = ends_in(journal)
    return [job for job in jobs if ends.get(job.identity, {}).get("status") in TO_RETRY]


def ends_in(journal: Journal) -> dict[str, dict[str, Any]]:
    """Return how the last run of each image ended, by its key; none where there is no journal."""
    return journal.ends() if Path(journal.path).exists() else {}


def _state(end: Mapping[str, Any]) -> State:
    status = end.get("status")
    if status is None:
        return State.WAITING
    return State(status) if status in TO_RETRY else State.DONE
