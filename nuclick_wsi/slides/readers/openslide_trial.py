"""Opens one slide with OpenSlide and reads a little of each end of its pyramid, in a process that may die of it.

A script for Python alone, `openslide_trial.py LIBRARY SLIDE`, which loads no package: it starts in 20 ms. It ends with
0 whether or not OpenSlide takes the slide.
"""

import ctypes
import os
import sys

MOST_MEMORY, MOST_SECONDS = 1 << 30, 10
"""Bytes beyond those of Python and the library, and seconds of the processor."""
_SIDE = 64


def main(library: str, slide: str) -> None:
    """Try a slide; `library` is OpenSlide's file."""
    openslide = ctypes.CDLL(library)
    _limit()
    for name in ("open", "get_property_names", "get_property_value"):
        getattr(openslide, f"openslide_{name}").restype = ctypes.c_void_p
    handle = openslide.openslide_open(os.fsencode(slide))
    if handle is None:
        return
    handle = ctypes.c_void_p(handle)
    openslide.openslide_get_property_names(handle)
    levels = openslide.openslide_get_level_count(handle)
    for level in {0, levels - 1} if levels > 0 else ():
        _read(openslide, handle, level)
    openslide.openslide_close(handle)


def _read(openslide: ctypes.CDLL, handle: ctypes.c_void_p, level: int) -> None:
    """Read a square in the middle of a level."""
    width, height = ctypes.c_int64(), ctypes.c_int64()
    openslide.openslide_get_level0_dimensions(handle, ctypes.byref(width), ctypes.byref(height))
    middle = [ctypes.c_int64(side.value // 2) for side in (width, height)]
    pixels, side = ctypes.create_string_buffer(4 * _SIDE * _SIDE), ctypes.c_int64(_SIDE)
    openslide.openslide_read_region(handle, pixels, *middle, level, side, side)


def _limit() -> None:
    """Let the system end this process when it takes too much, where the system can."""
    try:
        import resource  # noqa: PLC0415  (Windows has none)
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:  # noqa: PTH123  (pathlib would take as long as the rest)
            most = int(file.read().split()[0]) * resource.getpagesize() + MOST_MEMORY
        _, allowed = resource.getrlimit(resource.RLIMIT_AS)
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main(*sys.argv[1:])
