"""What is outlined on a slide: fields in which every object is, as polygons or as an instance map.

What a user's program holds goes in, `Outlined` comes out; `extract` cuts patches from it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely

from nuclick_training.datasets.data import Known, Labels
from nuclick_training.datasets.rasterize import filled
from nuclick_wsi.formats.features import Feature
from nuclick_wsi.geometry import Size
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.slides.slide import Frame

_PLAUSIBLE = {ObjectKind.NUCLEUS: (0, 3000), ObjectKind.CELL: (0, 20_000), ObjectKind.GLAND: (300, np.inf)}
"""Square microns between which a shape is taken for one object of its kind, where nobody says which classes are."""
_SAME = 0.5
"""Shapes that share more than this part of their union are one object, drawn twice."""


class Field(Protocol):
    """A part of a slide in which every object is outlined."""

    def window(self, grid: Grid) -> Window:
        """Return the pixels of a grid that have a part of it."""
        ...

    def read(self, grid: Grid, window: Window) -> tuple[Labels, Known]:
        """Return what is in a window of the grid: (H, W) int32 objects by number, and (H, W) bool the field itself.

        A pixel belongs to what its centre lies in; outside the field there are no objects.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outlined:
    """All that is outlined on one slide.

    Attributes
    ----------
    class_names
        Of the objects: that of number n is at n - 1.
    remarks
        What the user is to know: what was left out and why, what looks wrong.
    """

    fields: Sequence[Field]
    class_names: Sequence[str | None]
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SlideSource:
    """A slide with the outlines on it, wherever these come from.

    Attributes
    ----------
    name, source
        What its user calls it, and the project, file or folder that says what is outlined.
    path
        The slide's file.
    outlined
        Reads the outlines, in slide pixels (level 0) of `frame`, once the size of these is known.
    pixel_size, size
        What the project says of the slide, where it says it.
    """

    name: str
    source: str
    path: Path
    outlined: Callable[[PixelSize], Outlined]
    frame: Frame = Frame.FULL
    pixel_size: PixelSize | None = None
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class OutlineRule:
    """Which shapes are fields, and which are objects.

    Attributes
    ----------
    regions
        Classes of the shapes in which everything is outlined; none means `Region`, `Regions` and QuPath's `Region*`.
    classes
        Classes of the objects; none means all others, as far as they have the size of such objects.
    """

    kind: ObjectKind
    regions: Sequence[str] = ()
    classes: Sequence[str] = ()

    def is_region(self, class_name: str | None) -> bool:
        """Whether everything inside a shape of this class is outlined."""
        if self.regions:
            return class_name in self.regions
        return (class_name or "").rstrip("*").lower() in ("region", "regions")

    def refusal(self, class_name: str | None, area_um2: float) -> str | None:
        """Return why a shape is not taken for an object; None where it is."""
        named = f"class {class_name}" if class_name else "no class"
        if self.classes:
            return None if class_name in self.classes else f"of {named}, not asked for"
        least, most = _PLAUSIBLE[self.kind]
        if least <= area_um2 <= most:
            return None
        return f"of {named}, too {'small' if area_um2 < least else 'large'} for a {self.kind}"


@dataclass(frozen=True, slots=True)
class Shown:
    """The shapes on a slide in slide pixels, by who made them; points and lines say that something is there.

    Attributes
    ----------
    drawn
        By a user: regions too. Where both outline one object, the user's shape is the correction.
    found
        By a program, or a run of ours.
    """

    drawn: Sequence[Feature]
    found: Sequence[Feature]


def outlined_by(shown: Shown, rule: OutlineRule, pixel_size: PixelSize) -> Outlined:
    """Return the fields and the objects among shapes.

    Shapes of a class `Ignore*` are cut out of the fields: nobody says what is there.
    """
    regions, ignored, objects, marks = [], [], [], []
    left_out: Counter[str] = Counter()
    for place, one in enumerate([*shown.drawn, *shown.found]):
        if (one.plane.z, one.plane.t) != (0, 0):
            left_out["on another plane"] += 1
        elif shapely.get_dimensions(one.geometry) < 2:
            marks.append(one)
        elif place < len(shown.drawn) and rule.is_region(one.class_name):
            regions.append(_valid(one.geometry))
        elif is_ignored(one.class_name):
            ignored.append(_valid(one.geometry))
        elif refusal := rule.refusal(one.class_name, one.geometry.area * pixel_size.area_um2):
            left_out[refusal] += 1
        else:
            objects.append(one)
    whole = shapely.union_all(regions).difference(shapely.union_all(ignored))
    kept = _distinct(objects)
    left_out["that outline an object that is outlined already"] += len(objects) - len(kept)
    shapes = Shapes([_valid(one.geometry) for one in kept])
    remarks = [f"left out: {count} {what}" for what, count in sorted((+left_out).items())]
    if unanswered := _unanswered(marks, rule.kind, whole, shapes):
        remarks.append(f"{unanswered} clicks or squiggles in the region lie in no outline: is everything outlined?")
    if not kept:
        remarks.append("no object is outlined in the region")
    parts = [part for part in shapely.get_parts(whole) if part.geom_type == "Polygon"]
    return Outlined([DrawnField(part, shapes) for part in parts], [one.class_name for one in kept], remarks)


def is_ignored(class_name: str | None) -> bool:
    """Whether a class is one of those that say "leave this alone", as for prompts."""
    return any(part.strip().startswith("Ignore") for part in (class_name or "").split(":"))


class Shapes:
    """The objects of a slide in slide pixels, found by place; number n is at n - 1."""

    def __init__(self, shapes: Sequence[shapely.Geometry]) -> None:
        self._shapes = np.array(shapes, object)
        self._tree = shapely.STRtree(shapes)
        self._areas = shapely.area(self._shapes) if len(shapes) else np.empty(0)

    def touching(self, shape: shapely.Geometry) -> bool:
        """Whether any object has a point in common with a shape."""
        return bool(len(self._tree.query(shape, "intersects")))

    def drawn(self, grid: Grid, window: Window) -> Labels:
        """Return the numbers of the objects in a window of the grid; of two on one place, the smaller."""
        labels = np.zeros(window.shape, np.int32)
        frame = shapely.box(*(edge * grid.downsample for edge in window.edges))
        near = np.sort(self._tree.query(frame))
        for index in near[np.argsort(-self._areas[near], kind="stable")]:
            box, mask = filled(_on_grid(self._shapes[index], grid, window), window.shape)
            labels[box][mask] = index + 1
        return labels


@dataclass(frozen=True, slots=True)
class DrawnField:
    """A region that a user drew around outlined objects."""

    region: shapely.Polygon
    shapes: Shapes

    def window(self, grid: Grid) -> Window:
        """Return the pixels of a grid that have a part of it."""
        left, top, right, bottom = shapely.bounds(self.region) / grid.downsample
        x, y = int(np.floor(left)), int(np.floor(top))
        return Window(x, y, max(1, int(np.ceil(right)) - x), max(1, int(np.ceil(bottom)) - y))

    def read(self, grid: Grid, window: Window) -> tuple[Labels, Known]:
        """Return the objects in a window, and the region itself."""
        known = np.zeros(window.shape, bool)
        box, mask = filled(_on_grid(self.region, grid, window), window.shape)
        known[box] = mask
        labels = self.shapes.drawn(grid, window) if mask.any() else np.zeros(window.shape, np.int32)
        return np.where(known, labels, 0), known


@dataclass(frozen=True, slots=True, eq=False)
class LabelledField:
    """A picture with an instance map of the same size: all of it is known."""

    labels: Labels

    def window(self, grid: Grid) -> Window:
        """Return the pixels of a grid that have a part of it."""
        return grid.extent(Size(self.labels.shape[1], self.labels.shape[0]))

    def read(self, grid: Grid, window: Window) -> tuple[Labels, Known]:
        """Return the objects in a window, and the picture itself."""
        rows, in_rows = _pixels(window.y, window.bottom, grid, self.labels.shape[0])
        columns, in_columns = _pixels(window.x, window.right, grid, self.labels.shape[1])
        known = in_rows[:, None] & in_columns
        return np.where(known, self.labels[np.ix_(rows, columns)], 0), known


def _pixels(start: int, stop: int, grid: Grid, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture's row or column under the centre of each grid pixel, and whether there is one."""
    found = np.floor((np.arange(start, stop) + 0.5) * grid.downsample).astype(np.int64)
    return np.clip(found, 0, count - 1), (found >= 0) & (found < count)


def _on_grid(shape: shapely.Geometry, grid: Grid, window: Window) -> shapely.Geometry:
    """Return a shape of slide pixels in the pixels of a window."""
    return shapely.transform(shape, lambda xy: xy / grid.downsample - (window.x, window.y))


def _valid(shape: shapely.Geometry) -> shapely.Geometry:
    return shape if shape.is_valid else shapely.make_valid(shape)


def _distinct(objects: Sequence[Feature]) -> list[Feature]:
    """Return the objects without those that an earlier one already is."""
    shapes = [_valid(one.geometry) for one in objects]
    tree = shapely.STRtree(shapes)
    dropped: set[int] = set()
    for index, shape in enumerate(shapes):
        if index in dropped:
            continue
        for other in tree.query(shape, "intersects"):
            shared = shape.intersection(shapes[other]).area
            if other > index and shared > _SAME * (shape.area + shapes[other].area - shared):
                dropped.add(int(other))
    return [one for index, one in enumerate(objects) if index not in dropped]


def _unanswered(marks: Iterable[Feature], kind: ObjectKind, whole: shapely.Geometry, shapes: Shapes) -> int:
    """Count clicks, or squiggles of glands, that say that something is there which nobody has outlined."""
    dimension = 1 if kind is ObjectKind.GLAND else 0
    shapely.prepare(whole)
    count = 0
    for mark in marks:
        if shapely.get_dimensions(mark.geometry) == dimension and not is_ignored(mark.class_name):
            # A squiggle of several strokes is one gland; points are one object each.
            single = [mark.geometry] if dimension else shapely.get_parts(mark.geometry)
            count += sum(whole.contains(one) and not shapes.touching(one) for one in single)
    return count
