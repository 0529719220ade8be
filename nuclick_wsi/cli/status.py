"""The command `status`: how far the runs on a target have come, as a table or as JSON."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nuclick_wsi.choices import ProjectAccess
from nuclick_wsi.cli.console import say
from nuclick_wsi.cli.run import work_of
from nuclick_wsi.cli.run_request import RunRequest
from nuclick_wsi.cli.screen import Screen, print_json
from nuclick_wsi.runs.progress import ImageProgress, Progress, State, progress_of

_STYLES = {State.FAILED: "red", State.INCOMPLETE: "yellow", State.WAITING: "dim"}


def show_status(request: RunRequest, screen: Screen) -> None:
    """Show where each image of a target stands; nothing is opened but the target and the journal."""
    work = work_of(request.found())
    with work.journal as journal:
        progress = progress_of(work.jobs, journal)
    if screen.as_json:
        print_json({"target": str(request.target), "out": str(work.out), **progress.as_json()})
        return
    _print(screen.out, progress, work.out)
    for note in journal.notes:
        screen.warn(note, "yellow")


def request_of(target: Path, slide: Path | None, slides: Path | None, out: Path | None) -> RunRequest:
    """Return the run whose progress is asked for; no QuPath is started for it."""
    access = ProjectAccess.AUTO if out is not None else ProjectAccess.FILES
    return RunRequest(target, slide, slides, out=out, project_access=access)


def _print(console: Console, progress: Progress, out: Path) -> None:
    table = Table()
    for heading in ("image", "state", "prompts", "outlines", "rejected", "finished", "reason"):
        table.add_column(heading, overflow="fold")
    for image in progress.images:
        table.add_row(*_row(image), style=_STYLES.get(image.state))
    console.print(table)
    say(console, ", ".join(f"{count} {state}" for state, count in progress.counts.items() if count) or "no images")
    if progress.running is not None:
        say(console, f"A run is at work in {out} ({progress.running}).")
    elif progress.counts[State.FAILED] + progress.counts[State.INCOMPLETE]:
        say(console, "`nuclick-wsi run` with --retry-failed works on those that failed or are incomplete.")


def _row(image: ImageProgress) -> Sequence[str]:
    end = image.end
    rejected = sum(end.get("rejections_by_reason", {}).values())
    return (
        image.name,
        image.state.value,
        "\n".join(f"{count} {kind}" for kind, count in end.get("prompts", {}).items()),
        str(end.get("instances", "")),
        str(rejected) if end else "",
        str(end.get("finished", "")),
        image.reason,
    )
