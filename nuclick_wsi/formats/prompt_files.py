"""Prompts out of files: QuPath's GeoJSON exports, plain or compressed, and tables of positions.

Positions are slide pixels (level 0).
"""

import gzip
import io
import zipfile
import zlib
from pathlib import Path

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.drawings import prompts_of_drawings
from nuclick_wsi.formats.prompt_geojson import Found, drawings_of_geojson
from nuclick_wsi.formats.prompt_table import drawings_of_table
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.prompts import ObjectChoice

_GEOJSON = (".geojson", ".json")
_TABLES = (".csv", ".tsv", ".txt")
ACCEPTED = f"{', '.join(_GEOJSON)} (also as .gz or .zip), {', '.join(_TABLES)}"
"""The endings of prompt files, for messages and help."""


def read_prompts(path: Path, choice: ObjectChoice = ObjectChoice.AUTO) -> PromptSet:
    """Read the prompts of a file; which of its drawings are prompts is the same rule as for projects.

    Raises
    ------
    PromptError
        The file is missing or not one of these; the message names the line or feature, what it holds, what is
        accepted.
    """
    ending = path.suffix.lower()
    if ending in _TABLES:
        return prompts_of_drawings(drawings_of_table(_read(path), str(path)), choice)
    if ending in _GEOJSON:
        found = drawings_of_geojson(_read(path), str(path))
    elif ending == ".gz":
        found = drawings_of_geojson(_unpacked(path), str(path))
    elif ending == ".zip":
        found = _read_archive(path)
    else:
        raise PromptError(f"{path} is not a file of prompts that can be read: accepted are {ACCEPTED}.")
    return prompts_of_drawings(found.drawings, choice, found.left_alone)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}.") from error


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(_read(path))
    except (OSError, EOFError, zlib.error) as error:
        raise PromptError(f"{path} is cut short or no gzip file ({error}): export it again.") from error


def _read_archive(path: Path) -> Found:
    try:
        with zipfile.ZipFile(io.BytesIO(_read(path))) as archive:
            names = [name for name in archive.namelist() if Path(name).suffix.lower() in _GEOJSON]
            contents = [archive.read(name) for name in names]
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise PromptError(f"{path} is cut short or no zip file ({error}): export it again.") from error
    if not names:
        raise PromptError(f"{path} holds no {' or '.join(_GEOJSON)}: export objects from QuPath as GeoJSON.")
    parts = [drawings_of_geojson(data, f"{path}: {name}") for name, data in zip(names, contents, strict=True)]
    return sum(parts[1:], parts[0])
