"""Prompts out of files: QuPath's GeoJSON exports, plain or compressed, and tables of positions.

Positions are slide pixels (level 0); a table may have them in microns, and marks of several slides.
"""

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import IO

from nuclick_wsi.accepted import one_of
from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.drawings import Found
from nuclick_wsi.formats.prompt_geojson import drawings_of_geojson
from nuclick_wsi.formats.prompt_table import FindPixelSize, Table, read_table
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.json_values import encodable
from nuclick_wsi.paths import existing
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.scale import PixelSize

GEOJSON = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".jsonl")
"""Endings of GeoJSON, as a whole or line by line."""
TABLES = (".csv", ".tsv", ".txt")
ACCEPTED = f"{', '.join(GEOJSON)} (also as .gz or .zip), {', '.join(TABLES)}"
"""The endings of prompt files, for messages and help."""


_ALWAYS_UNPACKED, _MOST_UNPACKED = 64 << 20, 50
"""Bytes that any packed file may hold, and how many times its own size it may."""
_NO_ARCHIVE = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    IndexError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What a damaged archive leads to."""


def read_prompts(
    path: Path | str,
    choice: ObjectChoice = ObjectChoice.AUTO,
    *,
    slide: Path | str | None = None,
    pixel_size: PixelSize | float | FindPixelSize | None = None,
) -> PromptSet:
    """Read the prompts of a file; which of its drawings are prompts is the same rule as for projects.

    Parameters
    ----------
    slide
        Path or name of the slide whose prompts are wanted, where a table has a column `slide`.
    pixel_size
        Of that slide in microns, or what says it when it is needed: where a table has positions in microns.

    Raises
    ------
    PromptError
        The file is missing or not one of these; the message names the line or feature, what it holds, what is
        accepted.
    """
    choice = one_of(ObjectChoice, choice, "What to outline")
    return read_drawings(path, slide=slide, pixel_size=pixel_size).prompts(choice)


def read_drawings(
    path: Path | str,
    *,
    slide: Path | str | None = None,
    pixel_size: PixelSize | float | FindPixelSize | None = None,
) -> Found:
    """Read the drawings of a file of prompts, before anything is made of them; otherwise as `read_prompts`."""
    path = existing(Path(path))
    if not is_table(path):
        return _read_geojson(path)
    find_size = pixel_size if callable(pixel_size) or pixel_size is None else partial(PixelSize.of, pixel_size)
    return read_table_file(path).on(None if slide is None else str(slide), find_size)


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its ending."""
    return path.suffix.lower() in TABLES


def read_table_file(path: Path) -> Table:
    """Read a table as it is, with the marks of all slides; PromptError as `read_prompts`."""
    return read_table(_read(path), str(path))


def _read_geojson(path: Path) -> Found:
    ending = path.suffix.lower()
    if ending in GEOJSON:
        return drawings_of_geojson(_read(path), str(path))
    if ending == ".gz":
        return drawings_of_geojson(_unpacked(path), str(path))
    if ending == ".zip":
        return _read_archive(path)
    raise PromptError(f"{path} is not a file of prompts that can be read: accepted are {ACCEPTED}.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}.") from error


def _unpacked(path: Path) -> bytes:
    packed = _read(path)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            return _within(file, _most(packed), path)
    except (OSError, EOFError, zlib.error) as error:
        raise PromptError(f"{path} is cut short or no gzip file ({error}): export it again.") from error


def _most(packed: bytes) -> int:
    """Return how many bytes a packed file may unpack to: text shrinks to a tenth, a bomb to a thousandth."""
    return max(_ALWAYS_UNPACKED, _MOST_UNPACKED * len(packed))


def _within(file: IO[bytes] | gzip.GzipFile, most: int, path: Path) -> bytes:
    """Return what an open packed file holds; PromptError where that is too much."""
    content = file.read(most + 1)
    if len(content) > most:
        raise PromptError(
            f"{path} unpacks to more than {most >> 20} MiB, {_MOST_UNPACKED} times its own size, as no GeoJSON does. "
            "Where it is one all the same, unpack it and name the unpacked file."
        )
    return content


def _read_archive(path: Path) -> Found:
    packed = _read(path)
    names, contents, left = [], [], _most(packed)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            for one in archive.infolist():
                if Path(one.filename).suffix.lower() in GEOJSON:
                    with archive.open(one) as file:
                        contents.append(_within(file, left, path))
                    names.append(encodable(one.filename))
                    left -= len(contents[-1])
    except PromptError:
        raise
    except _NO_ARCHIVE as error:
        raise PromptError(f"{path} is cut short or no zip file ({error}): export it again.") from error
    if not names:
        raise PromptError(f"{path} holds no {' or '.join(GEOJSON[:2])}: export objects from QuPath as GeoJSON.")
    parts = [drawings_of_geojson(data, f"{path}: {name}") for name, data in zip(names, contents, strict=True)]
    return sum(parts[1:], parts[0])
