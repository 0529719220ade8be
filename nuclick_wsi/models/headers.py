"""The header of a model's safetensors file, read without loading a single weight; nothing in it is trusted."""

import json
from pathlib import Path

from nuclick_wsi.errors import ModelError
from nuclick_wsi.json_values import Json, list_at

_LARGEST_HEADER = 10_000_000
"""Bytes; the largest of ours has 30,000."""


def read_header(path: Path) -> Json:
    """Return the header of a safetensors file: eight bytes of length, then JSON.

    Raises
    ------
    ModelError
        The file cannot be read, is none of these, or ends before its last tensor does.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = file.read(length) if length <= _LARGEST_HEADER else b""
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    if not content.startswith(b"{"):
        raise ModelError(
            f"{path} is not a safetensors file. Models are .safetensors files; `nuclick-wsi weights import` makes one "
            "of a published .pth."
        )
    try:
        header: Json = json.loads(content)
        ends = [_end_of(entry) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is cut short or damaged: its header cannot be read. Fetch it again.") from error
    _check_length(path, 8 + length + max(ends, default=0))
    return header


def _end_of(tensor: object) -> int:
    """Return where a tensor ends, in bytes after the header; ValueError where its entry does not say."""
    offsets = list_at(tensor, "data_offsets") if isinstance(tensor, dict) else []
    if len(offsets) != 2 or not isinstance(offsets[1], int):
        raise ValueError("an entry without data_offsets")
    return offsets[1]


def _check_length(path: Path, expected: int) -> None:
    """Refuse a file that ends before its last tensor does."""
    found = path.stat().st_size
    if found < expected:
        raise ModelError(f"{path} is cut short: {found:,} bytes of {expected:,}. Fetch it again.")
