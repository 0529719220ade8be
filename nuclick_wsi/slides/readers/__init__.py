"""From a path to a slide: one adapter per library, tried in turn; nothing else imports those libraries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from nuclick_wsi.accepted import one_of
from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.paths import existing
from nuclick_wsi.slides.readers.framed import FramedSlide
from nuclick_wsi.slides.readers.image_reader import ImageSource
from nuclick_wsi.slides.readers.ome_zarr_reader import OmeZarrSource, is_zarr_folder
from nuclick_wsi.slides.readers.openslide_reader import OpenSlideSource
from nuclick_wsi.slides.readers.source import Source
from nuclick_wsi.slides.readers.survival import require_survival
from nuclick_wsi.slides.readers.tiff_content import NOTHING_KNOWN, TiffContent, examine_tiff
from nuclick_wsi.slides.readers.tiff_directories import is_tiff
from nuclick_wsi.slides.readers.tiffslide_reader import TiffSlideSource
from nuclick_wsi.slides.slide import Frame, Slide


@dataclass(frozen=True, slots=True)
class Reader:
    """A library that reads slides."""

    name: ReaderChoice
    open: Callable[[Path], Source]
    """Open a file, or raise a `SlideError` with the library's reason alone."""
    module: str
    package: str
    """As pip knows the library."""

    def unavailable(self) -> str | None:
        """Return why the library cannot be used on this machine, None where it can."""
        try:
            import_module(self.module)
        except (ImportError, OSError) as error:
            return str(error)
        return None

    def library_version(self) -> str:
        """Return the version of the library, which must be there."""
        return f"{self.package} {metadata.version(self.package)}"


READERS = (
    Reader(ReaderChoice.OPENSLIDE, OpenSlideSource, "openslide", "openslide-python"),
    Reader(ReaderChoice.TIFFSLIDE, TiffSlideSource, "tiffslide", "tiffslide"),
    Reader(ReaderChoice.OME_ZARR, OmeZarrSource, "zarr", "zarr"),
    Reader(ReaderChoice.IMAGE, ImageSource, "PIL.Image", "pillow"),
)
"""In the order in which they are tried."""

_WORTH_A_PYRAMID = 4096
"""Longest side in pixels from which on it matters that a reader sees no more than one level."""


def open_slide(path: Path | str, *, reader: ReaderChoice = ReaderChoice.AUTO, frame: Frame = Frame.FULL) -> Slide:
    """Open a slide with the first reader that takes it, or with the one that is asked for.

    Parameters
    ----------
    path
        The slide's file; of a slide of many files, the one that other programs open (`.mrxs`, any `.dcm`); or
        the folder of an OME-Zarr picture. It is found where its name is written in another case or Unicode form, too.
    reader
        The library to use; AUTO tries OpenSlide, TiffSlide, zarr and Pillow in this order.
    frame
        Where (0, 0) is: the whole slide's corner, or that of the part that was scanned.

    Raises
    ------
    SlideError
        If the file is missing, empty or a folder, is no upright brightfield picture of 8 bits, or no reader takes it:
        with what each of them said.
    """
    reader, frame = one_of(ReaderChoice, reader, "The reader"), one_of(Frame, frame, "The frame")
    path = existing(Path(path))
    _require_file(path)
    content = _content(path)
    if path.is_dir():
        source = _open_folder(path, reader)
    elif reader is ReaderChoice.AUTO:
        source = _open_any(path, content)
    else:
        source = _try(path, [known for known in READERS if known.name == reader], content)
    return FramedSlide(path, source, frame, content)


def _content(path: Path) -> TiffContent:
    """Return what a TIFF holds; nothing is known of other files before they are opened."""
    try:
        return examine_tiff(path) if path.is_file() and is_tiff(path) else NOTHING_KNOWN
    except SlideError as error:
        raise SlideError(f"{path}: {error}.") from error


def _require_file(path: Path) -> None:
    try:
        if is_zarr_folder(path):
            return
        if path.is_dir():
            raise SlideError(f"{path}: is a folder, not a slide. Name the file in it that QuPath or ASAP opens.")
        if path.exists() and not path.is_file():
            raise SlideError(f"{path}: is a pipe or a device, not a slide's file. Name the file itself.")
        with path.open("rb") as file:
            if not file.read(1):
                raise SlideError(f"{path}: is empty. Copy it again from where it came.")
    except FileNotFoundError as error:
        raise SlideError(f"{path}: there is no such file. Check the path.") from error
    except SlideError:
        raise
    except OSError as error:
        raise SlideError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _open_folder(path: Path, reader: ReaderChoice) -> Source:
    if reader not in (ReaderChoice.AUTO, ReaderChoice.OME_ZARR):
        raise SlideError(f"{path}: is a folder, which {reader} does not read. Leave --reader at auto.")
    return _try(path, [known for known in READERS if known.name is ReaderChoice.OME_ZARR], NOTHING_KNOWN)


def _open_any(path: Path, content: TiffContent) -> Source:
    source = _try(path, READERS, content)
    about = source.about
    # OpenSlide reads no more than the first level of an OME-TIFF whose pyramid is in sub-directories.
    may_hide_levels = len(about.sizes) == 1 and max(about.sizes[0].width, about.sizes[0].height) >= _WORTH_A_PYRAMID
    if about.reader is ReaderChoice.OPENSLIDE and may_hide_levels and is_tiff(path):
        return _with_more_levels(path, source)
    return source


def _with_more_levels(path: Path, source: Source) -> Source:
    """Return TiffSlide's view of a file where it sees the same slide with more levels, else the one there is."""
    try:
        other = TiffSlideSource(path)
    except SlideError:
        return source
    sees_more = len(other.about.sizes) > len(source.about.sizes) and other.about.sizes[0] == source.about.sizes[0]
    (source if sees_more else other).close()
    return other if sees_more else source


def _whole(source: Source, content: TiffContent) -> Source:
    """Return a source, unless its level 0 is not the largest picture of the file."""
    try:
        content.require_whole(source.about.sizes[0])
    except SlideError:
        source.close()
        raise
    return source


def _try(path: Path, readers: Sequence[Reader], content: TiffContent) -> Source:
    said = []
    for reader in readers:
        try:
            if reader.name is ReaderChoice.OPENSLIDE and not content.is_usual:
                require_survival(path)
            return _whole(reader.open(path), content)
        except SlideError as error:
            said.append(f"  {reader.name}: {error}")
    advice = (
        "Check that the file is complete and opens elsewhere; if it does, convert it to a pyramidal TIFF or OME-TIFF."
        if len(readers) > 1
        else "Leave --reader at auto to try the others."
    )
    raise SlideError("\n".join([f"{path}: cannot be opened as a slide.", *said, advice]))
