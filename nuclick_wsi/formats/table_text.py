"""The text of a table: its encoding, its separator, and its lines, decoded a part at a time."""

import codecs
import io

from nuclick_wsi.errors import PromptError

_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def encoding_of(data: bytes, source: str) -> str:
    """Return the encoding in which the data are text."""
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8-sig")
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{source} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error
    return encoding


def lines_of(data: bytes, encoding: str) -> io.TextIOWrapper:
    """Return the lines of a text, which is decoded a part at a time."""
    return io.TextIOWrapper(io.BytesIO(data), encoding, newline="")


def separator_of(data: bytes, encoding: str) -> str:
    """Return what separates columns: the first line decides; a comma beside another separator is a decimal point."""
    first = next((line for line in lines_of(data, encoding) if line.strip()), "")
    return next((mark for mark in "\t;" if mark in first), ",")
