"""What a run works through: one job per image, read only when its turn comes, so that one bad image stops no other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nuclick_wsi.geojson import Color
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slide import Frame


@dataclass(frozen=True, slots=True)
class ImageInput:
    """Everything that a run needs to know about one image.

    `find_slide` is asked only where there are prompts: an image without any may be missing without harm.
    """

    prompts: PromptSet
    find_slide: Callable[[], Path]
    frame: Frame
    pixel_size: PixelSize | None = None
    """As the project says it; None leaves it to the slide."""
    size: Size | None = None
    """Of level 0 as the project says it, to be sure that the slide found is the one that was drawn on."""
    class_colors: Mapping[str, Color] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One image of a run.

    `read` raises a `NuclickError` where the image's data cannot be read or the image is refused.
    """

    name: str
    """As the user knows the image."""
    stem: str
    """The name of its result files, unique within the run."""
    read: Callable[[], ImageInput]


def file_stem(name: str) -> str:
    """Return a name that every file system takes: characters that Windows or a path forbids become `_`."""
    safe = "".join("_" if character in '<>:"/\\|?*' or ord(character) < 32 else character for character in name)
    return safe.strip(" .")[:120] or "image"
