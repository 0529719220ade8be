"""The sources of outlines to train on: QuPath projects, files of ASAP, folders of pictures with instance maps.

Each image of a source becomes a function that reads it; `nuclick_training.datasets.extract` cuts patches from these.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from asap_bridge.document import read_document
from asap_bridge.features import features_of
from asap_bridge.jobs import asap_files, is_asap_folder
from asap_bridge.selection import GroupRule
from nuclick_training.datasets.annotated_regions import (
    AnnotatedRegions,
    NoRegion,
    OutlineRule,
    SlideShapes,
    SlideSource,
    regions_among,
)
from nuclick_training.datasets.data import DataError, doubts_about, image_path, paired_names, read_image, read_labels
from nuclick_training.datasets.extract import Named
from nuclick_training.datasets.fields import LabelledField
from nuclick_wsi.errors import ProjectError, SettingsError
from nuclick_wsi.formats.feature_geojson import features_of_geojson
from nuclick_wsi.formats.features import Feature
from nuclick_wsi.paths import existing
from nuclick_wsi.slides.lookup import SlideFolders, find_slide_of
from nuclick_wsi.slides.slide import Frame
from qupath_extension.areas import outlined_features
from qupath_extension.project import Project, ProjectImage, read_project
from qupath_extension.result_files import results_of

_ACCEPTED = (
    "Accepted are a QuPath project (.qpproj or its folder), a file of ASAP (.xml) or a folder of them, and a folder "
    "of images/ and instance maps of the same names in labels/."
)


def sources_of(source: Path, rule: OutlineRule, slides: Path | None) -> list[Named]:
    """Return what reads each image that a path means, by the image's name."""
    source = existing(source)
    if not source.exists():
        raise SettingsError(f"{source} does not exist. {_ACCEPTED}")
    folders = SlideFolders([slides] if slides is not None else [])
    if source.suffix.lower() == ".xml" or is_asap_folder(source):
        return [(path.name, partial(_of_asap, path, rule, folders)) for path in asap_files(source)]
    if source.suffix.lower() == ".qpproj" or any(source.glob("*.qpproj")):
        project = read_project(source)
        return [(image.name, partial(_of_project, project, image, rule, folders)) for image in project.images]
    if (source / "labels").is_dir():
        both, alone = paired_names(source)
        lonely = [(sentence.split()[0], partial(_refuse, f"{source}: {sentence}.")) for sentence in alone]
        return [*lonely, *((name, partial(_of_folder, source, name)) for name in both)]
    raise SettingsError(f"{source}: what is outlined there cannot be told. {_ACCEPTED}")


def _refuse(why: str) -> SlideSource:
    raise DataError(why)


def _of_project(
    project: Project, image: ProjectImage, rule: OutlineRule, folders: SlideFolders
) -> SlideSource | NoRegion:
    """Return an image of a QuPath project."""
    objects = image.read_data().objects
    drawn, found = outlined_features(objects, rule.kind)
    if (nothing := rule.regions_in(drawn)) is not None:
        return nothing
    if image.refusal is not None:
        raise ProjectError(f"Refused: {image.refusal}.")
    shown = SlideShapes(drawn, [*found, *_not_imported(image, {one.id for one in objects})])
    return SlideSource(
        name=image.name,
        source=str(project.path),
        path=image.find_slide(folders),
        read_regions=partial(regions_among, shown, rule),
        frame=Frame.BOUNDS if image.server.crops_to_bounds else Frame.FULL,
        pixel_size=image.pixel_size,
        size=image.size,
    )


def _not_imported(image: ProjectImage, ids: set[str | None]) -> Sequence[Feature]:
    """Return the results of a run that are beside the project and not in it.

    Once one of them is, the project knows better: its user may have deleted or corrected the others.
    """
    path = results_of(image)
    if not path.exists():
        return ()
    try:
        features = features_of_geojson(path.read_bytes(), str(path)).features
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror or error}.") from error
    return () if ids & {one.id for one in features} else features


def _of_asap(path: Path, rule: OutlineRule, folders: SlideFolders) -> SlideSource | NoRegion:
    """Return the slide of a file of ASAP."""
    features = features_of(read_document(path), GroupRule()).features
    shown = SlideShapes([one for one in features if not one.is_result], [one for one in features if one.is_result])
    if (nothing := rule.regions_in(shown.drawn)) is not None:
        return nothing
    return SlideSource(path.stem, str(path), find_slide_of(path, folders), partial(regions_among, shown, rule))


def _of_folder(folder: Path, name: str) -> SlideSource:
    """Return a picture with its instance map."""
    path = image_path(folder, name)
    image, labels = read_image(path), read_labels(folder, name)
    if image.shape[:2] != labels.shape:
        seen = " and ".join(f"{array.shape[1]} x {array.shape[0]}" for array in (image, labels))
        raise DataError(f"{folder}: images/{path.name} and its labels must have one size, not {seen}.")
    regions = AnnotatedRegions([LabelledField(labels)], [None] * int(labels.max()), doubts_about(labels))
    return SlideSource(name, str(folder), path, lambda _: regions)
