"""Replacing the data.qpdata of an image, whatever it holds, so that no save of the user's is lost."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from nuclick_wsi.errors import FileChangedError, ProjectError
from nuclick_wsi.files import back_up
from nuclick_wsi.json_values import object_at
from nuclick_wsi.shared_files import Stamp, put_if_unchanged, replace_if_unchanged
from qupath_extension.json_files import read_json
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType


def stamp_of(path: Path) -> Stamp:
    """Return what a file holds; ProjectError where it cannot be read."""
    try:
        return Stamp.of_file(path)
    except OSError as error:
        raise ProjectError(f"{path} cannot be read ({error.strerror}).") from error


def require_unchanged(path: Path, read: Stamp) -> None:
    """Refuse to go on where another program has saved a file since it was read."""
    if stamp_of(path) != read:
        raise _changed(path)


def put_in_place(temporary: Path, path: Path, read: Stamp, first: bool) -> None:
    """Put a complete file in the place of another, unless that has changed since it was read.

    Parameters
    ----------
    first
        Whether to keep a copy of what is replaced.

    Raises
    ------
    ResultError
        If the file has changed or cannot be replaced; then it is as it was.
    """
    require_unchanged(path, read)
    if first:
        back_up(path)
    try:
        put_if_unchanged(temporary, path, read)
    except FileChangedError as error:
        raise _changed(path) from error


def _changed(path: Path) -> FileChangedError:
    return FileChangedError(
        f"{path} has changed since it was read, so it is not overwritten: the image is probably open in QuPath. "
        "Save and close it there, then run again; what was computed is remembered."
    )


_NAMES = {
    PathObjectType.ANNOTATION: "Annotations",
    PathObjectType.DETECTION: "Detections",
    PathObjectType.CELL: "Cells",
    PathObjectType.TILE: "Tiles",
    PathObjectType.TMA_CORE: "TMA cores",
}
_DETECTIONS = (PathObjectType.DETECTION, PathObjectType.CELL, PathObjectType.TILE)


def update_summary(data_path: Path, objects: tuple[PathObject, ...]) -> None:
    """Bring summary.json, from which QuPath's project pane counts objects, up to date, where there is one."""
    path = data_path.with_name("summary.json")
    if not path.exists():
        return
    seen = Stamp.of_file(path)
    summary = read_json(path)
    hierarchy = {**object_at(summary, "hierarchy"), **_counts(objects)}
    changed: dict[str, Any] = {"timestamp": data_path.stat().st_mtime_ns // 1_000_000, "hierarchy": hierarchy}
    with suppress(FileChangedError):  # QuPath has saved the image since: its own counts are the right ones
        replace_if_unchanged(path, orjson.dumps({**summary, **changed}), seen)


def correct_summary(data_path: Path, objects: tuple[PathObject, ...]) -> None:
    """Bring summary.json up to date where it counts other objects: a run was killed before it came to that.

    One that is damaged is left: this run has written nothing.
    """
    path, counts = data_path.with_name("summary.json"), _counts(objects)
    if path.exists():
        with suppress(ProjectError):
            there = object_at(read_json(path), "hierarchy")
            if any(there.get(name) != count for name, count in counts.items()):
                update_summary(data_path, objects)


def _counts(objects: tuple[PathObject, ...]) -> dict[str, Any]:
    kinds = Counter(_NAMES.get(one.type, "Objects") for one in objects)
    return {
        "nObjects": len(objects) + 1,
        "objectTypeCounts": {"Root objects": 1, **kinds},
        "annotationClassificationCounts": _classes(one for one in objects if one.type is PathObjectType.ANNOTATION),
        "detectionClassificationCounts": _classes(one for one in objects if one.type in _DETECTIONS),
    }


def _classes(objects: Iterator[PathObject]) -> dict[str, int]:
    return dict(Counter(one.class_name or "Unclassified" for one in objects))
