"""A project's images as the jobs of a run, each read when its turn comes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nuclick_wsi.errors import ProjectError, SettingsError
from nuclick_wsi.jobs import ImageInput, Job, file_stem
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.slide import Frame
from qupath_extension.project import Project, ProjectImage
from qupath_extension.selection import prompts_of
from qupath_extension.uris import SlideFolders


def project_jobs(
    project: Project, choice: ObjectChoice, slide_folder: Path | None, names: Sequence[str] = ()
) -> list[Job]:
    """Return a job for every image of a project, or for those of the names given.

    Parameters
    ----------
    slide_folder
        Where to look by name for slides that are not in their place.

    Raises
    ------
    SettingsError
        If a name is no image's, or the folder is none.
    """
    if slide_folder is not None and not slide_folder.is_dir():
        raise SettingsError(f"--slides {slide_folder} is not a folder.")
    known = {image.name for image in project.images}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"No image is named {unknown[0]!r}. The project has {', '.join(sorted(known)) or 'none'}.")
    folders = SlideFolders([slide_folder] if slide_folder else [])
    wanted = [image for image in project.images if not names or image.name in names]
    return [
        # The entry's id keeps images of one name apart, and names that differ only in what a file system forbids.
        Job(image.name, file_stem(f"{image.entry_id} {image.name}"), partial(_read, project, image, choice, folders))
        for image in wanted
    ]


def _read(project: Project, image: ProjectImage, choice: ObjectChoice, folders: SlideFolders) -> ImageInput:
    data = image.read_data()
    prompts = prompts_of(data.objects, choice)
    if image.refusal is not None and (prompts.prompts or prompts.rejections):
        raise ProjectError(f"Refused: {image.refusal}.")
    return ImageInput(
        prompts=prompts,
        find_slide=partial(image.find_slide, folders),
        frame=Frame.BOUNDS if image.server.crops_to_bounds else Frame.FULL,
        pixel_size=image.pixel_size,
        size=image.size,
        class_colors={**data.class_colors, **project.class_colors},
    )
