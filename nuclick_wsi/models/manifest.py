"""The manifest of the shipped models: the SHA-256 of each file, in the format that `sha256sum --check` reads.

`python -m nuclick_training.manifest` writes it; `nuclick-wsi doctor` compares it with the files that are there.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nuclick_wsi.errors import ModelError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.models.card import MODELS, shipped_models

NAME = "SHA256SUMS"
_HEX_DIGITS = 64


def write_manifest() -> Path:
    """Write the manifest of the models that are there; return its path.

    Raises
    ------
    ResultError
        It cannot be written.
    """
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in shipped_models().values()]
    write_atomically(MODELS / NAME, "".join(lines).encode())
    return MODELS / NAME


def renew_manifest(path: Path) -> None:
    """Write the manifest anew where a file is one of the shipped models, because it has just been changed."""
    if path.resolve() in (one.resolve() for one in shipped_models().values()):
        write_manifest()


def read_manifest() -> Mapping[str, str]:
    """Return the SHA-256 of each shipped model, in hexadecimal, by the model's name.

    Raises
    ------
    ModelError
        There is no manifest, or it cannot be read as one.
    """
    path = MODELS / NAME
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}), so the models cannot be checked.") from error
    pairs = [line.split("  ") for line in lines]
    if not all(len(pair) == 2 and len(pair[0]) == _HEX_DIGITS for pair in pairs):
        raise ModelError(f"{path} is no list of SHA-256 digests and names, so the models cannot be checked.")
    return {Path(name).stem: digest for digest, name in pairs}


def require_shipped(name: str, path: Path) -> None:
    """Refuse a shipped model whose file is not the one that the manifest names.

    Raises
    ------
    ModelError
        The file is another one, or the manifest does not say.
    """
    expected, found = read_manifest().get(name), sha256_of(path)
    if found != expected:
        raise ModelError(
            f"{path} is not the file that was shipped: its SHA-256 is {found}, and {NAME} says {expected or 'nothing'}."
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
