"""Names of files and things that differ only in how they are written: Unicode form, case, and separators.

macOS hands out names decomposed, Windows and macOS ignore case, and paths of Windows have backslashes.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath


def comparable(name: str) -> str:
    """Return what names that differ only in Unicode form and case have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def closest(wanted: str, names: Iterable[str]) -> list[str]:
    """Return the name itself, else those that differ in Unicode form alone, else those that differ in case too."""
    alike = [name for name in names if comparable(name) == comparable(wanted)]
    if wanted in alike:
        return [wanted]
    composed = unicodedata.normalize("NFC", wanted)
    return [name for name in alike if unicodedata.normalize("NFC", name) == composed] or alike


def existing(path: Path) -> Path:
    """Return what a path means here: itself where it exists, else the only one that is written a little otherwise.

    A path that means nothing, or several things, comes back as it is.
    """
    if is_there(path):
        return path
    pure = PurePosixPath(str(path).replace("\\", "/")) if "\\" in str(path) and not path.drive else path
    found = Path(pure.anchor)
    for part in pure.parts[1:] if pure.anchor else pure.parts:
        names = [part] if part in (".", "..") or is_there(found / part) else closest(part, _names_in(found))
        if len(names) != 1:
            return path
        found /= names[0]
    return found


def is_there(path: Path) -> bool:
    """Whether a path exists; one that no file system can have, being too long or with a NUL inside, does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def told_apart(names: Sequence[str]) -> list[str]:
    """Return names for a message, with a note on each that looks like another of them and is not the same."""
    return [
        f"{name} ({_described(name)})"
        if any(other != name and comparable(other) == comparable(name) for other in names)
        else name
        for name in names
    ]


def _described(name: str) -> str:
    """Return how a name is written, in words that tell it from names that look alike."""
    forms = [form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)]
    if name.isascii() or len(forms) != 1:
        return "with upper-case letters" if name != name.lower() else "in lower case"
    return "accents composed with their letters, NFC" if forms == ["NFC"] else "accents after their letters, NFD"


def _names_in(folder: Path) -> list[str]:
    try:
        return [one.name for one in folder.iterdir()]
    except OSError:
        return []
