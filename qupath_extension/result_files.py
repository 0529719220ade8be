"""What the files are called that belong to an image of a project, and what their seals say that they are made from."""

from pathlib import Path

from nuclick_wsi.formats.geojson import find_results
from nuclick_wsi.ownership import source_name
from nuclick_wsi.runs.jobs import file_stem
from qupath_extension.project import ProjectImage


def image_stem(image: ProjectImage) -> str:
    """Return the name of an image's result files.

    The entry's id keeps images of one name apart, and names that differ in what file systems forbid.
    """
    return file_stem(f"{image.entry_id} {image.name}")


def results_of(image: ProjectImage) -> Path:
    """Return where a run on an image's project keeps its results; the file need not exist.

    Where a file that is not ours has their name, they have another.
    """
    folder = image.project_file.parent / "nuclick"
    return find_results(folder / f"{image_stem(image)}.geojson", results_source(folder, image))


def results_source(out: Path, image: ProjectImage) -> str:
    """Return what an image's files of results in a folder are made from, as their seals say it."""
    return f"{source_name(out, image.project_file)}\n{image.entry_id}"
