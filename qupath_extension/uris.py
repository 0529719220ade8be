"""Where a slide is: from the URI that QuPath has stored to a file on this machine.

Projects move between machines and systems, so a URI is first understood as the path that it was there, then looked
for here: itself, at the same place relative to the project, and by name below folders that the user gives.
"""

import ntpath
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import unquote

from nuclick_wsi.errors import SlideError
from nuclick_wsi.paths import existing, is_there, told_apart
from nuclick_wsi.slides.lookup import SlideFolders

_DRIVE = re.compile(r"/?[A-Za-z]:[\\/]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def path_of_uri(uri: str) -> PurePath | None:
    r"""Return the path that a URI meant where it was written; None where it is no file (http, omero).

    Understands `file:/home/a`, `file:///home/a`, `file:/C:/a`, `file://server/share/a`, `file:////server/share/a`,
    and plain paths of both systems; percent signs are decoded in URIs only.
    """
    if not uri.lower().startswith("file:"):
        is_windows = uri.startswith("\\\\") or _DRIVE.match(uri)
        if not is_windows and _SCHEME.match(uri):
            return None
        return PureWindowsPath(uri) if is_windows else PurePosixPath(uri)
    path = unquote(uri[len("file:") :])
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        path = f"//{host}/{rest}" if host not in ("", "localhost") else slash + rest
    if path.startswith("//"):
        return PureWindowsPath(path)
    return PureWindowsPath(path.lstrip("/")) if _DRIVE.match(path) else PurePosixPath(path)


def find_slide(uri: str, project_file: Path, previous_uri: str | None, folders: SlideFolders) -> Path:
    """Return the slide that a project's image shows.

    Parameters
    ----------
    uri
        As the project has it.
    project_file
        The .qpproj as it lies here.
    previous_uri
        Where the .qpproj was when QuPath wrote it, as it says itself.
    folders
        Where else to look, by name.

    Raises
    ------
    SlideError
        It is nowhere, it is no file, or several candidates are equally good; the message names the places.
    """
    path = path_of_uri(uri)
    if path is None:
        raise SlideError(f"{uri} is not a file: download the slide and add the file to the project.")
    looked = list(dict.fromkeys(_places(path, project_file, previous_uri)))
    for place in map(existing, looked):
        if is_there(place):
            return place
    candidates = folders.candidates(path)
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(told_apart(list(map(str, candidates))))
        raise SlideError(
            f"{uri} is not there, and {len(candidates)} files of its name are: {names}. "
            "Name a folder with --slides that holds only the right one."
        )
    below = "".join(f", below {folder}" for folder in folders.folders)
    raise SlideError(
        f"{uri} was not found. Looked at {', '.join(map(str, looked))}{below}. Put the slide there, or name the folder "
        f"that holds {path.name} with --slides."
    )


def _places(path: PurePath, project_file: Path, previous_uri: str | None) -> Iterator[Path]:
    """Yield where a slide may be, the best first: itself, then as far from the project as it was."""
    folder = project_file.absolute().parent
    if not path.is_absolute():
        yield folder / path
        return
    yield Path(str(path))
    previous = path_of_uri(previous_uri) if previous_uri else None
    if previous is None or type(previous) is not type(path) or not previous.is_absolute():
        return
    rules = ntpath if isinstance(path, PureWindowsPath) else posixpath
    try:
        relative = rules.relpath(str(path), str(previous.parent))
    except ValueError:  # another drive
        return
    # "..", too: a slide beside the project's folder has moved with it more often than not.
    yield Path(os.path.normpath(folder.joinpath(*type(path)(relative).parts)))
