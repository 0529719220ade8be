"""The choices of the command line's options, in a module that is fast to import, for `--help`."""

from enum import StrEnum

DEFAULT_PORT = 52860
"""Where the local server listens unless told otherwise."""


LOOK_AT_BELOW = 0.8
"""Outlines that are less sure than this are named as worth a look, unless the user sets another limit."""


class ReaderChoice(StrEnum):
    """Which library opens a slide; auto tries them in turn."""

    AUTO = "auto"
    OPENSLIDE = "openslide"
    TIFFSLIDE = "tiffslide"
    OME_ZARR = "ome-zarr"
    IMAGE = "image"


class ModelTerms(StrEnum):
    """Which models may be taken by the terms of the data that they were trained on."""

    ANY = "any"
    OPEN = "open"
    """Only models that may be used for anything, by anyone; some ask to name the authors of their data."""


class Precision(StrEnum):
    """How exactly a network computes."""

    SINGLE = "single"
    HALF = "half"
    """With 16 bits for each number: faster on a GPU, slower on a CPU; probabilities differ in the third decimal."""


class GlandMode(StrEnum):
    """How a squiggle too long for the crop is seen."""

    CROP = "crop"
    """Once, scaled down to the crop, as in the paper (section III-C 2b)."""
    TILED = "tiled"
    """In overlapping crops at the model's own pixel size, blended into one."""


class ObjectType(StrEnum):
    """What an instance becomes in QuPath: detections are light, annotations can be edited."""

    DETECTION = "detection"
    ANNOTATION = "annotation"


class ProjectAccess(StrEnum):
    """How a QuPath project is read and written; auto goes through QuPath where there is one of the same version."""

    AUTO = "auto"
    PAQUO = "paquo"
    """Through an installed QuPath: results go into the project's hierarchy."""
    FILES = "files"
    """The project's files are read as they are, and results are GeoJSON."""


class ClickAt(StrEnum):
    """Where a simulated user clicks an object: at its centroid, or at a random point at least two pixels inside."""

    CENTROID = "centroid"
    INNER = "inner"


class SplitBy(StrEnum):
    """What of a data set is never in two parts."""

    PATIENT = "patient"
    SLIDE = "slide"
    FIXED = "fixed"
    """The parts that the project fixes for its own data sets, by patient."""


class LabelsVersion(StrEnum):
    """Which version of OME-Zarr label images are written in."""

    V05 = "0.5"
    """On zarr 3: few files, each of many chunks."""
    V04 = "0.4"
    """On zarr 2, for programs that know no other."""


class ExportFormat(StrEnum):
    """What results are written as, beside the place where the user works."""

    CSV = "csv"
    """A table of measurements."""
    COCO = "coco"
    """Tiles of the slide, with their objects as COCO has them."""
    MASKS = "masks"
    """Tiles of the slide, each with pictures of its objects' numbers."""
