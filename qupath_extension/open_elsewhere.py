"""Signs that a project is open in QuPath just now, where the next save would overwrite what a run writes into it.

QuPath locks no files, so these are signs and no proof: its process, on Linux, and files that were saved a moment ago.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qupath_extension.project import Project, ProjectImage

RECENT_S = 600.0
"""Seconds for which a save counts as one of a moment ago."""
_PROCESSES = Path("/proc")
_ADVICE = (
    "Close the image there before the run writes into it. If it stays open, take File > Reload data in QuPath after "
    "the run and save nothing before: that save would overwrite the results."
)


def signs_of_use(project: Project, last_run: Path) -> list[str]:
    """Return what the user is to know, a sentence each; none where nothing speaks for an open QuPath.

    Parameters
    ----------
    last_run
        A file that the last run wrote last: what was saved before it is no sign.
    """
    signs = [*_of_processes(project), *_of_saves(project, last_run)]
    return [*signs, _ADVICE] if signs else []


@dataclass(frozen=True, slots=True)
class _Process:
    """A program that runs: its number, its command line, and the files that it has open as far as we may know."""

    number: int
    arguments: tuple[str, ...]
    files: frozenset[str]

    @property
    def is_qupath(self) -> bool:
        return any("qupath" in argument.lower() for argument in self.arguments)

    def names(self, folder: str) -> bool:
        """Whether the command line names a folder or something in it, or a file in it is open."""
        inside = folder + os.sep
        return folder in self.arguments or any(inside in name for name in (*self.arguments, *self.files))


def _of_processes(project: Project) -> Iterator[str]:
    folder = str(project.folder.resolve())
    for process in _processes():
        if process.is_qupath and process.names(folder):
            yield f"QuPath (process {process.number}) has the project {project.path} open."
        elif process.is_qupath:
            yield f"QuPath is running (process {process.number}), perhaps with the project {project.path} open."


def _processes() -> Iterator[_Process]:
    """Yield the Java programs and QuPaths that run beside this one, on Linux; nothing elsewhere."""
    own = {os.getpid(), os.getppid()}
    for folder in _PROCESSES.iterdir() if _PROCESSES.is_dir() else ():
        if not folder.name.isdecimal() or int(folder.name) in own:
            continue
        try:
            arguments = tuple(os.fsdecode((folder / "cmdline").read_bytes()).split("\0"))
            program = arguments[0].rpartition("/")[2].lower()
            if program.startswith(("java", "qupath")):
                yield _Process(int(folder.name), arguments, _open_files(folder))
        except OSError:
            continue  # it has ended


def _open_files(folder: Path) -> frozenset[str]:
    try:
        return frozenset(str(link.readlink()) for link in (folder / "fd").iterdir())
    except OSError:
        return frozenset()  # another user's


def _of_saves(project: Project, last_run: Path) -> Iterator[str]:
    now, since = time.time(), _saved_at(last_run)
    for path, image in [(project.path, None), *((image.data_path, image) for image in project.images)]:
        saved = _saved_at(path)
        if saved > since and now - saved < RECENT_S:
            yield f"{_named(path, image)} was saved {_ago(now - saved)}: QuPath may still have it open."


def _saved_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _named(path: Path, image: ProjectImage | None) -> str:
    return str(path) if image is None else f"{image.name} ({path.parent.name}/{path.name})"


def _ago(seconds: float) -> str:
    minutes = round(seconds / 60)
    return "less than a minute ago" if minutes < 1 else f"{minutes} min ago"
