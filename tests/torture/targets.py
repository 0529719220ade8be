"""What is tortured: QuPath projects, ASAP's files and a table, each of two slides with clicks on real tissue."""

import re
import shutil
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from asap_files import dots, write_asap
from defusedxml.ElementTree import fromstring
from projects import Image, write_project
from qpdata_writer import Drawn, points

from qupath_extension.qpdata.hierarchy import PathObject, read_image_data
from torture.qupath_project import write_qupath_project
from torture.tissue import PLACES, write_slide

_OURS = re.compile(r"runs/.*|.*journal\.sqlite.*|.*\.aside\d*(-journal)?")
"""Files that need not be the same: records of runs, and the journal."""
_DATES = {
    ".xml": re.compile(rb"20\d\d-\d\d-\d\dT[0-9:.+]+"),
    "summary.json": re.compile(rb'"timestamp":\d+'),
}
"""What differs from run to run in files that end so: when annotations were made, and when objects were counted."""


@dataclass(frozen=True)
class Target:
    """Something to run on.

    Attributes
    ----------
    make
        Makes it in an empty folder and returns the arguments of `nuclick-wsi run`.
    changed
        The user's files in which results are written, as endings of names, and what returns the things in one.
    """

    name: str
    make: Callable[[Path], list[str]]
    changed: Mapping[str, Callable[[Path], Set[object]]] = field(default_factory=dict)

    def results(self, folder: Path) -> dict[str, bytes]:
        """Return all files of a folder but those of which each run has its own; dates are taken out."""
        found = {}
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            if not _OURS.fullmatch(name.removeprefix("nuclick/")):
                content = path.read_bytes()
                for ending, date in _DATES.items():
                    content = date.sub(b"DATE", content) if name.endswith(ending) else content
                found[name] = content
        return found

    def users(self, folder: Path) -> Mapping[str, bytes]:
        """Return the files of a folder that no run may touch: those in which it writes nothing."""
        return {
            name: content for name, content in self.results(folder).items() if not name.endswith((*self.changed, "\0"))
        }

    def things(self, folder: Path) -> Mapping[str, Set[object]]:
        """Return all that is in the files in which results are written, by the file's name: there each thing counts."""
        return {
            path.relative_to(folder).as_posix(): things(path)
            for path in _files(folder)
            for ending, things in self.changed.items()
            if path.name.endswith(ending)
        }


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file() or one.is_symlink())


def _project(folder: Path) -> list[str]:
    drawn = [Drawn(points(*PLACES), id="00000000-0000-4000-8000-000000000001")]
    write_project(folder, Image("a.svs", drawn), Image("b.svs", drawn), Image("c.svs", drawn[:0]))
    return [str(folder / "project.qpproj"), "--project-access", "files"]


def _hierarchy(folder: Path) -> list[str]:
    return [str(write_qupath_project(folder)), "--project-access", "paquo"]


def _asap(folder: Path) -> list[str]:
    for name in ("a", "b"):
        write_slide(folder / f"{name}.svs")
        write_asap(folder / f"{name}.xml", dots(*PLACES))
    return [str(folder)]


def _table(folder: Path) -> list[str]:
    lines = ["slide,x,y"]
    for name in ("a.svs", "b.svs"):
        write_slide(folder / name)
        lines += [f"{name},{x},{y}" for x, y in PLACES]
    (folder / "clicks.csv").write_text("\n".join(lines))
    return [str(folder / "clicks.csv")]


def _objects(path: Path) -> Set[object]:
    """Return the objects of a data.qpdata as our own reader finds them, with all that is kept of each."""
    return {_kept_of(one) for one in read_image_data(path).objects}


def _kept_of(one: PathObject) -> object:
    roi = one.roi
    shape = roi and (roi.kind, roi.plane, roi.vertices.tobytes(), roi.geometry and roi.geometry.wkb)
    return one.id, one.type, one.name, one.class_name, one.is_locked, tuple(sorted(one.metadata.items())), shape


def _annotations(path: Path) -> Set[object]:
    """Return the annotations of an ASAP file: name, type and every position."""
    return {
        (one.get("Name"), one.get("Type"), tuple((place.get("X"), place.get("Y")) for place in one.iter("Coordinate")))
        for one in fromstring(path.read_bytes()).iter("Annotation")
    }


def _only_counts(_: Path) -> Set[object]:
    """Return nothing: QuPath's summary counts objects, and has none of the user's."""
    return set()


PROJECT = Target("QuPath files", _project)
HIERARCHY = Target("paquo", _hierarchy, {"data.qpdata": _objects, "summary.json": _only_counts})
ASAP = Target("ASAP", _asap, {".xml": _annotations})
TABLE = Target("table", _table)


def fresh(pristine: Path, folder: Path) -> None:
    """Put a folder back as it was made, with the times of its files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder, symlinks=True)
