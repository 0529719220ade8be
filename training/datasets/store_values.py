"""What a store of training patches consists of: its terms, its slides and its patches; and how its arrays are called.

`store_writer` writes these values into a zarr store and `store` reads them; docs/dataset.md describes the format.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nuclick_training.datasets.data import Known, Labels, Rgb
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window

FORMAT, VERSION = "nuclick-wsi dataset", 1
IMAGES, LABELS, KNOWN = PIXEL_ARRAYS = ("images", "labels", "known")
PATCH_COLUMNS = ("slide", "field", "column", "row")
OBJECT_COLUMNS = ("slide", "number", "pixels", "class")


@dataclass(frozen=True, slots=True)
class StoredPatch:
    """One square patch of an annotated field of a slide.

    Attributes
    ----------
    window
        Where it is, in pixels of the slide's grid.
    image, labels, known
        (H, W, 3) uint8, (H, W) int32 and (H, W) bool, as in `Picture`.
    """

    field: int
    window: Window
    image: Rgb
    labels: Labels
    known: Known


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """What a store says of a slide that patches come from.

    Attributes
    ----------
    name, source, path
        What its user calls it, what says what is outlined, and the slide's file: all as they were at the time.
    content
        The fingerprint of that file (nuclick_wsi.slides.fingerprint.fingerprint).
    frame
        Where (0, 0) is: the whole slide's corner ("full"), or that of the scanned part ("bounds"), as in QuPath.
    downsample
        Slide pixels (level 0) per patch pixel.
    mpp
        Microns per patch pixel: within 5 % of the store's.
    columns, rows
        The slide's size in patch pixels.
    remarks
        What was left out, and what looked wrong.
    part
        train, validation or test; empty until all slides are known.
    """

    name: str
    source: str
    path: str
    patient: str
    content: str
    frame: str
    downsample: float
    mpp: float
    columns: int
    rows: int
    remarks: Sequence[str] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all patches of a store have in common.

    Attributes
    ----------
    mpp
        Microns per pixel that was asked for.
    patch
        Side of a patch in pixels.
    regions, classes
        The classes that were named for regions and for objects; empty where none was.
    """

    kind: ObjectKind
    mpp: float
    patch: int
    regions: Sequence[str] = ()
    classes: Sequence[str] = ()
