"""What `nuclick-wsi dataset` does: outlined slides become a store of patches, and a store is described and shown."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nuclick_training.datasets.annotated_regions import OutlineRule
from nuclick_training.datasets.data import NothingToCutError
from nuclick_training.datasets.extract import Cutting, SlideReport, extract
from nuclick_training.datasets.split_assignment import PARTS, SplitAssignment, fixed_split
from nuclick_training.datasets.store import Store, read_store
from nuclick_training.datasets.store_values import Terms
from nuclick_training.datasets.store_writer import StoreWriter
from nuclick_training.evaluation.sheet import contact_sheet
from nuclick_wsi.choices import SplitBy
from nuclick_wsi.cli.console import make_console
from nuclick_wsi.cli.dataset_sources import sources_of
from nuclick_wsi.cli.screen import print_json
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.models.card import default_model, find_model, read_card
from nuclick_wsi.ownership import require_free
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize

_NOTABLY = 1.05
"""Enlargement from which on a user is told of it."""
_BY_SLIDE = "No slide is in two parts; a patient may be, as was asked for."


@dataclass(frozen=True, slots=True)
class ExtractRequest:
    """What `nuclick-wsi dataset extract` was asked to do."""

    sources: Sequence[Path]
    target: Path
    model: str | None = None
    kind: ObjectKind | None = None
    patch_mpp: float | None = None
    mpp: float | None = None
    force_mpp: float | None = None
    regions: Sequence[str] = ()
    classes: Sequence[str] = ()
    patch: int = 512
    assignment: SplitAssignment = field(default_factory=SplitAssignment)
    patient_from: str | None = None
    slides: Path | None = None
    overwrite: bool = False


def extract_dataset(request: ExtractRequest, quiet: bool = False) -> int:
    """Cut patches from all sources into a store; return the exit code: 1 where an image could not be used."""
    console = make_console(stderr=quiet)
    terms = _terms(request)
    given = GivenPixelSize.of_options(request.mpp, request.force_mpp)
    cutting = Cutting(terms.mpp, terms.patch, given, _pattern(request.patient_from))
    rule = OutlineRule(terms.kind, request.regions, request.classes)
    if request.slides is not None and not request.slides.is_dir():
        raise SettingsError(f"--slides {request.slides} is not a folder.")
    if request.assignment.by is SplitBy.FIXED:
        for source in request.sources:
            fixed_split(str(source))
    sources = [named for source in request.sources for named in sources_of(source, rule, request.slides)]
    with StoreWriter(request.target, terms, request.overwrite) as writer:
        reports = extract(sources, cutting, writer, lambda report: _print_slide(console, report, quiet))
        failed = {report.name: report.error for report in reports if report.error is not None}
        if not writer.slides:
            raise NothingToCutError(f"{request.target}: not written. {_what_to_do(rule, bool(failed))}")
        writer.finish(request.assignment, failed)
    store = read_store(request.target)
    if not quiet:
        _print_store(console, store)
    return 1 if failed else 0


def _what_to_do(rule: OutlineRule, some_failed: bool) -> str:
    if some_failed:
        return "Nothing can be cut from any image; what is wrong with them is said above."
    return (
        f"No image has a region: draw an annotation of class {' or '.join(rule.region_classes)} (ASAP: a polygon in a "
        "group of that name) around a part in which every object is outlined, or name the class that says so with "
        "--region-class."
    )


def show_info(path: Path, as_json: bool = False) -> int:
    """Print what is in a store; return 1 where it leaks."""
    store = read_store(path)
    if as_json:
        print_json(_plain(store))
    else:
        _print_store(make_console(), store)
    return 1 if store.leaks else 0


def show_sheet(path: Path, target: Path, part: str | None, count: int, seed: int) -> None:
    """Write a contact sheet of a store's patches."""
    if part not in (None, *PARTS):
        raise SettingsError(f"--part {part}: a store has the parts {', '.join(PARTS)}.")
    store = read_store(path)
    if not any(part in (None, slide.part) for slide in store.slides):
        raise SettingsError(f"--part {part}: {path} keeps nothing for it; see `nuclick-wsi dataset info`.")
    content, shown = contact_sheet(store, part, count, seed)
    require_free(target, content)
    write_atomically(target, content)
    _say(make_console(), f"{target}: {shown} of {len(store.patches['slide'])} patches")


def _terms(request: ExtractRequest) -> Terms:
    """Return kind, pixel size and side of the patches: the model's, but for what is said otherwise."""
    kind, mpp = request.kind, request.patch_mpp
    if request.model is not None:
        card = read_card(find_model(request.model))
        if kind not in (None, card.kind):
            raise SettingsError(f"{request.model} is for a {card.kind}, not for a {kind}: drop --kind, or --model.")
        kind, mpp = card.kind, mpp or card.mpp
    if kind is None:
        raise SettingsError("What are the objects? Name the --model that the patches are for, or the --kind of object.")
    mpp = mpp or read_card(default_model(kind)).mpp
    if not 0.05 <= mpp <= 20:
        raise SettingsError(f"--patch-mpp is the width of a patch's pixel in um, between 0.05 and 20, not {mpp}.")
    return Terms(kind, mpp, request.patch, tuple(request.regions), tuple(request.classes))


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise SettingsError(f"--patient-from {text!r} is no regular expression: {error}.") from error


def _print_slide(console: Console, report: SlideReport, quiet: bool) -> None:
    if report.error is not None:
        _warn(console, f"{report.name}: {report.error}")
    if report.error is not None or quiet:
        return
    if not report.patches:
        _say(console, f"{report.name}: {report.classes}")
        return
    enlarged = f", enlarged {report.enlarged:.2g} times" if report.enlarged > _NOTABLY else ""
    _say(console, f"{report.name}: {report.patches} patches, {report.objects} objects{enlarged}")
    for remark in (report.classes, *report.remarks):
        if remark:
            _say(console, f"  {remark}")


@dataclass(frozen=True, slots=True)
class _Part:
    """What a store has of a part."""

    name: str
    slides: int
    patients: int
    patches: int
    objects: int
    median_object_um2: float | None
    um_per_pixel: Sequence[float]


def _parts(store: Store) -> Iterator[_Part]:
    slides = store.slides
    part_of = np.array([PARTS.index(slide.part) for slide in slides])
    for number, part in enumerate(PARTS):
        chosen = [slide for slide in slides if slide.part == part]
        of_part = part_of[store.objects["slide"]] == number
        areas = store.objects["pixels"][of_part] * np.array([s.mpp**2 for s in slides])[store.objects["slide"][of_part]]
        yield _Part(
            name=part,
            slides=len(chosen),
            patients=len({slide.patient for slide in chosen}),
            patches=int((part_of[store.patches["slide"]] == number).sum()),
            objects=len(areas),
            median_object_um2=float(np.median(areas)) if len(areas) else None,
            um_per_pixel=sorted({float(f"{slide.mpp:.3g}") for slide in chosen}),
        )


def _plain(store: Store) -> dict[str, object]:
    """Return what `_print_store` prints as JSON has it."""
    terms = store.terms
    return {
        "store": str(store.path),
        "object": terms.kind.value,
        "patch_px": terms.patch,
        "mpp": terms.mpp,
        "divided_by": store.assignment.by.value,
        "seed": store.assignment.seed,
        "parts": [asdict(part) for part in _parts(store)],
        "not_used": dict(store.failed),
        "leaks": store.leaks,
    }


def _print_store(console: Console, store: Store) -> None:
    terms, slides = store.terms, store.slides
    size = sum(path.stat().st_size for path in store.path.rglob("*") if path.is_file())
    _say(
        console,
        f"{store.path}: {terms.kind}, patches of {terms.patch} x {terms.patch} px of {terms.mpp:g} um, "
        f"divided by {store.assignment.by} (seed {store.assignment.seed}), {size / 1e6:.1f} MB",
    )
    table = Table("part", "slides", "patients", "patches", "objects", "median object um2", "slides' um per pixel")
    for part in _parts(store):
        median, sizes = part.median_object_um2, ", ".join(f"{size:.3g}" for size in part.um_per_pixel)
        counts = (part.slides, part.patients, part.patches, part.objects)
        table.add_row(part.name, *map(str, counts), "-" if median is None else f"{median:.1f}", sizes or "-")
    console.print(table)
    absent = [part for part in PARTS if all(slide.part != part for slide in slides)]
    if absent:
        _say(console, f"Nothing is kept for {' and '.join(absent)}: too few patients, or a share of 0.")
    for name, why in store.failed.items():
        _warn(console, f"not used: {name}: {why}")
    for leak in store.leaks:
        _warn(console, f"LEAK: {leak}")
    if not store.leaks:
        _say(
            console,
            "No patient and no slide is in two parts." if store.assignment.by is not SplitBy.SLIDE else _BY_SLIDE,
        )


def _warn(console: Console, text: str) -> None:
    console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
