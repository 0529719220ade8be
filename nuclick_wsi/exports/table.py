"""The table of objects: one row for each, with its number, its prompt and what it measures; units are in the names."""

import csv
import io
from collections.abc import Iterable, Mapping

from nuclick_wsi.exports.numbered import Numbered
from nuclick_wsi.exports.shapes import ShapeMeasures
from nuclick_wsi.exports.stains import STAINS, Intensities
from nuclick_wsi.instances import Instance
from nuclick_wsi.scale import PixelSize

NAMED = ("label", "prompt", "object", "class", "c", "z", "t")
MEASURED = (
    "centroid_x_px",
    "centroid_y_px",
    "area_um2",
    "perimeter_um",
    "major_axis_um",
    "minor_axis_um",
    "circularity",
    "solidity",
    "mean_probability",
    "sureness",
    *(f"{stain}_mean" for stain in STAINS),
)
COLUMNS = (*NAMED, *MEASURED)
"""docs/exports.md says what each holds."""


def objects_csv(objects: Iterable[Numbered], pixel_size: PixelSize, stains: Mapping[int, Intensities]) -> bytes:
    """Return the table as a CSV file in UTF-8; what is not known is empty.

    Parameters
    ----------
    pixel_size
        Of level 0.
    stains
        Intensities by an object's number.
    """
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    for one in objects:
        measured = (*_measures(one.instance, pixel_size), *stains.get(one.number, (None,) * len(STAINS)))
        writer.writerow((one.number, *named(one.instance), *("" if n is None else f"{n:.6g}" for n in measured)))
    return target.getvalue().encode()


def named(one: Instance) -> tuple[str | int, ...]:
    """Return what names an object: prompt, kind, class and plane."""
    return one.prompt_id, one.kind.value, one.class_name or "", one.plane.c, one.plane.z, one.plane.t


def _measures(one: Instance, pixel_size: PixelSize) -> tuple[float | None, ...]:
    middle, shape = one.polygon.centroid, ShapeMeasures.of(one.polygon, pixel_size)
    return (
        middle.x,
        middle.y,
        shape.area_um2,
        shape.perimeter_um,
        shape.major_axis_um,
        shape.minor_axis_um,
        shape.circularity,
        shape.solidity,
        one.mean_probability,
        one.sureness,
    )
