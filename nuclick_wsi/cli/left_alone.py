"""What a run saw and left alone, in words: above all where it found nothing to outline."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nuclick_wsi.formats.prompt_table import ON_ANOTHER_SLIDE, ROW_WITHOUT_POSITION, SEVERAL_POINTS
from nuclick_wsi.runs.jobs import IGNORED
from nuclick_wsi.runs.report import ImageReport, Status
from qupath_extension.viewer_marks import LEFT_OUT

_POINTS = "points: not asked for"
_WORDS = {
    "region": ("area (polygon, rectangle, ...)", "areas (polygons, rectangles, ...)"),
    "tmaCore": ("TMA core", "TMA cores"),
    "result": ("outline of an earlier run", "outlines of earlier runs"),
    _POINTS: ("point that --object did not ask for", "points that --object did not ask for"),
    IGNORED: (f"point or line {IGNORED}", f"points or lines {IGNORED}"),
    LEFT_OUT: (f"click or line {LEFT_OUT}", f"clicks or lines {LEFT_OUT}"),
    ON_ANOTHER_SLIDE: (f"point {ON_ANOTHER_SLIDE}", f"points {ON_ANOTHER_SLIDE}"),
    ROW_WITHOUT_POSITION: (f"row {ROW_WITHOUT_POSITION}", f"rows {ROW_WITHOUT_POSITION}"),
    SEVERAL_POINTS: (SEVERAL_POINTS, SEVERAL_POINTS.replace("annotation", "annotations", 1)),
    "to be ignored, but unusable": (f"empty annotation {IGNORED}", f"empty annotations {IGNORED}"),
}
_HINTS = {
    _POINTS: "Points are outlined with --object auto, nucleus, cell or cell+nucleus.",
    IGNORED: "What has a class Ignore* gets no outline; it only keeps its neighbours' outlines off.",
}
_FEW = 3
"""How many images without prompts are named."""


def counted(left_alone: Mapping[str, int]) -> list[str]:
    """Return counts of what was left alone, in words."""
    return [f"{count} {_words(what)[count != 1]}" for what, count in left_alone.items()]


def not_asked_for(image: ImageReport) -> Iterator[str]:
    """Yield a line where an image that was worked on has marks that the user may have wanted outlined too."""
    skipped = {what: count for what, count in image.left_alone.items() if what == _POINTS}
    if skipped:
        yield f"{image.name}: left alone: {', '.join(counted(skipped))}."


def no_prompts_lines(images: Sequence[ImageReport], verbose: bool = False) -> Iterator[str]:
    """Yield what the user is to know of the images without prompts: how many, what was seen there, what counts."""
    empty = [image for image in images if image.status is Status.NO_PROMPTS]
    if not empty:
        return
    seen: Counter[str] = Counter()
    for image in empty:
        seen.update(image.left_alone)
    yield f"{_named(empty, len(images))} {_sight(seen)}"
    if len(empty) == len(images) or seen:
        yield from _hints(empty, seen)
    told = [f"{image.name}: {remark}." for image in empty for remark in image.told]
    yield from told if verbose else told[:_FEW]
    if len(told) > _FEW and not verbose:
        yield f"{len(told) - _FEW} more remarks on images without prompts: --verbose shows them."


def _named(empty: Sequence[ImageReport], images: int) -> str:
    if len(empty) > _FEW:
        return f"{len(empty)} of {images} images have no prompts."
    names = ", ".join(image.name for image in empty)
    return f"{names}: no prompts."


def _sight(seen: Mapping[str, int]) -> str:
    return f"Seen there and left alone: {', '.join(counted(seen))}." if seen else "Nothing is drawn there."


def _hints(empty: Iterable[ImageReport], seen: Mapping[str, int]) -> Iterator[str]:
    """Yield what would have to be otherwise, or else what counts as a prompt."""
    hints = [hint for what, hint in _HINTS.items() if what in seen]
    rules = () if hints else dict.fromkeys(image.prompts_are for image in empty)
    yield from (*hints, *rules)


def _words(what: str) -> tuple[str, str]:
    return _WORDS.get(what, (what, f"{what}s"))
