"""Where the slide of a project's image, of a file of marks or of a table's row is: beside it, or by name in folders."""

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePath

from nuclick_wsi.errors import SlideError
from nuclick_wsi.paths import closest, comparable, told_apart

SLIDES = (".bif", ".dcm", ".mrxs", ".ndpi", ".scn", ".svs", ".svslide", ".tif", ".tiff", ".vms", ".vmu")
"""What the slide libraries open."""
PICTURES = (".bmp", ".jpeg", ".jpg", ".png")
"""Plain images; beside a slide of the same name they are pictures of it."""
ZARR = ".zarr"
"""What the folder of an OME-Zarr picture ends with; it is a slide, and nothing in it is one."""
_PACKED = (".gz", ".zip")


class SlideFolders:
    """Folders to look for slides by name, with all that is below them; they are searched once, when first needed."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self.folders = tuple(folders)

    def candidates(self, path: PurePath) -> list[Path]:
        """Return the files of the same name whose place agrees best with the path, counted from its end."""
        found = self._of_name(path.name)
        best = max((_common_tail(path, one) for one in found), default=0)
        return [one for one in found if _common_tail(path, one) == best]

    def images(self) -> list[Path]:
        """Return all slides and pictures."""
        return [path for paths in self._index.values() for path in paths if _is_image(path)]

    def _of_name(self, name: str) -> list[Path]:
        found = self._index.get(comparable(name), [])
        names = closest(name, dict.fromkeys(one.name for one in found))
        return [one for one in found if one.name in names]

    @cached_property
    def _index(self) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = {}
        for path in (one for folder in self.folders for one in _walk(folder)):
            index.setdefault(comparable(path.name), []).append(path)
        # The same folder may have been given twice, or one below another.
        return {name: list(dict.fromkeys(paths)) for name, paths in index.items()}


NOWHERE = SlideFolders()


def find_slide_of(marks: Path, folders: SlideFolders = NOWHERE) -> Path:
    """Return the slide of a file of marks: the one that lies beside it under its name, as ASAP has it, else in folders.

    Raises
    ------
    SlideError
        There is none, or more than one that is as good.
    """
    stem = stem_of(marks)
    for found in (_named(stem, images_in(marks.parent)), _named(stem, folders.images())):
        if not found:
            continue
        slides = [path for path in found if path.suffix.lower() in SLIDES] or found
        if len(slides) == 1:
            return slides[0]
        names = ", ".join(told_apart(list(map(str, slides))))
        raise SlideError(f"{marks}: {len(slides)} slides have its name: {names}. Say which with --slide.")
    below = "".join(f", nor below {folder}" for folder in folders.folders)
    raise SlideError(
        f"{marks}: there is no slide {stem}.* beside it{below} (looked for {', '.join(SLIDES + PICTURES)}). "
        "Put the slide there, as for ASAP, or say where it is with --slide FILE or --slides DIR."
    )


def stem_of(marks: Path) -> str:
    """Return a file's name without its ending, which may be two: `a` of a.geojson.gz."""
    name = marks.with_suffix("") if marks.suffix.lower() in _PACKED else marks
    return name.stem


def images_in(folder: Path) -> list[Path]:
    """Return the slides and pictures that lie in a folder, not those below."""
    return [path for path in sorted(folder.glob("*")) if _is_image(path)]


def _named(stem: str, images: Iterable[Path]) -> list[Path]:
    """Return the images of a name: without their suffix, or with it."""
    by_name: dict[str, list[Path]] = {}
    for path in images:
        for name in dict.fromkeys((path.stem, path.name)):
            by_name.setdefault(name, []).append(path)
    return [path for name in closest(stem, by_name) for path in by_name[name]]


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    return (suffix in (*SLIDES, *PICTURES) and path.is_file()) or (suffix == ZARR and path.is_dir())


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all that is below a folder, links followed, every folder once."""
    seen = set()
    for root, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names.sort()
        yield from (Path(root, name) for name in (*sorted(files), *names))
        names[:] = [name for name in names if not name.lower().endswith(ZARR)]


def _common_tail(one: PurePath, other: PurePath) -> int:
    """Return how many last parts of two paths agree."""
    count = 0
    for a, b in zip(reversed(one.parts), reversed(other.parts), strict=False):
        if comparable(a) != comparable(b):
            break
        count += 1
    return count
