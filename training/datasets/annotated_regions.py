"""The regions of a slide in which a user has outlined every object, found among the shapes drawn on it.

Shapes of QuPath or ASAP become `AnnotatedRegions`, from which `extract` cuts patches.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from nuclick_training.datasets.fields import DrawnField, Field, ObjectShapes
from nuclick_wsi.formats.features import Feature
from nuclick_wsi.geometry import Size
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.slide import Frame

_PLAUSIBLE = {ObjectKind.NUCLEUS: (0, 3000), ObjectKind.CELL: (0, 20_000), ObjectKind.GLAND: (300, np.inf)}
"""Square microns between which a shape is taken for one object of its kind, where no classes are named."""
_SAME = 0.5
"""Shapes that share more than this part of their union are one object, drawn twice."""


@dataclass(frozen=True, slots=True)
class AnnotatedRegions:
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
    classes: str = ""
    """Which classes said that everything is outlined, and which the objects have, in words."""


@dataclass(frozen=True, slots=True)
class NoRegion:
    """What is drawn on a slide where nothing says that everything is outlined: the classes of its areas.

    Attributes
    ----------
    accepted
        The classes that would say it.
    """

    classes: Counter[str | None]
    accepted: Sequence[str]

    def __str__(self) -> str:
        seen = f"its areas are of {in_words(self.classes)}" if self.classes else "no annotation there has an area"
        return f"left alone: no area of class {' or '.join(self.accepted)}, in which everything is outlined; {seen}"


@dataclass(frozen=True, slots=True)
class SlideSource:
    """A slide with the outlines on it, wherever these come from.

    Attributes
    ----------
    name, source
        What its user calls it, and the project, file or folder that says what is outlined.
    path
        The slide's file.
    read_regions
        Reads the outlines, in slide pixels (level 0) of `frame`, once the size of these is known.
    pixel_size, size
        What the project says of the slide, where it says it.
    """

    name: str
    source: str
    path: Path
    read_regions: Callable[[PixelSize], AnnotatedRegions]
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

    @property
    def region_classes(self) -> Sequence[str]:
        """The classes that say that everything is outlined, as a user writes them."""
        return self.regions or ("Region", "Regions", "Region*")

    def regions_in(self, shapes: Sequence[Feature]) -> "NoRegion | None":
        """Return what is there instead, if none of the shapes is an area in which everything is outlined."""
        areas = [one.class_name for one in shapes if shapely.get_dimensions(one.geometry) == 2]
        return None if any(map(self.is_region, areas)) else NoRegion(Counter(areas), self.region_classes)

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
class SlideShapes:
    """The shapes on a slide in slide pixels, by origin; points and lines say only that an object is there.

    Attributes
    ----------
    drawn
        By a user: regions too. Where both outline one object, the user's shape is the correction.
    found
        By a program, this one included.
    """

    drawn: Sequence[Feature]
    found: Sequence[Feature]


def regions_among(shown: SlideShapes, rule: OutlineRule, pixel_size: PixelSize) -> AnnotatedRegions:
    """Return the fields and the objects among shapes.

    Shapes of a class `Ignore*` are cut out of the fields: what they cover is unknown.
    """
    regions, ignored, objects, marks = [], [], [], []
    said: Counter[str | None] = Counter()
    left_out: Counter[str] = Counter()
    for place, one in enumerate([*shown.drawn, *shown.found]):
        if (one.plane.z, one.plane.t) != (0, 0):
            left_out["on another plane"] += 1
        elif shapely.get_dimensions(one.geometry) < 2:
            marks.append(one)
        elif place < len(shown.drawn) and rule.is_region(one.class_name):
            regions.append(_valid(one.geometry))
            said[one.class_name] += 1
        elif is_ignored(one.class_name):
            ignored.append(_valid(one.geometry))
        elif refusal := rule.refusal(one.class_name, one.geometry.area * pixel_size.area_um2):
            left_out[refusal] += 1
        else:
            objects.append(one)
    whole = shapely.union_all(regions).difference(shapely.union_all(ignored))
    kept = _distinct(objects)
    left_out["that outline an object that is outlined already"] += len(objects) - len(kept)
    shapes = ObjectShapes([_valid(one.geometry) for one in kept])
    remarks = [f"left out: {count} {what}" for what, count in sorted((+left_out).items())]
    if unanswered := _unanswered(marks, rule.kind, whole, shapes):
        remarks.append(f"{unanswered} clicks or squiggles in the region lie in no outline: is everything outlined?")
    if not kept:
        remarks.append("no object is outlined in the region")
    parts = [part for part in shapely.get_parts(whole) if part.geom_type == "Polygon"]
    names = [one.class_name for one in kept]
    shapely.prepare(whole)
    there = Counter(one.class_name for one in kept if whole.intersects(one.geometry))
    classes = f"everything is outlined in areas of {in_words(said)}; objects there: {in_words(there) or 'none'}"
    return AnnotatedRegions([DrawnField(part, shapes) for part in parts], names, remarks, classes)


def in_words(classes: Counter[str | None]) -> str:
    """Return classes with how often they were there, the most frequent first."""
    return ", ".join(f"{f'class {name}' if name else 'no class'} ({count})" for name, count in classes.most_common())


def is_ignored(class_name: str | None) -> bool:
    """Whether a class is one of those that say "leave this alone", as for prompts."""
    return any(part.strip().startswith("Ignore") for part in (class_name or "").split(":"))


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


def _unanswered(marks: Iterable[Feature], kind: ObjectKind, whole: shapely.Geometry, shapes: ObjectShapes) -> int:
    """Count clicks, or squiggles of glands, that mark an object without an outline."""
    dimension = 1 if kind is ObjectKind.GLAND else 0
    shapely.prepare(whole)
    count = 0
    for mark in marks:
        if shapely.get_dimensions(mark.geometry) == dimension and not is_ignored(mark.class_name):
            # A squiggle of several strokes is one gland; points are one object each.
            single = [mark.geometry] if dimension else shapely.get_parts(mark.geometry)
            count += sum(whole.contains(one) and not shapes.touching(one) for one in single)
    return count
