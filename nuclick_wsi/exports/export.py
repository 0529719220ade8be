"""What a run was asked to export, and the export of one image: each in a folder that is written whole or not at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.choices import ExportFormat, LabelsVersion
from nuclick_wsi.exports.coco import write_coco
from nuclick_wsi.exports.label_store import LabelStore, downsamples_of
from nuclick_wsi.exports.masks import write_masks
from nuclick_wsi.exports.numbered import Layer, all_objects, layers_of
from nuclick_wsi.exports.ome_metadata import Pyramid
from nuclick_wsi.exports.stains import stain_intensities
from nuclick_wsi.exports.table import objects_csv
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.instances import Instance
from nuclick_wsi.owned_folders import replaced_folder, require_ours_or_free
from nuclick_wsi.ownership import source_name
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.slide import Slide

STORE = ".zarr"
"""What the name of a store of labels ends with."""


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What is exported of each image, and where to.

    Attributes
    ----------
    labels
        A store of labels (`.zarr`), or the folder in which each image gets one; None for no labels.
    """

    labels: Path | None = None
    version: LabelsVersion = LabelsVersion.V05
    formats: Sequence[ExportFormat] = ()

    def places(self, out: Path, stem: str) -> dict[str, Path]:
        """Return where each export of an image goes, by what it is.

        Parameters
        ----------
        out, stem
            The run's folder, and the name of the image's files in it.
        """
        found: dict[str, Path] = {}
        if self.labels is not None:
            is_store = self.labels.suffix == STORE
            found["labels"] = self.labels if is_store else self.labels / f"{stem}{STORE}"
        for format_ in dict.fromkeys(self.formats):
            found[format_.value] = out / "export" / stem / format_.value
        return found

    def require_places(self, out: Path, images: Iterable[tuple[str, str]]) -> None:
        """Refuse, before anything is computed, a place in which something else is.

        Parameters
        ----------
        images
            Stem and identity of each.

        Raises
        ------
        SettingsError
            If there is.
        """
        for stem, identity in images:
            for place in self.places(out, stem).values():
                require_ours_or_free(place, _source(place, out, identity))


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """The results of one image with the slide that they lie on; `identity` is the image's in its run."""

    slide: Slide
    pixel_size: PixelSize
    instances: Iterable[Instance]
    colors: Mapping[str, Color]
    identity: str


def export_image(choice: ExportChoice, out: Path, stem: str, image: ExportedImage) -> list[str]:
    """Write all exports of an image; return what the user is to know of them, each a clause.

    Raises
    ------
    SettingsError
        If something else is in the place of one.
    ResultError
        If one cannot be written.
    """
    places = choice.places(out, stem)
    if not places:
        return []
    layers = layers_of(image.instances)
    table = _table(image, layers) if {"labels", ExportFormat.CSV.value} & places.keys() else b""
    told: list[str] = []
    for what, place in places.items():
        with replaced_folder(place, _source(place, out, image.identity)) as (folder, remarks):
            unread = _write(what, folder, choice.version, image, layers, table)
        told += [f"{what} in {place}", *remarks]
        told += [f"{unread} tiles of {place} are left out, because the slide cannot be read there"] if unread else []
    return told


def _source(place: Path, out: Path, identity: str) -> str:
    """Return what an export is made from: an image of the run whose folder is `out`, as it is seen from the export."""
    return f"{source_name(place.parent, out)}\n{identity}"


def _write(
    what: str, folder: Path, version: LabelsVersion, image: ExportedImage, layers: list[Layer], table: bytes
) -> int:
    """Write one export into an empty folder; return how many of its tiles could not be read."""
    match what:
        case ExportFormat.COCO.value:
            return write_coco(folder, image.slide, layers)
        case ExportFormat.MASKS.value:
            return write_masks(folder, image.slide, layers)
        case ExportFormat.CSV.value:
            (folder / "objects.csv").write_bytes(table)
        case _:
            size = image.slide.info.size
            pyramid = Pyramid(downsamples_of(size), image.pixel_size)
            LabelStore(folder, size, pyramid, version).write(layers, image.colors, table)
    return 0


def _table(image: ExportedImage, layers: Iterable[Layer]) -> bytes:
    objects = all_objects(layers)
    return objects_csv(objects, image.pixel_size, stain_intensities(image.slide, image.pixel_size, objects))
