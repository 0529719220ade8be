"""The output of a run: a progress bar while it runs, a table when it has ended."""

from collections import Counter
from collections.abc import Iterable
from types import TracebackType

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
from rich.table import Table
from rich.text import Text

from nuclick_wsi.runs.jobs import Written
from nuclick_wsi.runs.report import ImageReport, RunReport, Status

LOG_WIDTH = 160
"""Columns where the output goes to a file, which has no width of its own."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for tables in a log."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


class ClicksPerSecond(ProgressColumn):
    """The speed of the run, on the bars that count prompts."""

    def render(self, task: Task) -> Text:
        """Return prompts per second, averaged over the last ones."""
        if not task.fields.get("counts_prompts"):
            return Text()
        return Text(f"{task.speed:.0f} clicks/s" if task.speed else "- clicks/s")


class ProgressWatcher:
    """A progress display with one bar for the images and one for the prompts of the current image."""

    def __init__(self, console: Console, images: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            ClicksPerSecond(),
            TimeRemainingColumn(),
            console=console,
        )
        self._images = self._progress.add_task("images", total=images)
        self._prompts: TaskID | None = None

    def __enter__(self) -> "ProgressWatcher":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def image_started(self, name: str, prompts: int) -> None:
        """Show a bar for the image's prompts."""
        self._prompts = self._progress.add_task(name, total=prompts, counts_prompts=True)

    def prompts_done(self, count: int) -> None:
        """Move the bar on."""
        assert self._prompts is not None, "prompts are done only in an image that has started"
        self._progress.advance(self._prompts, count)

    def image_ended(self, report: object) -> None:
        """Take the image's bar away."""
        if self._prompts is not None:
            self._progress.remove_task(self._prompts)
            self._prompts = None
        self._progress.advance(self._images)


def print_report(console: Console, report: RunReport) -> None:
    """Print the table of a run, what went wrong in full, and where the results are."""
    table = Table(title_justify="left")
    for heading in ("image", "prompts", "unchanged", "instances", "rejected", "status"):
        table.add_column(heading, justify="right" if heading in ("prompts", "unchanged", "instances") else "left")
    table.add_column("seconds", justify="right")
    for image in report.images:
        table.add_row(*_row(image), style="red" if image.status is Status.FAILED else None)
    console.print(table)
    for line in [*report.notes, *_remarks(report.images)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _row(image: ImageReport) -> list[str]:
    return [
        image.name,
        "\n".join(f"{count} {kind}" for kind, count in image.prompts.items()),
        str(image.recalled) if image.was_computed else "",
        str(image.instances) if image.was_computed else "",
        "\n".join(f"{count} {reason}" for reason, count in sorted(image.reasons.items())),
        image.status.value,
        f"{image.seconds:.1f}",
    ]


def _remarks(images: Iterable[ImageReport]) -> Iterable[str]:
    for image in images:
        if image.error:
            yield f"{image.name}: {image.error}"
        yield from (f"{image.name}: {remark}." for remark in image.remarks)
        if image.written is not None:
            yield from _changes(image.name, image.written)
        for reading in image.readings:
            if reading.upsampled:
                yield (
                    f"{image.name}: the slide is coarser than the {reading.kind} model's pixel size and was enlarged "
                    f"{1 / reading.downsample:.2f} times; outlines are less exact than on a finer slide."
                )


def _changes(name: str, written: Written) -> Iterable[str]:
    if written.counts:
        yield f"{name}: {', '.join(f'{count} {what}' for what, count in written.counts.items())} in {written.path}"
    if written.kept:
        kept = Counter(written.kept.values())
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(kept.items()))
        yield f"{name}: kept as you made them: {reasons}. The run record names them."
    if written.from_earlier:
        yield (
            f"{name}: {len(written.from_earlier)} outlines of an earlier run were kept, because the slide could not be "
            "read there. The run record names them; run again with a whole slide."
        )
    yield from (f"{name}: {remark}." for remark in written.remarks)


def print_plan(console: Console, report: RunReport) -> None:
    """Print what a run would do, image by image."""
    table = Table()
    for heading in ("image", "prompts", "left alone", "slide", "read as", "status"):
        table.add_column(heading, overflow="fold")
    for image in report.images:
        size = image.pixel_size
        table.add_row(
            image.name,
            "\n".join(
                [f"{count} {kind}" for kind, count in image.prompts.items()]
                + [f"{count} rejected: {reason}" for reason, count in sorted(image.reasons.items())]
            ),
            "\n".join(f"{count} {what}" for what, count in image.left_alone.items()),
            f"{image.slide}\n{image.reader}, {size.x_um:.4f} x {size.y_um:.4f} um" if size else "",
            "\n".join(f"{r.kind}: level {r.level}, downsample {r.downsample:.3f}" for r in image.readings),
            image.status.value,
            style="red" if image.status is Status.FAILED else None,
        )
    console.print(table)
    for line in [*report.notes, *_remarks(report.images)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
