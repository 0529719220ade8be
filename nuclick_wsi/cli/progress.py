"""The progress of a run over images: bars in a terminal, a line now and then where the output is piped."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nuclick_wsi.cli.console import say

SECONDS_BETWEEN_LINES = 10.0


class ProgressWatcher(Protocol):
    """Shows how far a run over images is, as long as it is entered."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show no more."""

    def image_started(self, name: str, prompts: int) -> None:
        """An image is about to go through the network."""

    def prompts_done(self, count: int) -> None:
        """`count` more of the image's prompts are done."""

    def step_done(self, what: str, done: int, total: int) -> None:
        """So much is done of what comes after the network."""

    def image_ended(self, report: object) -> None:
        """An image has been worked on, with success or without."""


def make_watcher(console: Console, images: int, *, quiet: bool = False) -> ProgressWatcher:
    """Return the watcher that suits a console."""
    if quiet:
        return Lines(images, lambda _: None)
    return Bars(console, images) if console.is_terminal else Lines(images, lambda line: say(console, line))


class Lines:
    """A line at the start, and one at most every few seconds after it.

    Parameters
    ----------
    images
        How many there are.
    say
        Takes a line.
    clock
        Returns seconds.
    """

    def __init__(self, images: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._images, self._say, self._clock = images, say, clock
        self._ended = 0
        self._said: float | None = None
        self._name, self._prompts, self._done = "", 0, 0
        self._before = 0.0, 0
        """When a line was said before in this image, and how many of its prompts were done then."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to be said."""

    def image_started(self, name: str, prompts: int) -> None:
        """Say which image it is."""
        self._name, self._prompts, self._done = name, prompts, 0
        self._before = self._clock(), 0
        self._now_and_then(lambda: f"image {self._ended + 1} of {self._images}, {name}: {prompts} prompts")

    def prompts_done(self, count: int) -> None:
        """Say how many are done."""
        self._done += count
        self._now_and_then(self._far)

    def step_done(self, what: str, done: int, total: int) -> None:
        """Say what is being done, and how much of it is."""
        image = f"image {self._ended + 1} of {self._images}, {self._name}"
        self._now_and_then(lambda: f"{image}: {what}, {done} of {total}")

    def image_ended(self, report: object) -> None:
        """Say how many images are done."""
        self._ended += 1
        self._now_and_then(lambda: f"{self._ended} of {self._images} images done")

    def _now_and_then(self, line: Callable[[], str]) -> None:
        now = self._clock()
        if self._said is None or now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            self._say(line())

    def _far(self) -> str:
        line = f"image {self._ended + 1} of {self._images}, {self._name}: {self._done} of {self._prompts} prompts"
        (then, done), now = self._before, self._clock()
        if now - then < SECONDS_BETWEEN_LINES:
            return line  # the image has just begun: what its first prompt took says nothing of the others
        # Since the line before: many prompts may be rejected in no time, and others take as long as they take.
        self._before = now, self._done
        speed = (self._done - done) / (now - then)
        left = (self._prompts - self._done) / max(speed, 1e-9)
        return f"{line}, {speed:.0f} per second, about {_time(left)} left in this image"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class _ClicksPerSecond(ProgressColumn):
    """The speed of the run, on the bars that count prompts."""

    def render(self, task: Task) -> Text:
        """Return prompts per second, averaged over the last ones."""
        if not task.fields.get("counts_prompts"):
            return Text()
        return Text(f"{task.speed:.0f} clicks/s" if task.speed else "- clicks/s")


class Bars:
    """One bar for the images, one for the prompts of the current image, and one for what comes after the network."""

    def __init__(self, console: Console, images: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _ClicksPerSecond(),
            TimeRemainingColumn(),
            console=console,
        )
        self._images = self._progress.add_task("images", total=images)
        self._prompts: TaskID | None = None
        self._step: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def image_started(self, name: str, prompts: int) -> None:
        """Show a bar for the image's prompts, in place of the one that was there."""
        self._without_image()
        self._prompts = self._progress.add_task(name, total=prompts, counts_prompts=True)

    def prompts_done(self, count: int) -> None:
        """Move the bar on."""
        assert self._prompts is not None, "prompts are done only in an image that has started"
        if self._step is not None:
            self._progress.remove_task(self._step)
            self._step = None
        self._progress.advance(self._prompts, count)

    def step_done(self, what: str, done: int, total: int) -> None:
        """Have a bar of its own say what is being done, and how much of it is."""
        if self._step is None:
            self._step = self._progress.add_task(what)
        self._progress.update(self._step, description=what, completed=done, total=total)

    def image_ended(self, report: object) -> None:
        """Take the image's bars away."""
        self._without_image()
        self._progress.advance(self._images)

    def _without_image(self) -> None:
        for task in (self._prompts, self._step):
            if task is not None:
                self._progress.remove_task(task)
        self._prompts = self._step = None
