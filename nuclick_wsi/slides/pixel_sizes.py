"""The pixel size that a slide is read by: which statement of it counts, and what the user is told of the others."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nuclick_wsi.errors import PixelSizeError, SettingsError
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.slide import SlideInfo

SMALLEST_MPP = 0.05
LARGEST_MPP = 20.0
"""Microns per pixel that a microscope gives; the 72, 96 and 300 dpi that programs write unasked are above."""

_PROJECT, _FILE = "its project", "its file"
_ALIKE = 1e-3
"""Sizes that differ by less are one size, written with more or fewer digits."""


@dataclass(frozen=True, slots=True)
class GivenPixelSize:
    """A pixel size that the user gives for a run.

    Attributes
    ----------
    is_forced
        Whether it counts before those of project and file, which may be wrong, and not only where they say none.
    """

    size: PixelSize
    is_forced: bool = False

    @classmethod
    def of_options(cls, mpp: float | None, force_mpp: float | None) -> "GivenPixelSize | None":
        """Return what the options `--mpp` and `--force-mpp` give, in microns; None where they are not used.

        Raises
        ------
        SettingsError
            If both are used, or no microscope gives such pixels.
        """
        if mpp is not None and force_mpp is not None:
            raise SettingsError(
                "--mpp is for slides that say no pixel size, and --force-mpp is for all: give one of them."
            )
        width = mpp if force_mpp is None else force_mpp
        if width is None:
            return None
        if not SMALLEST_MPP <= width <= LARGEST_MPP:
            option = "--mpp" if force_mpp is None else "--force-mpp"
            raise SettingsError(
                f"{option} is the width of a pixel in um, between {SMALLEST_MPP} and {LARGEST_MPP:g}, not {width}."
            )
        return cls(PixelSize(width, width), is_forced=force_mpp is not None)

    @property
    def option(self) -> str:
        """What gave it, for messages."""
        return "--force-mpp" if self.is_forced else "--mpp"


@dataclass(frozen=True, slots=True)
class ResolvedPixelSize:
    """A pixel size with where it comes from, and what the user is to know of it, each a clause."""

    size: PixelSize
    source: str
    remarks: tuple[str, ...] = ()


def is_plausible(size: PixelSize) -> bool:
    """Whether a microscope gives pixels of this size."""
    return all(SMALLEST_MPP <= side <= LARGEST_MPP for side in (size.x_um, size.y_um))


def resolve_pixel_size(
    info: SlideInfo, from_project: PixelSize | None = None, given: GivenPixelSize | None = None
) -> ResolvedPixelSize:
    """Return the pixel size to go by: a forced one, else the project's, else the slide's, else the user's.

    The project comes before the slide because its user may have set it there. A size of the project that no microscope
    gives counts as none: QuPath takes over the 72 dpi of a plain TIFF as 352.78 um.

    Raises
    ------
    PixelSizeError
        If none of them has one, the pixels are not square to 10 %, or the user's is not of a microscope.
    """
    if given is not None:
        _require_plausible(given)
    stated = list(_stated(info, from_project, given))
    usable = [(source, size) for source, size in stated if is_plausible(size)]
    if not usable:
        raise PixelSizeError(_no_pixel_size(info, from_project))
    source, size = usable[0]
    _require_square(info, size, source)
    return ResolvedPixelSize(size, source, tuple(_remarks(usable[0], stated, given)))


def in_microns(size: PixelSize) -> str:
    """Return a pixel size in words."""
    return f"{size.x_um:.5g} x {size.y_um:.5g} um"


def _stated(
    info: SlideInfo, from_project: PixelSize | None, given: GivenPixelSize | None
) -> Iterator[tuple[str, PixelSize]]:
    """Yield all statements, the one that counts most first."""
    if given is not None and given.is_forced:
        yield given.option, given.size
    if from_project is not None:
        yield _PROJECT, from_project
    if info.pixel_size is not None:
        yield _FILE, info.pixel_size
    if given is not None and not given.is_forced:
        yield given.option, given.size


def _remarks(
    used: tuple[str, PixelSize], stated: list[tuple[str, PixelSize]], given: GivenPixelSize | None
) -> Iterator[str]:
    """Yield what the user is told of statements that are not used, and that say something else."""
    source, size = used
    others = {name: other for name, other in stated if name != source and not _alike(size, other)}
    if given is not None and given.option == source:
        for name, other in others.items():
            yield f"{source} makes a pixel {in_microns(size)}, though {name} says {in_microns(other)}"
        return
    if _PROJECT in others:
        yield (
            f"its project says that a pixel is {in_microns(others[_PROJECT])}, which no microscope gives; the "
            f"{in_microns(size)} of {source} count"
        )
    if given is not None and given.option in others:
        yield (
            f"{given.option} {given.size.mean:g} is not used, because {source} says that a pixel is "
            f"{in_microns(size)}; where that is wrong, --force-mpp {given.size.mean:g} counts before it"
        )


def _alike(one: PixelSize, other: PixelSize) -> bool:
    pairs = ((one.x_um, other.x_um), (one.y_um, other.y_um))
    return all(math.isclose(a, b, rel_tol=_ALIKE) for a, b in pairs)


def _require_plausible(given: GivenPixelSize) -> None:
    if not is_plausible(given.size):
        raise PixelSizeError(
            f"a pixel size of {in_microns(given.size)} is not a microscope's: {given.option} takes microns per pixel "
            f"from {SMALLEST_MPP} to {LARGEST_MPP:g}, such as 0.25 for 40x and 0.5 for 20x"
        )


def _require_square(info: SlideInfo, size: PixelSize, source: str) -> None:
    if not 1 / 1.1 <= size.x_um / size.y_um <= 1.1:
        raise PixelSizeError(
            f"{info.path}: {source} says that a pixel is {in_microns(size)}; pixels must be square to 10 %. Correct "
            "the pixel size in the QuPath project, pass the right one with --force-mpp, or resample the slide."
        )


def _no_pixel_size(info: SlideInfo, from_project: PixelSize | None) -> str:
    refused = from_project or info.refused_pixel_size
    seen = f" (it says {in_microns(refused)}, which no microscope gives)" if refused else ""
    return (
        f"{info.path}: no pixel size is known{seen}. Give it in one of three ways: set it in the QuPath project "
        "(Image tab, double-click on the pixel width); use a file that has it in its metadata; or pass --mpp, "
        "microns per pixel, such as 0.25 for 40x and 0.5 for 20x."
    )
