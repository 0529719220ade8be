"""NuClick's menu in QuPath: scripts in the user's QuPath folders, and the startup script that makes menu items of them.

Everything is in one folder `nuclick` beside the startup script; taking it away leaves the user's folder as it was.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from nuclick_wsi.choices import DEFAULT_PORT
from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.files import back_up, write_atomically
from nuclick_wsi.ownership import Origin, origin_of_bytes
from nuclick_wsi.seals import blank_seal, sealed
from nuclick_wsi.server.auth import state_folder
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged

FOLDER = "nuclick"
STARTUP = "startup.groovy"
BEFORE = "startup.before-nuclick.groovy"
"""What the user's own startup script is called while ours calls it."""

_SAID = "NuClick: "
_NEW = "from now on"
_PROGRAM = "qupath"
"""The setting that remembers which QuPath starts with our script, because we made it."""
_PATIENCE = 300
"""Seconds; a QuPath that starts for the first time on a slow disk takes one minute."""
_MADE_BY_US = "// nuclick-wsi made this file"
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_OLDEST = (0, 4)


class Presence(Enum):
    """Whether a QuPath folder has the menu."""

    NONE = "not installed"
    CURRENT = "installed"
    OTHER = "installed from another version or another Python: run `nuclick-wsi qupath install`"


@dataclass(frozen=True, slots=True)
class UserFolder:
    """A user's folder of one QuPath version."""

    path: Path

    @property
    def home(self) -> Path:
        """Where our scripts are, or would be."""
        return self.path / FOLDER

    def install(self) -> list[str]:
        """Put scripts, settings and startup script there; doing it again brings them up to date.

        Return what the user is to know: a file that may have been edited is copied beside itself before it is replaced.

        Raises
        ------
        ResultError
            If the folder cannot be written to, or another program saves the settings at this moment.
        """
        startup = self.path / STARTUP
        if os.path.lexists(startup) and not _is_ours(startup):
            self._move(startup, self.path / BEFORE)
        wanted = self._wanted()
        kept = [_keep(path) for path in wanted if _is_plain(path) and _is_edited(path)]
        for path, content in wanted.items():
            write_atomically(path, content)
        return kept + self._put_settings(self.home / "settings.json")

    def _put_settings(self, path: Path) -> list[str]:
        if not _is_plain(path):  # nothing, or a link: what it leads to stays as it is
            write_atomically(path, self._settings())
            return []
        seen = Stamp.of_file(path)
        kept = [] if _read_settings(path) else [_keep(path)]
        replace_if_unchanged(path, self._settings(), seen)
        return kept

    def choose_startup(self, program: Path) -> str:
        """Have a QuPath (0.5 or newer) start with our startup script from now on; return what it says to that.

        The script sets the preference itself, under `QuPath script`: every version and system keeps its preferences in
        another place, which only QuPath knows. A startup script that the user has chosen stays chosen.

        Raises
        ------
        SettingsError
            If the program is none, or cannot run scripts.
        """
        said = _ask(program, self.path / STARTUP)
        if said.endswith(_NEW):
            place = str(Path(shutil.which(program) or program).absolute())
            path = self.home / "settings.json"
            seen = Stamp.of_file(path)
            replace_if_unchanged(path, _as_json(_read_settings(path) | {_PROGRAM: place}), seen)
        return said

    def forget_startup(self) -> str | None:
        """Have the QuPath that starts with our script since `choose_startup` start without it; return what to tell.

        None where that is of no concern. A preference that was the user's own is left alone.
        """
        program = _read_settings(self.home / "settings.json").get(_PROGRAM)
        if not isinstance(program, str):
            return None
        try:
            return _ask(Path(program), self.home / "Forget_startup.groovy")
        except SettingsError as error:
            return f"{error} Else clear its preference Startup script path by hand."

    def uninstall(self) -> list[str] | None:
        """Take away what was installed and put the user's own startup script back.

        Return what stays because it may have been edited or is not ours; None where nothing was installed.
        """
        startup, before = self.path / STARTUP, self.path / BEFORE
        if not self.home.exists() and not (startup.exists() and _is_ours(startup)):
            return None
        try:
            kept = self._empty_home()
            if startup.exists() and _is_ours(startup):
                if _is_edited(startup):
                    kept.append(_keep(startup))
                startup.unlink()
        except OSError as error:
            raise _cannot_change(self.path, error) from error
        if before.exists() and not startup.exists():
            self._move(before, startup)
        return kept

    def _empty_home(self) -> list[str]:
        """Delete settings and untouched scripts, and the folder where nothing else is in it; return what stays."""
        if not self.home.exists():
            return []
        for path in self.home.iterdir():
            if path.name == "settings.json" or (_is_plain(path) and path.suffix == ".groovy" and not _is_edited(path)):
                path.unlink()
        kept = sorted(self.home.iterdir())
        if not kept:
            self.home.rmdir()
        return [f"{path} stays: it may have been edited, or is not of NuClick" for path in kept]

    def presence(self) -> Presence:
        """Return whether the menu is there, as this version of nuclick-wsi writes it."""
        if not self.home.exists():
            return Presence.NONE
        wanted = self._wanted() | {self.home / "settings.json": self._settings()}
        same = all(path.is_file() and path.read_bytes() == content for path, content in wanted.items())
        return Presence.CURRENT if same else Presence.OTHER

    def _wanted(self) -> dict[Path, bytes]:
        """Return the content of all scripts, by where they go."""
        place = self.home.as_posix().replace("'", "\\'")
        wanted = {}
        for script in files("qupath_extension").joinpath("scripts").iterdir():
            folder = self.path if script.name == STARTUP else self.home
            text = script.read_text(encoding="utf-8").replace("@FOLDER@", place)
            wanted[folder / script.name] = sealed(f"{text}\n// {blank_seal(FOLDER)}\n".encode())
        return wanted

    def _settings(self) -> bytes:
        """Return the user's settings with what the scripts need to find this installation."""
        path = self.home / "settings.json"
        defaults: dict[str, Any] = {
            "port": DEFAULT_PORT,
            "device": "auto",
            "clicks": "nucleus",
            "as": "detection",
            "class": "",
            "gland_mode": "crop",
            "terms": "any",
            "tta": False,
            "remove_prompts": False,
            "sureness_colors": False,
            "allow": [],
            "models": [],
        }
        found = {"python": sys.executable, "token": str(state_folder() / "token")}
        return _as_json(defaults | _read_settings(path) | found)

    def _move(self, source: Path, target: Path) -> None:
        if os.path.lexists(target):
            raise ResultError(
                f"{target}: is in the way of {source.name}, which is to be kept under that name. Look which of the two "
                "you want, and rename the other."
            )
        try:
            source.rename(target)
        except OSError as error:
            raise _cannot_change(self.path, error) from error


def user_folder_of(program: Path) -> UserFolder:
    """Return the user folder of a QuPath (0.5 or newer); one that has never been started gets the one it will ask for.

    Raises
    ------
    SettingsError
        If the program is none, or cannot run scripts.
    ResultError
        If the folder cannot be made.
    """
    with as_file(files("qupath_extension") / "scripts" / "User_directory.groovy") as script:
        folder = Path(_ask(program, script))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_change(folder, error) from error
    return UserFolder(folder)


def find_user_folders(named: Path | None = None) -> list[UserFolder]:
    """Return the user's QuPath folders, the newest version first, or the one that is named.

    Raises
    ------
    SettingsError
        If there are none, or the named one is no folder.
    """
    if named is not None:
        if not named.is_dir():
            raise SettingsError(f"--user-dir {named}: is not a folder. QuPath names its own in Edit > Preferences.")
        return [UserFolder(named.absolute())]
    found = dict(_versions(Path.home() / "QuPath"))
    if not found:
        raise SettingsError(
            f"There is no folder of QuPath 0.4 or newer in {Path.home() / 'QuPath'}. Name QuPath's program with "
            "`qupath install --qupath`, or its user directory with --user-dir (Edit > Preferences > User directory)."
        )
    return [UserFolder(found[version]) for version in sorted(found, reverse=True)]


def _versions(folder: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _VERSION.fullmatch(path.name)
        if match and path.is_dir() and (version := (int(match[1]), int(match[2]))) >= _OLDEST:
            yield version, path


def _ask(program: Path, script: Path) -> str:
    """Return what one of our scripts says under `QuPath script`; SettingsError if the program cannot run it."""
    try:
        done = subprocess.run(  # noqa: S603 - the program that the user has named
            [program, "script", script], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"--qupath {program}: cannot be run ({error}). Name QuPath's own program.") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(_SAID)]
    if not lines:
        why = "".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        raise SettingsError(f"--qupath {program}: ran no script ({why}). Name the program of QuPath 0.5 or newer.")
    return lines[-1].removeprefix(_SAID)


def _keep(path: Path) -> str:
    return f"{path} may have been edited since it was written: kept as {back_up(path).path.name}"


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_edited(script: Path) -> bool:
    return origin_of_bytes(script.read_bytes(), FOLDER) is not Origin.OURS


def _is_ours(startup: Path) -> bool:
    return startup.is_file() and startup.read_text(encoding="utf-8", errors="replace").startswith(_MADE_BY_US)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: the defaults are all it takes
        return {}
    return content if isinstance(content, dict) else {}


def _as_json(settings: dict[str, Any]) -> bytes:
    return json.dumps(settings, indent=2, ensure_ascii=False).encode()


def _cannot_change(folder: Path, error: OSError) -> ResultError:
    return ResultError(f"{folder}: cannot be changed ({error.strerror or error}). Close QuPath and try again.")
