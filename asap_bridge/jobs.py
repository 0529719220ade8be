"""ASAP files as the jobs of a run, each read when its turn comes; its results go back into it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from asap_bridge.annotations import rgb_of
from asap_bridge.document import Document
from asap_bridge.names import is_result_group
from asap_bridge.selection import GroupRule, prompts_of
from asap_bridge.sink import AsapSink
from nuclick_wsi.errors import PromptError, SettingsError
from nuclick_wsi.paths import closest
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.runs.jobs import ImageInput, Job, file_stem
from nuclick_wsi.slides.lookup import NOWHERE, SlideFolders, find_slide_of
from nuclick_wsi.slides.slide import Frame

_PROMPTS_ARE = (
    "In ASAP's files, dots are clicks, and point sets and measurements are squiggles. Point sets in groups that say "
    "click are clicks, polygons and splines in groups that say squiggle are squiggles; `nuclick-wsi asap inspect` "
    "shows how each is read."
)


@dataclass(frozen=True, slots=True)
class AsapChoice:
    """What a run makes of ASAP files, and where it finds their slides.

    `slide` is for a single file; `slide_folder` is looked through for slides that are not beside their files.
    """

    objects: ObjectChoice = ObjectChoice.AUTO
    rule: GroupRule = field(default_factory=GroupRule)
    slide: Path | None = None
    slide_folder: Path | None = None


def asap_files(target: Path) -> list[Path]:
    """Return the ASAP files that a path means: itself, or all that lie in the folder.

    Raises
    ------
    SettingsError
        If the folder has none.
    """
    if not target.is_dir():
        return [target]
    found = sorted(path for path in target.glob("*") if path.suffix.lower() == ".xml" and path.is_file())
    if not found:
        raise SettingsError(f"{target} holds no .xml of ASAP. Name a file of ASAP, or the folder that holds them.")
    return found


def is_asap_folder(target: Path) -> bool:
    """Whether a path is a folder of ASAP files, and no QuPath project."""
    return target.is_dir() and not any(target.glob("*.qpproj")) and any(target.glob("*.[xX][mM][lL]"))


def asap_jobs(paths: Sequence[Path], choice: AsapChoice) -> list[Job]:
    """Return a job for each ASAP file.

    Raises
    ------
    SettingsError
        If one slide is named for several files, or the folder of slides is none.
    """
    if choice.slide is not None and len(paths) > 1:
        raise SettingsError(f"--slide is for one file, and these are {len(paths)}: use --slides DIR.")
    if choice.slide_folder is not None and not choice.slide_folder.is_dir():
        raise SettingsError(f"--slides {choice.slide_folder} is not a folder.")
    folders = SlideFolders([choice.slide_folder]) if choice.slide_folder is not None else NOWHERE
    is_batch = len(paths) > 1
    sinks = [AsapSink(path) for path in paths]
    return [
        Job(
            sink.path.name,
            file_stem(sink.path.stem),
            partial(_read, sink, choice, folders, is_batch),
            sink,
            sink.path.name,
        )
        for sink in sinks
    ]


def _read(sink: AsapSink, choice: AsapChoice, folders: SlideFolders, is_batch: bool) -> ImageInput:
    path, document = sink.path, sink.read()
    if not is_batch:
        require_named_groups(path, document, choice.rule)
    colors = {group.name: rgb for group in document.groups if (rgb := rgb_of(group.color)) is not None}
    return ImageInput(
        prompts=prompts_of(document.annotations, choice.objects, choice.rule),
        find_slide=partial(slide_of, path, choice.slide, folders),
        frame=Frame.FULL,  # ASAP shows the whole slide
        class_colors={name: color for name, color in colors.items() if not is_result_group(name)},
        prompts_are=_PROMPTS_ARE,
    )


def require_named_groups(path: Path, document: Document, rule: GroupRule) -> None:
    """Refuse a rule that names a group which the file does not have.

    Raises
    ------
    PromptError
        The message lists the groups that it has.
    """
    known = {group.name for group in document.groups}
    for option, names in (("--clicks-group", rule.clicks), ("--squiggles-group", rule.squiggles)):
        for name in names:
            if not closest(name, known):
                has = ", ".join(repr(one) for one in sorted(known)) or "none"
                raise PromptError(f"{path} has no group {name!r}, which {option} names. Its groups are: {has}.")


def slide_of(path: Path, slide: Path | None, folders: SlideFolders = NOWHERE) -> Path:
    """Return the slide of an ASAP file: the one that is named, else the one found; errors as `find_slide_of`."""
    return slide if slide is not None else find_slide_of(path, folders)
