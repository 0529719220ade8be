"""The SHA-256 of a file's content."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> bytes:
    """Return the SHA-256 of a file as it is now; OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
