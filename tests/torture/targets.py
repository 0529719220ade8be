"""What is tortured: a QuPath project, ASAP's files and a table, each of two slides with clicks on real tissue."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asap_files import dots, write_asap
from projects import Image, write_project
from qpdata_writer import Drawn, points
from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

_PLACES = [(x + 7.5, y + 3.5) for y in range(20, 240, 44) for x in range(20, 240, 44)]
_DATE = re.compile(rb"20\d\d-\d\d-\d\dT[0-9:.+]+")
_OURS = re.compile(r"runs/.*|.*journal\.sqlite.*|.*\.aside\d*(-journal)?")
"""Files that need not be the same: records of runs, and the journal."""


@dataclass(frozen=True)
class Target:
    """Something to run on.

    Attributes
    ----------
    make
        Makes it in an empty folder and returns the arguments of `nuclick-wsi run`.
    changed
        The user's files in which results are written, as endings of names.
    """

    name: str
    make: Callable[[Path], list[str]]
    changed: tuple[str, ...] = ()

    def results(self, folder: Path) -> dict[str, bytes]:
        """Return all files of a folder but those of which each run has its own; dates are taken out of ASAP's."""
        found = {}
        for path in sorted(one for one in folder.rglob("*") if one.is_file() or one.is_symlink()):
            name = path.relative_to(folder).as_posix()
            if not _OURS.fullmatch(name.removeprefix("nuclick/")):
                found[name] = _DATE.sub(b"DATE", path.read_bytes()) if path.suffix == ".xml" else path.read_bytes()
        return found

    def users(self, folder: Path) -> Mapping[str, bytes]:
        """Return the files of a folder that no run may touch: those in which it writes nothing."""
        return {
            name: content for name, content in self.results(folder).items() if not name.endswith(self.changed or "\0")
        }


def _project(folder: Path) -> list[str]:
    drawn = [Drawn(points(*_PLACES), id="00000000-0000-4000-8000-000000000001")]
    write_project(folder, Image("a.svs", drawn), Image("b.svs", drawn), Image("c.svs", drawn[:0]))
    return [str(folder / "project.qpproj"), "--project-access", "files"]


def _hierarchy(folder: Path) -> list[str]:
    return [*_project(folder)[:1], "--project-access", "paquo"]


def _asap(folder: Path) -> list[str]:
    for name in ("a", "b"):
        _slide(folder / f"{name}.svs")
        write_asap(folder / f"{name}.xml", dots(*_PLACES))
    return [str(folder)]


def _table(folder: Path) -> list[str]:
    lines = ["slide,x,y"]
    for name in ("a.svs", "b.svs"):
        _slide(folder / name)
        lines += [f"{name},{x},{y}" for x, y in _PLACES]
    (folder / "clicks.csv").write_text("\n".join(lines))
    return [str(folder / "clicks.csv")]


def _slide(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, immunohistochemistry()[:256, -256:].copy(), PixelSize(0.5, 0.5))


PROJECT = Target("QuPath files", _project)
HIERARCHY = Target("paquo", _hierarchy, ("data.qpdata", "summary.json"))
ASAP = Target("ASAP", _asap, (".xml",))
TABLE = Target("table", _table)


def fresh(pristine: Path, folder: Path) -> None:
    """Put a folder back as it was made, with the times of its files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder, symlinks=True)
