"""The systems of the bench by name, and the choices of their parameters; see docs/comparison.md.

What a system uses was chosen by `nuclick-wsi compare choose`: on validation images for nuclei and glands, and for cells
on the composed pictures that others learn from.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nuclick_training.comparison.active_contour import ActiveContour
from nuclick_training.comparison.disc import Disc
from nuclick_training.comparison.grab_cut import GrabCut
from nuclick_training.comparison.nuclick import NuClick
from nuclick_training.comparison.region_growing import RegionGrowing
from nuclick_training.comparison.system import System
from nuclick_training.comparison.watershed import Watershed
from nuclick_wsi.prompts import ObjectKind


@dataclass(frozen=True, slots=True)
class Entry:
    """A system as it is used for one kind of object, and the values among which its parameters were chosen."""

    system: System
    grid: Mapping[str, Sequence[float]]

    def choices(self) -> Iterator[System]:
        """Yield the system with every combination of parameters."""
        for values in itertools.product(*self.grid.values()):
            yield replace(self.system, **dict(zip(self.grid, values, strict=True)))  # type: ignore[type-var]


NUCLEI: Sequence[Entry] = (
    Entry(Disc(3.0), {"radius_um": (2.5, 3.0, 3.5, 4.0, 4.5, 5.0)}),
    Entry(
        Watershed(1.0, 6.5, 0.6),
        {"smoothing_um": (0.25, 0.5, 1.0), "reach_um": (5.0, 6.5, 8.0), "pale": (0.6, 0.8, 1.0)},
    ),
    Entry(RegionGrowing(0.5, 0.15), {"smoothing_um": (0.25, 0.5, 1.0), "tolerance": (0.1, 0.15, 0.2, 0.25)}),
    Entry(
        ActiveContour(0.5, 6.5, 30),
        {"smoothing_um": (0.25, 0.5), "reach_um": (5.0, 6.5, 8.0), "iterations": (15, 30, 60)},
    ),
    Entry(GrabCut(0.5, 2), {"margin": (0.2, 0.5), "iterations": (2, 5)}),
    Entry(NuClick("nuclei", ObjectKind.NUCLEUS), {}),
)
CELLS: Sequence[Entry] = (
    Entry(Disc(7.0), {"radius_um": (5.0, 6.0, 7.0, 8.0)}),
    Entry(Watershed(1.0, 12.0, 0.4), {"smoothing_um": (0.5, 1.0), "reach_um": (9.0, 12.0), "pale": (0.4, 0.6, 0.8)}),
    Entry(RegionGrowing(1.0, 0.3), {"smoothing_um": (0.5, 1.0), "tolerance": (0.1, 0.2, 0.3)}),
    Entry(ActiveContour(0.5, 12.0, 60), {"reach_um": (9.0, 12.0), "iterations": (30, 60)}),
    Entry(GrabCut(0.2, 2), {"margin": (0.2, 0.5), "iterations": (2, 5)}),
    Entry(NuClick("cells", ObjectKind.CELL), {}),
)
GLANDS: Sequence[Entry] = (
    Entry(Disc(50.0), {"radius_um": (30.0, 40.0, 50.0, 60.0)}),
    Entry(
        Watershed(5.0, 60.0, 0.6), {"smoothing_um": (2.0, 5.0), "reach_um": (40.0, 60.0, 80.0), "pale": (0.6, 0.8, 1.0)}
    ),
    Entry(
        RegionGrowing(2.0, 0.3, 120), {"smoothing_um": (2.0, 5.0), "tolerance": (0.1, 0.2, 0.3), "rounds": (60, 120)}
    ),
    Entry(ActiveContour(3.0, 60.0, 100), {"reach_um": (40.0, 60.0), "iterations": (50, 100)}),
    Entry(GrabCut(0.1, 2), {"margin": (0.1, 0.2, 0.5), "iterations": (2, 5)}),
    Entry(NuClick("glands", ObjectKind.GLAND), {}),
)
SYSTEMS: Mapping[ObjectKind, Sequence[Entry]] = {
    ObjectKind.NUCLEUS: NUCLEI,
    ObjectKind.CELL: CELLS,
    ObjectKind.GLAND: GLANDS,
}
