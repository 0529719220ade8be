"""Drawings out of a table of positions: a header x, y[, class], QuPath's tables, or two columns without a header.

Comma, semicolon or tab may separate columns; with the latter two, a comma may be the decimal point, as spreadsheets of
many countries write it.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import PureWindowsPath
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.colors import Color, read_color
from nuclick_wsi.formats.drawings import Found
from nuclick_wsi.formats.geojson_parts import class_name_in
from nuclick_wsi.formats.table_columns import Columns, columns_of
from nuclick_wsi.formats.table_rows import TableRows
from nuclick_wsi.formats.table_text import encoding_of, lines_of, separator_of
from nuclick_wsi.paths import comparable
from nuclick_wsi.prompts import Plane
from nuclick_wsi.scale import PixelSize

FindPixelSize: TypeAlias = Callable[[], PixelSize]
"""Says the pixel size of the slide that positions in microns are on."""

_ACCEPTED = (
    "accepted is a header x, y and perhaps class, slide, c, z, t, with positions in pixels of the full resolution; "
    "x_um and y_um for positions in um; or QuPath's columns Centroid X and Centroid Y, in px or µm"
)
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
        Positions are in the unit of the table.
    unit
        Microns for each unit of the positions; None where they are slide pixels.
    """

    source: str
    rows: TableRows
    unit: float | None = None
    left_alone: Counter[str] = field(default_factory=Counter)
    class_colors: dict[str, Color] = field(default_factory=dict)

    @property
    def slides(self) -> tuple[str, ...]:
        """What the rows call their slides, each once, in their order."""
        return self.rows.slides

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
        meant = ("", *self._meant(slide))
        chosen = self.rows.on(meant, np.ones(2))
        if self.rows and not chosen:
            raise PromptError(f"{self.source} has no mark on {slide}; its slides are {_listed(self.slides)}.")
        others = Counter({ON_ANOTHER_SLIDE: len(self.rows) - len(chosen)}) if len(chosen) < len(self.rows) else {}
        if chosen and self.unit is not None:
            chosen = self.rows.on(meant, self._pixels(self.unit, pixel_size))
        return Found(chosen, self.left_alone + Counter(others), self.class_colors)

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

    def _pixels(self, unit: float, pixel_size: FindPixelSize | None) -> NDArray[np.float64]:
        """Return pixels for each unit of the positions, along x and y."""
        if pixel_size is None:
            raise PromptError(
                f"{self.source} has positions in um, and the pixel size of its slide is not known: give it as "
                "pixel_size, or positions in pixels of the full resolution."
            )
        size = pixel_size()
        return unit / np.array([size.x_um, size.y_um])


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
    encoding = encoding_of(data, source)
    separator = separator_of(data, encoding)
    lines: Iterator[tuple[int, list[str]]] = (
        (number, row) for number, row in _rows(data, encoding, separator, source) if any(map(str.strip, row))
    )
    first = next(lines, None)
    if first is None:
        raise PromptError(f"{source} is empty; {_ACCEPTED}.")
    head = [cell.strip() for cell in first[1]]
    columns = columns_of(head)
    if columns is None:
        columns = _guessed(head, separator, source)
        lines = chain([first], lines)
    reader = _RowReader(columns, separator != ",", source)
    for number, cells in lines:
        reader.read(cells, number)
    return Table(source, reader.rows, columns.unit, reader.left_alone, reader.colors)


class _RowReader:
    """Reads rows, and counts what it leaves alone."""

    def __init__(self, columns: Columns, decimal_comma: bool, source: str) -> None:
        self._columns = columns
        self._decimal_comma = decimal_comma
        self._source = source
        self.left_alone: Counter[str] = Counter()
        self.colors: dict[str, Color] = {}
        self.rows = TableRows(source)
        self._slides: dict[str, str] = {}
        self._classes: dict[str, str | None] = {}

    def read(self, row: Sequence[str], number: int) -> None:
        columns, place = self._columns, f"{self._source}, line {number}"
        why = self._left_alone(row)
        if why is not None:
            self.left_alone[why] += 1
            return
        x, y = (self._number(row, axis, place) for axis in "xy")
        plane = self._plane(row, place)
        cell = columns.cell(row, "class")
        if cell not in self._classes:
            self._classes[cell] = class_name_in(cell)
        class_name = self._classes[cell]
        color = read_color(columns.cell(row, "color"))
        if class_name is not None and color is not None:
            self.colors[class_name] = color
        slide = columns.cell(row, "slide")
        # Spellings that differ in case, Unicode form or separators are one slide, by its first one.
        slide = self._slides.setdefault(comparable(slide.replace("\\", "/")), slide)
        self.rows.add(number, x, y, (slide, class_name, plane))

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


def _rows(data: bytes, encoding: str, separator: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with the numbers of their last lines."""
    reader = csv.reader(lines_of(data, encoding), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise PromptError(f"{source}, line {reader.line_num}: {error}; {_ACCEPTED}.") from error
