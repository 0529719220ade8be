"""Pictures of touching white blood cells, composed of single ones (paper, IV-A c: 10 to 30 among red cells).

The same seed gives the same picture. Until the end everything is transmittance: around a cell's outline the pictures
are multiplied, as light passes through layers, so that no rim of one cell's background shows on another's.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.datasets.data import DataError, Labels, Picture, Rgb
from nuclick_training.synthesis.background import composed_background
from nuclick_training.synthesis.background_pieces import Mask, Transmittance
from nuclick_training.synthesis.cell_library import LARGEST, CellLibrary, LibraryCell

PIXEL_SIZE = 0.19
"""Microns per pixel of the library, an estimate: red cells, 7.5 um wide, measure about 39 pixels (34 to 49)."""
FEWEST, MOST = 10, 30
"""Cells in a picture (paper, IV-A c)."""
# The paper gives none of the values below: they were set by hand for the library's cells of 9 to 18 um.
SMALLEST_SIZE = 400
"""Smallest side of a picture in pixels: `MOST` cells find room in it."""
_PAD = LARGEST
"""Pixels of canvas around the picture: a cell that the picture's border cuts lies on the canvas as a whole."""
_VISIBLE = 0.75
"""Share of a cell's area that later cells must leave uncovered."""
_INSIDE = 0.6
"""Share of a cell's area that must lie inside the picture."""
_TRIES = 40
"""Places that are tried for a cell before it is left out."""
_Centre = npt.NDArray[np.float64]
_Place = tuple[slice, slice]


def compose_pool(library: CellLibrary, count: int, seed: int, step: float = 1.0) -> Iterator[Picture]:
    """Yield pictures; each depends on the seed and its own number only.

    Parameters
    ----------
    step
        Picture pixels (`PIXEL_SIZE`) per model pixel.
    """
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield compose(library, rng, step=step, name=f"{library.part}_{number:03d}")


def compose(
    library: CellLibrary, rng: np.random.Generator, size: int = 512, step: float = 1.0, name: str = "composed"
) -> Picture:
    """Compose one picture of 10 to 30 cells of one smear, in clusters and alone.

    Parameters
    ----------
    size
        Side of the picture, in pixels of `PIXEL_SIZE`.
    """
    if size < SMALLEST_SIZE:
        raise DataError(f"A picture of {MOST} cells needs a side of {SMALLEST_SIZE} pixels or more, not {size}.")
    alike = library.alike(int(rng.integers(len(library.cells))))
    canvas = Canvas(composed_background(alike, library.cells, size + 2 * _PAD, rng))
    sociable = rng.uniform(0.5, 0.95)
    wanted = int(rng.integers(FEWEST, MOST + 1))
    order = [alike[index] for index in np.concatenate([rng.permutation(len(alike)) for _ in range(MOST)])]
    for cell in order[: 2 * MOST]:
        if len(canvas.areas) == wanted:
            break
        shape = Shape(cell, alike[0], rng)
        together = len(canvas.areas) > 0 and rng.random() < sociable
        canvas.add(shape, rng, together)
    image = _lit(canvas.transmittance[canvas.inner], alike[0].plasma, rng)
    return Picture(name, image, canvas.labels[canvas.inner].copy(), step)


class Shape:
    """A cell as it will be drawn: deformed, resized, turned and restained.

    Attributes
    ----------
    transmittance
        (n, n, 3) float32.
    mask
        (n, n) bool.
    """

    def __init__(self, cell: LibraryCell, first: LibraryCell, rng: np.random.Generator) -> None:
        scale = np.exp(rng.uniform(-0.12, 0.12))
        stretch = np.exp(rng.uniform(-0.08, 0.08))
        side = int(np.hypot(*cell.mask.shape) * scale * 1.08) + 2
        across, along = rng.uniform(0, 2 * np.pi, 2)
        flip = np.diag([1.0, rng.choice([-1.0, 1.0])])
        matrix = _turn(across) @ np.diag([1 / (scale * stretch), stretch / scale]) @ flip @ _turn(along)
        grid = np.mgrid[:side, :side].reshape(2, -1) - (side - 1) / 2
        places = matrix @ grid + (np.array(cell.mask.shape)[:, None] - 1) / 2
        places = places.reshape(2, side, side) + _wobble(side, rng)
        self.mask: Mask = ndimage.map_coordinates(cell.mask.astype(np.float32), places, order=1) > 0.5
        planes = [
            ndimage.map_coordinates(cell.transmittance[..., c], places, order=3, mode="constant", cval=1.0)
            for c in range(3)
        ]
        # Half-way to the first cell's strength of stain: cells of one smear differ, but not as two smears do.
        strength = np.clip(np.sqrt(first.nucleus.sum() / cell.nucleus.sum()), 0.75, 1.33)
        strength *= np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.03, 3))
        self.transmittance: Transmittance = np.clip(np.stack(planes, 2), 0.02, 1.1) ** strength.astype(np.float32)
        self.area = int(self.mask.sum())

    @property
    def radius(self) -> float:
        """Radius of the disc of the same area."""
        return float(np.sqrt(self.area / np.pi))


class Canvas:
    """A picture that is being composed, with room around it for the cells that its border cuts."""

    def __init__(self, background: Transmittance) -> None:
        self.transmittance = background
        self.labels: Labels = np.zeros(background.shape[:2], np.int32)
        self.inner = np.s_[_PAD:-_PAD, _PAD:-_PAD]
        self.areas: list[int] = []
        self.centres: list[_Centre] = []
        self.radii: list[float] = []

    def add(self, shape: Shape, rng: np.random.Generator, together: bool) -> None:
        """Lay a cell against another one, or alone; leave it out where there is no room."""
        for _ in range(_TRIES):
            centre = self._beside_another(shape, rng) if together else self._alone(shape, rng)
            if centre is not None and self.fits(shape, centre):
                self.lay(shape, centre, rng)
                return

    def _place(self, shape: Shape, centre: _Centre) -> _Place:
        top, left = (int(value) for value in np.rint(centre - len(shape.mask) / 2))
        return np.s_[top : top + len(shape.mask), left : left + len(shape.mask)]

    def _within(self, centre: _Centre, margin: float) -> bool:
        low, high = _PAD + margin, len(self.labels) - _PAD - margin
        return bool((centre >= low).all() and (centre < high).all())

    def _covered(self, shape: Shape, centre: _Centre) -> int:
        """Return how many pixels of other cells a shape would cover."""
        return int(np.count_nonzero(self.labels[self._place(shape, centre)][shape.mask]))

    def _alone(self, shape: Shape, rng: np.random.Generator) -> _Centre | None:
        centre = rng.uniform(_PAD, len(self.labels) - _PAD, 2)
        apart = all(
            np.hypot(*(centre - other)) > shape.radius + radius + 8
            for other, radius in zip(self.centres, self.radii, strict=True)
        )
        return centre if apart and self._within(centre, 0) and not self._covered(shape, centre) else None

    def _beside_another(self, shape: Shape, rng: np.random.Generator) -> _Centre | None:
        """Move a cell towards another one until they touch, or overlap slightly."""
        which = int(rng.integers(len(self.centres)))
        share = rng.uniform(0.03, 0.1) if rng.random() < 0.3 else rng.uniform(0.002, 0.025)
        angle = rng.uniform(0, 2 * np.pi)
        towards = np.array([np.sin(angle), np.cos(angle)])
        for distance in np.arange(1.4 * (shape.radius + self.radii[which]), 0, -1):
            centre = self.centres[which] + distance * towards
            if not self._within(centre, 0):
                continue
            covered = self._covered(shape, centre)
            if covered >= share * shape.area:
                return centre if covered < 0.2 * shape.area else None
        return None

    def fits(self, shape: Shape, centre: _Centre) -> bool:
        """Whether the picture holds most of the cell, and every cell stays one piece and mostly uncovered."""
        mine = np.zeros(self.labels.shape, bool)
        mine[self._place(shape, centre)] = shape.mask
        if mine[self.inner].sum() < _INSIDE * shape.area or not _one_piece(mine[self.inner]):
            return False
        for number in np.unique(self.labels[mine]):
            left = (self.labels == number) & ~mine
            if number and (left.sum() < _VISIBLE * self.areas[number - 1] or not _one_piece(left[self.inner])):
                return False
        return True

    def lay(self, shape: Shape, centre: _Centre, rng: np.random.Generator) -> None:
        """Blend a cell in: what lies below shows through its rim, and hardly through its body; its halo multiplies."""
        place = self._place(shape, centre)
        outside = ndimage.distance_transform_edt(~shape.mask)
        depth = ndimage.distance_transform_edt(shape.mask) - outside
        body = np.clip(ndimage.gaussian_filter(depth, 1) / 4, 0, 1)[..., None].astype(np.float32)
        halo = np.clip(1.25 - outside / 4, 0, 1)[..., None].astype(np.float32)
        below = self.transmittance[place]
        seen_through = below ** np.float32(rng.uniform(0.05, 0.3))
        own = 1 + halo * (shape.transmittance - 1)
        self.transmittance[place] = own * (body * seen_through + (1 - body) * below)
        self.areas.append(shape.area)
        self.labels[place][shape.mask] = len(self.areas)
        self.centres.append(centre)
        self.radii.append(shape.radius)


def _one_piece(mask: Mask) -> bool:
    """Whether a mask is one piece by its pixels' sides."""
    return bool(ndimage.label(mask)[1] == 1)


def _turn(angle: float) -> npt.NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _wobble(side: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a smooth random displacement (2, side, side), in pixels."""
    rough = ndimage.gaussian_filter(rng.standard_normal((2, side, side)), (0, side / 7, side / 7))
    wobble: npt.NDArray[np.float64] = rough / rough.std() * rng.uniform(0.5, 3.0)
    return wobble


def _lit(transmittance: Transmittance, plasma: npt.NDArray[np.float64], rng: np.random.Generator) -> Rgb:
    """Return the picture as a camera takes it: plasma colour, light that is uneven by a few percent, and noise."""
    side = len(transmittance)
    coarse = ndimage.zoom(rng.normal(0, 0.012, (4, 4)), side / 4, order=3, mode="nearest", grid_mode=True)
    light = transmittance * (plasma * rng.uniform(0.95, 1.0)) * np.exp(coarse)[..., None]
    noise = rng.normal(0, rng.uniform(0.5, 1.5), light.shape)
    image: Rgb = np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)
    return image
