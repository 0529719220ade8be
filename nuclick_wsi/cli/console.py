"""The console, and the progress of a run on it."""

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
from rich.text import Text

LOG_WIDTH = 160
"""Columns where the output goes to a file, which has no width of its own."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for tables in a log."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line as it is: names in it are no markup, and a path stays in one piece."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


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
