"""Whether a process survives OpenSlide's opening of a slide, tried in another one first.

On numbers that no scanner writes, OpenSlide ends its process or takes all memory. What TIFF tags say is checked before
it is asked; in the other formats, and in TIFF files that it reads by XML or by a maker's own tags, only a trial shows.
"""

import signal
import subprocess
import sys
from pathlib import Path

from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.readers import openslide_trial
from nuclick_wsi.slides.readers.openslide_reader import library_file

_PATIENCE = 60.0
"""Seconds, however little the trial computes: the slide may be on a slow disk."""
_NO_SLIDES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"RIFF")
"""What plain pictures begin with, which OpenSlide does not look into."""
_NO_WINDOW = 0x08000000
"""Windows' CREATE_NO_WINDOW."""
_SCRIPT = Path(openslide_trial.__file__)


def require_survival(path: Path) -> None:
    """Have another process open a slide with OpenSlide: 20 ms of processor time, and what opening it takes.

    Raises
    ------
    SlideError
        If that process dies or takes too long; with the reason alone.
    """
    library = library_file()
    if library is not None and not _is_plain_picture(path):
        _try(library, path)


def _is_plain_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_NO_SLIDES)


def _try(library: str, path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(_SCRIPT), library, str(path)]
    try:
        ended = subprocess.run(  # noqa: S603  (Python itself, and a script of this package)
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            start_new_session=True,
            creationflags=_NO_WINDOW if sys.platform == "win32" else 0,
        )
    except subprocess.TimeoutExpired as error:
        raise _deadly(f"it does not come to an end in {_PATIENCE:.0f} s") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise _deadly(": ".join([_how(ended.returncode), *(line.rpartition(": ")[2] for line in said[-1:])]))


def _how(code: int) -> str:
    names = {-one.value: one.name for one in signal.Signals}
    return f"a process that tried it ended with {names.get(code, code)}"


def _deadly(seen: str) -> SlideError:
    return SlideError(
        f"is damaged or forged: OpenSlide would take this program with it ({seen}). Copy the file again from where it "
        "came"
    )
