"""From outlined slides to a store: patches at one pixel size, cut where everything is regions.

Slides are extracted one after the other. One that cannot be used is reported by name, and the others go on.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nuclick_training.datasets.annotated_regions import AnnotatedRegions, NoRegion, SlideSource
from nuclick_training.datasets.data import DataError
from nuclick_training.datasets.fields import Field
from nuclick_training.datasets.split_assignment import patient_of
from nuclick_training.datasets.store_values import StoredPatch, StoredSlide
from nuclick_training.datasets.store_writer import StoreWriter
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize, resolve_pixel_size
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.resample import grid_for, read_window
from nuclick_wsi.slides.slide import Slide, require_size


@dataclass(frozen=True, slots=True)
class Cutting:
    """How patches are cut.

    Attributes
    ----------
    mpp, patch
        Microns per pixel, and the side in pixels.
    pixel_size
        That the user gives for the slides.
    patient
        What finds the patient in an image's name; see `patient_of`.
    """

    mpp: float
    patch: int
    pixel_size: GivenPixelSize | None = None
    patient: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class SlideReport:
    """The result of extracting one slide.

    Attributes
    ----------
    enlarged
        Width of the slide's pixels over that of the patches' pixels; 1 where they are not wider.
    """

    name: str
    patches: int = 0
    objects: int = 0
    remarks: Sequence[str] = ()
    enlarged: float = 1.0
    error: str | None = None
    classes: str = ""
    """What said that everything is outlined, and what was outlined; or why the slide was left alone."""


Named = tuple[str, Callable[[], SlideSource | NoRegion]]
"""A slide's name, and what reads its source when its turn comes."""


def extract(
    sources: Iterable[Named], cutting: Cutting, writer: StoreWriter, on_slide: Callable[[SlideReport], None]
) -> list[SlideReport]:
    """Cut the patches of all slides into a store that is being written; return one report per slide."""
    reports = []
    for name, read in sources:
        try:
            source = read()
            if isinstance(source, NoRegion):
                report = SlideReport(name, classes=str(source))
            else:
                report = _extract_slide(source, cutting, writer)
        except NuclickError as error:
            report = SlideReport(name, error=str(error))
        reports.append(report)
        on_slide(report)
    return reports


def patch_windows(area: Window, extent: Window, side: int) -> Iterator[Window]:
    """Yield squares side by side that cover an area, centred on it, but inside the slide where it is large enough."""
    columns, rows = math.ceil(area.width / side), math.ceil(area.height / side)
    left = _start(area.x, area.width, columns * side, extent.width)
    top = _start(area.y, area.height, rows * side, extent.height)
    for row in range(rows):
        for column in range(columns):
            yield Window(left + column * side, top + row * side, side, side)


def _start(start: int, length: int, covered: int, end: int) -> int:
    return max(0, min(start - (covered - length) // 2, end - covered))


def _extract_slide(source: SlideSource, cutting: Cutting, writer: StoreWriter) -> SlideReport:
    with open_slide(source.path, frame=source.frame) as slide:
        require_size(slide.info, source.size, "the project drew on a slide of", "Point --slides at the right file.")
        resolved = resolve_pixel_size(slide.info, source.pixel_size, cutting.pixel_size)
        grid = grid_for(slide.info, resolved.size, cutting.mpp)
        regions = source.read_regions(resolved.size)
        remarks = (*slide.info.remarks, *resolved.remarks, *regions.remarks)
        stored = _stored(source, slide, cutting, grid, remarks)
        count, objects = writer.add(stored, _patches(slide, grid, regions, cutting.patch), regions.class_names)
    if not count:
        raise DataError("no pixel of the slide lies in its region. Draw the region on the slide.")
    return SlideReport(source.name, count, objects, remarks, max(1.0, 1 / grid.downsample), classes=regions.classes)


def _stored(source: SlideSource, slide: Slide, cutting: Cutting, grid: Grid, remarks: Sequence[str]) -> StoredSlide:
    info = slide.info
    extent = grid.extent(info.size)
    return StoredSlide(
        name=source.name,
        source=source.source,
        path=str(info.path),
        patient=patient_of((source.name, Path(source.path).stem), cutting.patient),
        content=fingerprint(info.path),
        frame=info.frame.value,
        downsample=grid.downsample,
        mpp=math.sqrt(grid.pixel_area_um2),
        columns=extent.width,
        rows=extent.height,
        remarks=tuple(remarks),
    )


def _patches(slide: Slide, grid: Grid, regions: AnnotatedRegions, side: int) -> Iterator[StoredPatch]:
    extent = grid.extent(slide.info.size)
    for number, one in enumerate(regions.fields):
        area = one.window(grid).intersection(extent)
        if area is not None:
            for window in patch_windows(area, extent, side):
                patch = _patch(slide, grid, window, number, one)
                if patch is not None:
                    yield patch


def _patch(slide: Slide, grid: Grid, window: Window, number: int, one: Field) -> StoredPatch | None:
    """Return a patch; None where the field, which need not be a rectangle, has no pixel in it."""
    labels, known = one.read(grid, window)
    extent = grid.extent(slide.info.size)
    for beyond in (np.s_[extent.bottom - window.y :], np.s_[:, extent.right - window.x :]):
        labels[beyond], known[beyond] = 0, False
    return StoredPatch(number, window, read_window(slide, grid, window), labels, known) if known.any() else None
