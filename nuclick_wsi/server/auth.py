"""The local server's token, and the folders that it may open slides from.

The token is in a file that only the user can read. Slides are opened below folders that the user has named.
"""

import errno
import hmac
import os
import secrets
import stat
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nuclick_wsi.errors import NotAllowedError, RequestError, ResultError, SettingsError
from nuclick_wsi.paths import existing

STATE_VARIABLE = "NUCLICK_WSI_STATE"
"""The environment variable that names another folder for the token."""

_SHORTEST = 32


def state_folder() -> Path:
    """Return the folder of the current user in which the server keeps its token; it need not exist."""
    if named := os.environ.get(STATE_VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local", "nuclick-wsi")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "nuclick-wsi"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "nuclick-wsi")


class Token:
    """The token that every request must carry; it stays the same when the server is started again.

    Attributes
    ----------
    path
        The file that holds it, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        """Read the token of a folder, or make a new one where there is none or others could have read it.

        Raises
        ------
        ResultError
            If it can be neither read nor written.
        """
        self.path = folder / "token"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.value = _private_text(self.path) or self._made()
        except OSError as error:
            raise ResultError(
                f"{self.path}: the server's token cannot be kept there ({error.strerror or error}). Free the folder, "
                f"or name another in the environment variable {STATE_VARIABLE}."
            ) from error

    def matches(self, authorization: str) -> bool:
        """Whether an `Authorization` header holds the token, compared in constant time.

        Deleting the file invalidates the token: a new one is made.
        """
        if not self.path.exists():
            with suppress(OSError):
                self.value = self._made()
        return hmac.compare_digest(authorization.encode(), f"Bearer {self.value}".encode())

    def _made(self) -> str:
        value = secrets.token_urlsafe(_SHORTEST)
        temporary = self.path.with_name(f".{uuid.uuid4().hex}.part")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(value)
        temporary.replace(self.path)
        return value


def _private_text(path: Path) -> str | None:
    """Return a file's token; None where there is no file, or other users could have read or written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # not there, or a link
        return None
    with os.fdopen(descriptor) as file:
        status = os.fstat(descriptor)
        # Windows keeps a user's own folders to the user, and has no such bits.
        shared = sys.platform != "win32" and (status.st_mode & 0o077 or status.st_uid != os.getuid())
        text = "" if shared or not stat.S_ISREG(status.st_mode) else file.read(1000).strip()
    return text if len(text) >= _SHORTEST and text.isascii() else None


class AllowedFolders:
    """The folders below which slides may be opened; links are followed before anything is decided.

    Raises
    ------
    SettingsError
        If one of them is no folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        if missing := [folder for folder in folders if not folder.is_dir()]:
            raise SettingsError(f"--allow {missing[0]}: is not a folder.")
        self.folders = tuple(dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders))

    def admit(self, path: Path) -> Path:
        """Return the real place of a file that may be opened.

        Raises
        ------
        NotAllowedError
            If it is not below one of the folders, whether it exists or not.
        RequestError
            If no file can have such a path.
        """
        if not _is_possible(path):
            raise RequestError(f"{str(path)!r:.200} is no path that a file can have.")
        # Resolving the path of a share would send the user's credentials to the server that the path names.
        is_share = path.drive.startswith("\\\\")
        real = Path(os.path.normpath(path) if is_share else os.path.realpath(existing(path)))
        # A folder may be written in two ways (Unicode form, case) and be one, which only the system can tell.
        is_below = any(real.is_relative_to(folder) for folder in self.folders)
        if not is_below and (is_share or not any(_is_below(real, folder) for folder in self.folders)):
            raise NotAllowedError(path, real.parent, self.folders)
        return real


def _is_possible(path: Path) -> bool:
    """Whether the system takes a path: without NUL and halves of surrogate pairs, and no longer than it allows."""
    try:
        os.lstat(path)
    except (ValueError, OSError) as error:
        return isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG
    return True


def _is_below(path: Path, folder: Path) -> bool:
    return any(parent.exists() and parent.samefile(folder) for parent in path.parents)
