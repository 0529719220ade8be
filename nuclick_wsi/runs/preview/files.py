"""Writes the pictures of an image: an overview, contact sheets of the least sure and of each class, and a page."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nuclick_wsi.ownership import ResultPlace, remove_ours, source_name, write_page, write_picture
from nuclick_wsi.runs.jobs import file_stem
from nuclick_wsi.runs.preview.crops import Crop, Cropper
from nuclick_wsi.runs.preview.overview import draw_overview
from nuclick_wsi.runs.preview.page import Page, Sheet
from nuclick_wsi.runs.preview.pictured import MOST_CLASSES, Pictured, Survey
from nuclick_wsi.runs.preview.sheet import contact_sheet

_MOST_REJECTED = 48
_LONGEST_TITLE = 30
"""Bytes of a sheet's title in the name of its file, behind an image's name of up to 200."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The pictures that were written, and what the user is to know of their places, each a clause."""

    overview: Path
    page: Path
    sheets: Sequence[Path] = ()
    remarks: Sequence[str] = ()


def write_preview(folder: Path, stem: str, pictured: Pictured) -> Preview:
    """Write all pictures of an image into a folder, in names that start with a stem.

    Sheets of classes that are no longer there are taken away, if we made them and nobody edited them.

    Raises
    ------
    ResultError
        If one of them cannot be written.
    """
    source = source_name(folder, pictured.slide.info.path)
    survey = Survey.of(pictured.instances)
    overview, cropper = draw_overview(pictured, survey), Cropper(pictured, survey)
    sheets = list(_sheets(survey, cropper))
    rejected = _rejected(pictured, cropper)
    places = [write_picture(folder / f"{stem}.png", _png(overview.picture()), source)]
    named = _named([*sheets, *([rejected] if rejected.crops else [])], stem)
    places += [
        write_picture(folder / name, contact_sheet(sheet.crops, f"{sheet.heading} - {pictured.name}"), source)
        for name, sheet in named.items()
    ]
    remove_ours(folder, f"{stem} - ", set(named), source)
    page = Page(pictured, overview, sheets, rejected).html(folder)
    places.append(write_page(folder / f"{stem}.html", page, source))
    return _preview(places)


def _preview(places: Sequence[ResultPlace]) -> Preview:
    overview, *sheets, page = (place.path for place in places)
    return Preview(overview, page, sheets, [remark for place in places for remark in place.remarks])


def _sheets(survey: Survey, cropper: Cropper) -> Iterator[Sheet]:
    if not survey.classes:
        return
    yield Sheet("Least sure", [cropper.outline(one) for one in survey.least_sure], len(survey.boxes))
    for class_name, (count, some) in list(survey.classes.items())[:MOST_CLASSES]:
        title = "No class" if class_name is None else f"Class {class_name}"
        yield Sheet(title, [cropper.outline(one) for one in some], count)


def _rejected(pictured: Pictured, cropper: Cropper) -> Sheet:
    rejections = pictured.rejections
    crops: list[Crop] = []
    for one in rejections:
        if len(crops) < _MOST_REJECTED and (crop := cropper.rejection(one)) is not None:
            crops.append(crop)
    return Sheet("Rejected", crops, len(rejections))


def _named(sheets: Sequence[Sheet], stem: str) -> dict[str, Sheet]:
    """Return sheets by the names of their files; classes that differ in what file systems forbid get a number."""
    named: dict[str, Sheet] = {}
    for sheet in sheets:
        title = file_stem(sheet.title).encode()[:_LONGEST_TITLE].decode(errors="ignore").strip()
        name, number = f"{stem} - {title}.png", 1
        while name.casefold() in (other.casefold() for other in named):
            number += 1
            name = f"{stem} - {title} ({number}).png"
        named[name] = sheet
    return named


def _png(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()
