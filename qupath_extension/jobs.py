"""A project's images as the jobs of a run, each read when its turn comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nuclick_wsi.errors import ProjectError, SettingsError
from nuclick_wsi.paths import closest, told_apart
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.runs.jobs import ImageInput, Job
from nuclick_wsi.slides.lookup import SlideFolders
from nuclick_wsi.slides.slide import Frame
from qupath_extension.access import Access, Entry
from qupath_extension.project import Project, ProjectImage
from qupath_extension.result_files import image_stem
from qupath_extension.viewer_marks import viewer_marks_of


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """Which prompts of which images a run is for.

    `slide_folder` is where to look by name for slides that are not in their place. No `names` are all images.
    """

    objects: ObjectChoice
    slide_folder: Path | None = None
    names: Sequence[str] = ()


def project_jobs(project: Project, choice: ImageChoice, access: Access) -> list[Job]:
    """Return a job for every image of a project that is chosen.

    Parameters
    ----------
    access
        The way into the project.

    Raises
    ------
    SettingsError
        If a name is no image's, or the folder is none.
    """
    if choice.slide_folder is not None and not choice.slide_folder.is_dir():
        raise SettingsError(f"--slides {choice.slide_folder} is not a folder.")
    chosen = _named_images(project, choice.names)
    folders = SlideFolders([choice.slide_folder] if choice.slide_folder else [])
    jobs = []
    for image in project.images:
        if not choice.names or image.name in chosen:
            stem = image_stem(image)
            entry = access.entry(image, stem)
            read = partial(_read, _Source(project, image, entry, folders), choice.objects)
            jobs.append(Job(image.name, stem, read, entry, image.identity))
    return jobs


def _named_images(project: Project, names: Sequence[str]) -> set[str]:
    """Return the names of images that a user wrote, perhaps in another case or Unicode form, as they are."""
    known = sorted({image.name for image in project.images})
    found: set[str] = set()
    for name in names:
        alike = closest(name, known)
        if len(alike) == 1:
            found.update(alike)
        elif alike:
            raise SettingsError(f"Several images could be meant by {name!r}: {', '.join(told_apart(alike))}.")
        else:
            raise SettingsError(
                f"No image is named {name!r}. The project has {', '.join(told_apart(known)) or 'none'}."
            )
    return found


@dataclass(frozen=True, slots=True)
class _Source:
    """Where all that a run needs to know of an image comes from."""

    project: Project
    image: ProjectImage
    entry: Entry
    folders: SlideFolders


def _read(source: _Source, choice: ObjectChoice) -> ImageInput:
    image = source.image
    data = source.entry.read(choice)
    added = viewer_marks_of(image, data)
    prompts = added.prompts_among(data.objects, choice)
    if image.refusal is not None and (prompts.prompts or prompts.rejections):
        raise ProjectError(f"Refused: {image.refusal}.")
    return ImageInput(
        prompts=prompts,
        find_slide=partial(image.find_slide, source.folders),
        frame=Frame.BOUNDS if image.server.crops_to_bounds else Frame.FULL,
        pixel_size=image.pixel_size,
        size=image.size,
        class_colors={**added.class_colors, **data.class_colors, **source.project.class_colors},
        remarks=added.remarks,
    )
