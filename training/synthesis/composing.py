"""`python -m nuclick_training compose`: write pictures of touching cells as a folder that `nuclick-wsi evaluate` takes.

They are composed of the library cells of one part of the split; a sheet with outlines is optional.
"""

import argparse
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nuclick_training.datasets.data import Picture
from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.cell_sheet import cell_sheet
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_wsi.errors import ResultError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.ownership import require_free

LIBRARY = "wbc_jtsc"
COMPOSED = 30
_SHOWN = 6


def add_compose(command: argparse.ArgumentParser) -> None:
    """Give a command the options of composing."""
    command.add_argument("--data", type=Path, required=True, help=f"folder that holds {LIBRARY}/")
    command.add_argument("--out", type=Path, required=True, help="folder for images/ and labels/, new or empty")
    command.add_argument("--split", choices=("train", "validation", "test"), default="test")
    command.add_argument("--count", type=_positive, default=COMPOSED, help="pictures (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--sheet", type=Path, help=f"also write a PNG of the first {_SHOWN}, with outlines")
    command.set_defaults(run=_compose)


def write_pictures(pictures: Iterable[Picture], folder: Path) -> Iterator[Picture]:
    """Write pictures as PNG files into images/ and 16-bit labels/; yield each when it is written.

    Raises
    ------
    ResultError
        The folder holds pictures already, or cannot be written to.
    """
    taken = [part for part in ("images", "labels") if any((folder / part).glob("*"))]
    if taken:
        raise ResultError(f"{folder}: {taken[0]}/ holds files already, which are left alone: name a new folder.")
    for picture in pictures:
        write_atomically(folder / "images" / f"{picture.name}.png", _png(picture.image))
        write_atomically(folder / "labels" / f"{picture.name}.png", _png(picture.labels.astype(np.uint16)))
        yield picture


def _compose(options: argparse.Namespace) -> None:
    if options.sheet:
        require_free(options.sheet)
    library = read_library(options.data / LIBRARY, options.split)
    written = list(write_pictures(compose_pool(library, options.count, options.seed), options.out))
    if options.sheet:
        write_atomically(options.sheet, cell_sheet(written[:_SHOWN]))
    objects = sum(int(picture.labels.max()) for picture in written)
    print(
        f"{options.out}: {len(written)} pictures of {objects} cells, from {len(library.cells)} {options.split} cells.\n"
        f"Score a model on them: nuclick-wsi evaluate MODEL {options.out} --mpp {PIXEL_SIZE}"
    )


def _png(pixels: npt.NDArray[np.generic]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} pictures; give 1 or more")
    return value
