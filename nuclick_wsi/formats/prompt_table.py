"""Drawings out of a table of positions: a header x, y[, class], QuPath's tables, or two columns without a header.

Comma, semicolon or tab may separate columns; with the latter two, a comma may be the decimal point, as spreadsheets of
many countries write it.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PureWindowsPath
from typing import TypeAlias

import numpy as np

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.colors import Color, read_color
from nuclick_wsi.formats.drawings import Drawing, Found, Mark
from nuclick_wsi.formats.geojson_parts import class_name_in
from nuclick_wsi.formats.table_columns import Columns, columns_of
from nuclick_wsi.paths import comparable
from nuclick_wsi.prompts import Plane
from nuclick_wsi.scale import PixelSize

FindPixelSize: TypeAlias = Callable[[], PixelSize]
"""Says the pixel size of the slide that positions in microns are on."""

_ACCEPTED = (
    "accepted is a header x, y and perhaps class, slide, c, z, t, with positions in pixels of the full resolution; "
    "x_um and y_um for positions in um; or QuPath's columns Centroid X and Centroid Y, in px or µm"
)
_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
ON_ANOTHER_SLIDE = "on another slide"
ROW_WITHOUT_POSITION = "without a position"
SEVERAL_POINTS = "annotation of several points, of which a table has no more than the middle"
"""What a table's rows are that are left alone."""

_NO_POSITION = ("", "nan")
_POINTS = ("points", "point", "")
"""QuPath's words for the shape of a row that is a place; of other shapes a table has no more than the middle."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table that are marks.

    Attributes
    ----------
    rows
        A drawing of one point each, with what its row says of the slide, empty where it says nothing; positions are in
        the unit of the table.
    unit
        Microns for each unit of the positions; None where they are slide pixels.
    """

    source: str
    rows: tuple[tuple[str, Drawing], ...]
    unit: float | None = None
    left_alone: Counter[str] = field(default_factory=Counter)
    class_colors: dict[str, Color] = field(default_factory=dict)

    @property
    def slides(self) -> tuple[str, ...]:
        """What the rows call their slides, each once, in their order."""
        return tuple(dict.fromkeys(slide for slide, _ in self.rows if slide))

    def on(self, slide: str | None, pixel_size: FindPixelSize | None = None) -> Found:
        """Return the drawings on a slide, in its pixels; rows that name no slide are on any.

        Parameters
        ----------
        slide
            A path or name, compared by its name, with or without suffix; None where the table is of one slide.
        pixel_size
            Called where positions are in microns.

        Raises
        ------
        PromptError
            If it cannot be told which rows are meant, or positions are in microns and the pixel size is not known.
        """
        meant = self._meant(slide)
        chosen = [drawing for name, drawing in self.rows if name in ("", *meant)]
        if self.rows and not chosen:
            raise PromptError(f"{self.source} has no mark on {slide}; its slides are {_listed(self.slides)}.")
        others = Counter({ON_ANOTHER_SLIDE: len(self.rows) - len(chosen)}) if len(chosen) < len(self.rows) else {}
        left_alone = self.left_alone + Counter(others)
        return Found(tuple(self._in_pixels(chosen, pixel_size)), left_alone, self.class_colors)

    def _meant(self, slide: str | None) -> tuple[str, ...]:
        """Return which of the table's slides a path means: the one that is so called, else the one of its name."""
        if slide in self.slides:
            return (slide,)
        found = self.slides if slide is None else tuple(one for one in self.slides if same_slide(one, slide))
        if len(found) > 1:
            of_name = "" if slide is None else f" of the name of {slide}"
            raise PromptError(
                f"{self.source} has marks on {len(found)} slides{of_name} ({_listed(found)}): say which is meant."
            )
        return found

    def _in_pixels(self, drawings: Sequence[Drawing], pixel_size: FindPixelSize | None) -> Sequence[Drawing]:
        if self.unit is None or not drawings:
            return drawings
        if pixel_size is None:
            raise PromptError(
                f"{self.source} has positions in um, and the pixel size of its slide is not known: give it as "
                "pixel_size, or positions in pixels of the full resolution."
            )
        size = pixel_size()
        pixels = self.unit / np.array([size.x_um, size.y_um])
        return [replace(one, parts=tuple(part * pixels for part in one.parts)) for one in drawings]


def same_slide(one: str, other: str) -> bool:
    """Whether two paths or names mean one slide: by their last parts, the suffix of either left out where it is."""
    names = [PureWindowsPath(path).name for path in (one, other)]
    stems = [PureWindowsPath(path).stem for path in names]
    pairs = ((names[0], names[1]), (stems[0], names[1]), (names[0], stems[1]))
    return any(comparable(a) == comparable(b) for a, b in pairs)


def read_table(data: bytes, source: str) -> Table:
    """Return the rows of a table that are marks, one point each.

    Raises
    ------
    PromptError
        There is no x and y, or a line has no number there; the message names the line.
    """
    text = _decoded(data, source)
    separator = _separator(text)
    lines = [(number, row) for number, row in _rows(text, separator, source) if any(cell.strip() for cell in row)]
    if not lines:
        raise PromptError(f"{source} is empty; {_ACCEPTED}.")
    head = [cell.strip() for cell in lines[0][1]]
    columns = columns_of(head)
    if columns is None:
        columns = _guessed(head, separator, source)
    else:
        lines = lines[1:]
    reader = _RowReader(columns, separator != ",", source)
    rows = tuple(row for number, cells in lines if (row := reader.read(cells, number)) is not None)
    return Table(source, rows, columns.unit, reader.left_alone, reader.colors)


class _RowReader:
    """Reads rows, and counts what it leaves alone."""

    def __init__(self, columns: Columns, decimal_comma: bool, source: str) -> None:
        self._columns = columns
        self._decimal_comma = decimal_comma
        self._source = source
        self.left_alone: Counter[str] = Counter()
        self.colors: dict[str, Color] = {}
        self._slides: dict[str, str] = {}

    def read(self, row: Sequence[str], number: int) -> tuple[str, Drawing] | None:
        columns, place = self._columns, f"{self._source}, line {number}"
        why = self._left_alone(row)
        if why is not None:
            self.left_alone[why] += 1
            return None
        position = np.array([[self._number(row, axis, place) for axis in "xy"]])
        plane = self._plane(row, place)
        class_name = class_name_in(columns.cell(row, "class"))
        color = read_color(columns.cell(row, "color"))
        if class_name is not None and color is not None:
            self.colors[class_name] = color
        slide = columns.cell(row, "slide")
        # Spellings that differ in case, Unicode form or separators are one slide, by its first one.
        slide = self._slides.setdefault(comparable(slide.replace("\\", "/")), slide)
        return slide, Drawing(Mark.POINTS, (position,), place, None, class_name, plane)

    def _left_alone(self, row: Sequence[str]) -> str | None:
        """Return what a row of QuPath's table is, where it is no mark; None for a mark."""
        columns = self._columns
        kind, shape = columns.cell(row, "object_type").lower(), columns.cell(row, "roi").lower()
        if kind and all(columns.cell(row, axis).lower() in _NO_POSITION for axis in "xy"):
            return ROW_WITHOUT_POSITION
        if columns.cell(row, "num_points") not in ("", "0", "1", "1.0", "NaN"):
            return SEVERAL_POINTS
        return "region" if "annotation" in kind and shape not in _POINTS else None

    def _number(self, row: Sequence[str], axis: str, place: str) -> float:
        cell = self._columns.cell(row, axis)
        number = number_of(cell, self._decimal_comma)
        if number is None:
            raise PromptError(f"{place}: {axis} is {cell!r}, not a number; {_ACCEPTED}.")
        return number

    def _plane(self, row: Sequence[str], place: str) -> Plane:
        default = Plane()
        try:
            return Plane(*(self._index(row, axis, getattr(default, axis), place) for axis in "czt"))
        except PromptError:
            raise
        except ValueError as error:
            raise PromptError(f"{place}: {error}.") from None

    def _index(self, row: Sequence[str], axis: str, default: int, place: str) -> int:
        cell = self._columns.cell(row, axis)
        try:
            return int(cell) if cell else default
        except ValueError:
            raise PromptError(f"{place}: {axis} is {cell!r}, not a whole number; {_ACCEPTED}.") from None


def number_of(cell: str, decimal_comma: bool) -> float | None:
    """Return the number that a cell holds, or None."""
    if "_" in cell:  # a digit separator to Python alone
        return None
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None


def _guessed(head: list[str], separator: str, source: str) -> Columns:
    """Return the columns of a table without a header."""
    if len(head) > 1 and all(number_of(cell, separator != ",") is not None for cell in head[:2]):
        return Columns({name: place for place, name in enumerate(["x", "y", "class"][: len(head)])})
    raise PromptError(f"{source} starts with {', '.join(head)!r}; {_ACCEPTED}.")


def _listed(slides: Sequence[str]) -> str:
    few = ", ".join(slides[:5])
    return f"{few}, ..." if len(slides) > 5 else few or "not named"


def _decoded(data: bytes, source: str) -> str:
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8-sig")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{source} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error


def _separator(text: str) -> str:
    # The first line decides; a comma beside another separator is a decimal point.
    first = next((line for line in text.splitlines() if line.strip()), "")
    return next((mark for mark in "\t;" if mark in first), ",")


def _rows(text: str, separator: str, source: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise PromptError(f"{source}, line {reader.line_num}: {error}; {_ACCEPTED}.") from error
