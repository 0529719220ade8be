"""Drawings out of a table of positions: a header x, y[, class], or two columns of numbers without one.

Comma, semicolon or tab may separate columns; with the latter two, a comma may be the decimal point, as spreadsheets of
many countries write it.
"""

import codecs
import csv
import io
from collections.abc import Sequence

import numpy as np

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.drawings import Drawing, Mark
from nuclick_wsi.prompts import Plane

_CLASS_NAMES = ("class", "classification", "class_name")
_ACCEPTED = "accepted is a header x, y and perhaps class, c, z, t, with positions in pixels of the full resolution"
_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def drawings_of_table(data: bytes, source: str) -> list[Drawing]:
    """Return one drawing of one point for every line of a table.

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
    columns = _columns([cell.strip() for cell in lines[0][1]], separator, source)
    rows = lines if columns.is_guessed else lines[1:]
    return [columns.drawing(row, f"{source}, line {number}") for number, row in rows]


class _Columns:
    """Which column holds what, and how its numbers are written."""

    def __init__(self, names: Sequence[str], separator: str, is_guessed: bool) -> None:
        self.is_guessed = is_guessed
        self._places = {name: place for place, name in reversed(list(enumerate(names)))}
        self._class_place = next((self._places[name] for name in _CLASS_NAMES if name in self._places), None)
        self._decimal_comma = separator != ","

    def has_position(self) -> bool:
        return "x" in self._places and "y" in self._places

    def drawing(self, row: Sequence[str], place: str) -> Drawing:
        position = np.array([[self._number(row, axis, place) for axis in "xy"]])
        default = Plane()
        plane = Plane(*(self._index(row, axis, getattr(default, axis), place) for axis in "czt"))
        class_name = self._cell(row, self._class_place) or None
        return Drawing(Mark.POINTS, (position,), place, None, class_name, plane)

    def _cell(self, row: Sequence[str], place: int | None) -> str:
        return row[place].strip() if place is not None and place < len(row) else ""

    def _number(self, row: Sequence[str], axis: str, place: str) -> float:
        cell = self._cell(row, self._places[axis])
        number = number_of(cell, self._decimal_comma)
        if number is None:
            raise PromptError(f"{place}: {axis} is {cell!r}, not a number; {_ACCEPTED}.")
        return number

    def _index(self, row: Sequence[str], axis: str, default: int, place: str) -> int:
        cell = self._cell(row, self._places.get(axis))
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


def _columns(head: list[str], separator: str, source: str) -> _Columns:
    named = _Columns([cell.lower() for cell in head], separator, is_guessed=False)
    if named.has_position():
        return named
    if len(head) > 1 and all(number_of(cell, separator != ",") is not None for cell in head[:2]):
        return _Columns(["x", "y", "class"][: len(head)], separator, is_guessed=True)
    raise PromptError(f"{source} starts with {', '.join(head)!r}; {_ACCEPTED}.")


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
