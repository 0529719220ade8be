"""How a run would read an ASAP file, annotation by annotation, as a table: before anything runs."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from asap_bridge.annotations import Annotation, AnnotationType
from asap_bridge.document import Document, read_document
from asap_bridge.jobs import AsapChoice, require_named_groups, slide_of
from asap_bridge.names import unchanged_result
from asap_bridge.selection import GroupRule, ReadAs, prompts_of, read_as
from nuclick_wsi.errors import SlideError
from nuclick_wsi.prompts import Role


def inspect(console: Console, path: Path, choice: AsapChoice) -> None:
    """Print how each annotation is read, what that amounts to, and which slide it would be read on.

    Raises
    ------
    PromptError
        If the file is not ASAP's, or breaks one of its rules.
    """
    document = read_document(path)
    require_named_groups(path, document, choice.rule)
    console.print(_table(document, choice))
    for line in _remarks(document, path, choice):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def described_file(path: Path, choice: AsapChoice) -> dict[str, object]:
    """Return what `inspect` prints as plain values; errors as there."""
    document = read_document(path)
    require_named_groups(path, document, choice.rule)
    prompts = prompts_of(document.annotations, choice.objects, choice.rule)
    try:
        slide = str(slide_of(path, choice.slide))
    except SlideError:
        slide = None
    return {
        "slide": slide,
        "prompts": dict(Counter(one.kind.value for one in prompts.prompts if one.role is Role.SEGMENT)),
        "left_alone": dict(prompts.left_alone),
        "rejections": [one.as_json() for one in prompts.rejections],
        "annotations": [
            {
                "name": one.name,
                "type": one.type.value,
                "points": len(one.points),
                "group": one.group,
                "read_as": described(one, choice),
            }
            for one in document.annotations
        ],
    }


def _table(document: Document, choice: AsapChoice) -> Table:
    table = Table()
    for heading in ("", "annotation", "type", "points", "group", "read as"):
        table.add_column(heading, justify="right" if heading in ("", "points") else "left", overflow="fold")
    results: Counter[str] = Counter()
    for number, one in enumerate(document.annotations, start=1):
        if unchanged_result(one) is not None:
            results[one.group or ""] += 1
            continue
        table.add_row(
            str(number), one.name, one.type.value, str(len(one.points)), one.group or "", described(one, choice)
        )
    for group, count in results.items():
        table.add_row("", f"{count} polygons", AnnotationType.POLYGON.value, "", group, "results of an earlier run")
    return table


def described(one: Annotation, choice: AsapChoice) -> str:
    """Return in words how an annotation is read, and why it is left alone if it is."""
    match read_as(one, choice.rule):
        case ReadAs.CLICK:
            count = len(one.points)
            what = "click" if count == 1 else f"{count} clicks"
            return f"{what}: {' and '.join(choice.objects.of_points) or 'not asked for'}"
        case ReadAs.SQUIGGLE:
            return f"squiggle{_how(one)}: {' and '.join(choice.objects.of_lines) or 'not asked for'}"
        case ReadAs.RESULT:
            return "left alone: a result that you have changed or moved, or in a group for results"
    return f"left alone: {_why(one.type)}"


def _how(one: Annotation) -> str:
    match one.type:
        case AnnotationType.POLYGON:
            return " without its closing edge"
        case AnnotationType.SPLINE:
            return " along the curve, without its closing edge"
    return ""


def _why(kind: AnnotationType) -> str:
    if kind in (AnnotationType.POLYGON, AnnotationType.SPLINE):
        return "a squiggle only in a group that says so"
    return "an area" if kind is AnnotationType.RECTANGLE else "no shape"


def _remarks(document: Document, path: Path, choice: AsapChoice) -> Iterator[str]:
    prompts = prompts_of(document.annotations, choice.objects, choice.rule)
    kinds = Counter(f"{one.kind} ({one.role}, class {one.class_name or 'none'})" for one in prompts.prompts)
    yield "Prompts: " + (", ".join(f"{count} {what}" for what, count in kinds.items()) or "none")
    for one in prompts.rejections:
        yield f"Rejected: {one.detail}: {one.reason}"
    clicks, squiggles = _named(choice.rule)
    yield f"Point sets are clicks {clicks}; polygons and splines are squiggles {squiggles}."
    try:
        yield f"Slide: {slide_of(path, choice.slide)}"
    except SlideError as error:
        yield f"Slide: {error}"


def _named(rule: GroupRule) -> tuple[str, str]:
    pairs = ((rule.clicks, "click"), (rule.squiggles, "squiggle"))
    first, second = (
        f"in {', '.join(map(repr, names))}" if names else f'in groups with "{word}" in the name'
        for names, word in pairs
    )
    return first, second
