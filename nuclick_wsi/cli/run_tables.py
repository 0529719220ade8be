"""What a run has done, or would do, as tables and lines for the user."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from nuclick_wsi.cli.console import say
from nuclick_wsi.cli.left_alone import counted, no_prompts_lines, not_asked_for
from nuclick_wsi.geometry import Point
from nuclick_wsi.runs.jobs import Written
from nuclick_wsi.runs.report import ImageReport, RunReport, Status

_PLACES = 3
"""How many places of one reason are named."""


def print_report(console: Console, report: RunReport, verbose: bool = False) -> None:
    """Print the table of a run, what went wrong in full, and what the user is to know."""
    table = Table(title_justify="left")
    for heading in ("image", "prompts", "unchanged", "instances", "rejected", "status"):
        table.add_column(heading, justify="right" if heading in ("prompts", "unchanged", "instances") else "left")
    table.add_column("seconds", justify="right")
    for image in _rows(report, verbose):
        table.add_row(*_row(image, verbose), style=_style(image))
    _print(console, report, table, verbose)


def print_plan(console: Console, report: RunReport, verbose: bool = False) -> None:
    """Print what a run would do, image by image."""
    table = Table()
    for heading in ("image", "prompts", "left alone", "slide", "read as", "status"):
        table.add_column(heading, overflow="fold")
    for image in _rows(report, verbose):
        size = image.pixel_size
        table.add_row(
            image.name,
            "\n".join(
                [f"{count} {kind}" for kind, count in image.prompts.items()]
                + [f"rejected: {reason}" for reason in _reasons(image, verbose)]
            ),
            "\n".join(counted(image.left_alone)),
            f"{image.slide}\n{image.reader}, {size.x_um:.4f} x {size.y_um:.4f} um" if size else "",
            "\n".join(f"{r.kind}: level {r.level}, downsample {r.downsample:.3f}" for r in image.readings),
            image.status.value,
            style=_style(image),
        )
    _print(console, report, table, verbose)


def _print(console: Console, report: RunReport, table: Table, verbose: bool) -> None:
    if table.row_count:
        console.print(table)
    details = _details(report) if verbose else ()
    lines = [*report.notes, *details, *no_prompts_lines(report.images, verbose)]
    for line in [*lines, *_to_look_at(report), *_remarks(report.images)]:
        say(console, line)


def _to_look_at(report: RunReport) -> Iterable[str]:
    for image in report.images:
        if image.unsure:
            yield (
                f"{image.name}: {len(image.unsure)} of {image.instances} outlines to look at (sureness below "
                f"{report.settings['look_at_below']:g}); the run record names them, the least sure first."
            )


def _rows(report: RunReport, verbose: bool) -> list[ImageReport]:
    return [image for image in report.images if verbose or image.status is not Status.NO_PROMPTS]


def _details(report: RunReport) -> Iterable[str]:
    """Yield what only --verbose tells: models, settings, how slides were read, each rejection, what failed inside."""
    yield from report.details
    for model in report.models:
        yield f"Model for a {model.kind}: {model.name}, {model.path}, SHA-256 {model.sha256}"
    yield "Settings: " + ", ".join(f"{name} {value}" for name, value in report.settings.items())
    for image in report.images:
        if image.pixel_size is not None:
            size = f"{image.pixel_size.x_um:.4f} x {image.pixel_size.y_um:.4f} um"
            yield f"{image.name}: {image.slide}, read by {image.reader}, {size} per pixel"
        for reading in image.readings:
            yield f"{image.name}: {reading.kind}: level {reading.level}, downsample {reading.downsample:.3f}"
        for what in counted(image.left_alone):
            yield f"{image.name}: left alone: {what}"
        for one in image.rejections:
            yield f"{image.name}: rejected: {one.kind or 'prompt'} {one.prompt_id}: {one.reason}: {one.detail}"
        if image.traceback is not None:
            yield image.traceback


def _style(image: ImageReport) -> str | None:
    return {Status.FAILED: "red", Status.NO_OUTLINES: "yellow", Status.INCOMPLETE: "yellow"}.get(image.status)


def _row(image: ImageReport, verbose: bool) -> list[str]:
    return [
        image.name,
        "\n".join(f"{count} {kind}" for kind, count in image.prompts.items()),
        str(image.recalled) if image.was_computed else "",
        str(image.instances) if image.was_computed else "",
        "\n".join(_reasons(image, verbose)),
        image.status.value,
        f"{image.seconds:.1f}",
    ]


def _reasons(image: ImageReport, verbose: bool) -> Iterable[str]:
    """Yield how many prompts were rejected for each reason, and where the first of them are."""
    places: dict[str, list[Point]] = defaultdict(list)
    for one in image.rejections:
        places[one.reason.value] += [one.position] if one.position else []
    for reason, count in sorted(image.reasons.items()):
        yield f"{count} {reason}" + (f"\n  at {_listed(places[reason], verbose)}" if places[reason] else "")


def _listed(places: Sequence[Point], verbose: bool) -> str:
    if verbose:
        return " ".join(f"({place.x:.0f}, {place.y:.0f})" for place in places)
    first = " ".join(f"({place.x:.0f}, {place.y:.0f})" for place in places[:_PLACES])
    return first if len(places) <= _PLACES else f"{first} ..."


def _remarks(images: Iterable[ImageReport]) -> Iterable[str]:
    for image in images:
        if image.error:
            yield f"{image.name}: {image.error}"
        if image.status is not Status.NO_PROMPTS:
            yield from not_asked_for(image)
            yield from (f"{image.name}: {remark}." for remark in image.told)
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
