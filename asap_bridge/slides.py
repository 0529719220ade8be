"""Which slide an ASAP file is of: the one that makes ASAP open it, which lies beside it under the same name."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from nuclick_wsi.errors import SlideError

SLIDES = (".bif", ".dcm", ".mrxs", ".ndpi", ".scn", ".svs", ".svslide", ".tif", ".tiff", ".vms", ".vmu")
"""What the slide libraries open."""
PICTURES = (".bmp", ".jpeg", ".jpg", ".png")
"""Plain images; beside a slide of the same name they are pictures of it."""


class SlideFolder:
    """A folder to look for slides by name, with all that is below it; it is searched once, when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def named(self, stem: str) -> list[Path]:
        """Return all slides and pictures of a name."""
        return self._index.get(stem, [])

    @cached_property
    def _index(self) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = {}
        for path in _images(self.folder):
            index.setdefault(path.stem, []).append(path)
        return index


def find_slide(annotations: Path, folder: SlideFolder | None = None) -> Path:
    """Return the slide of an ASAP file.

    Parameters
    ----------
    folder
        Where to look if it is not beside the file.

    Raises
    ------
    SlideError
        There is none, or more than one that is as good.
    """
    stem = annotations.stem
    beside = [path for path in sorted(annotations.parent.glob("*")) if path.stem == stem and _is_image(path)]
    for found in filter(None, (beside, folder.named(stem) if folder is not None else [])):
        slides = [path for path in found if path.suffix.lower() in SLIDES] or found
        if len(slides) == 1:
            return slides[0]
        raise SlideError(
            f"{annotations}: {len(slides)} slides have its name: {', '.join(map(str, slides))}. Say which with --slide."
        )
    below = "" if folder is None else f", nor below {folder.folder}"
    raise SlideError(
        f"{annotations}: there is no slide {stem}.* beside it{below} (looked for {', '.join(SLIDES + PICTURES)}). "
        "Put the slide there, as for ASAP, or say where it is with --slide FILE or --slides DIR."
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in (*SLIDES, *PICTURES) and path.is_file()


def _images(folder: Path) -> Iterator[Path]:
    for root, names, files in os.walk(folder):
        names.sort()
        yield from (path for name in sorted(files) if _is_image(path := Path(root, name)))
