"""Paths as the workers have them, where a shared folder is mounted elsewhere than here."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath


@dataclass(frozen=True, slots=True)
class PathMap:
    """Folders here, and what they are called on the workers; the longest that holds a file counts."""

    folders: tuple[tuple[str, str], ...] = ()

    def on_workers(self, path: Path) -> str:
        """Return what a file here is called on the workers: the same, unless one of the folders holds it."""
        absolute = path.absolute()
        for here, there in sorted(self.folders, key=lambda pair: -len(Path(pair[0]).parts)):
            folder = Path(here).absolute()
            if absolute.is_relative_to(folder):
                pure = PureWindowsPath if "\\" in there or there[1:2] == ":" else PurePosixPath
                return str(pure(there, *absolute.relative_to(folder).parts))
        return str(absolute)
