"""Outlines on a picture in memory, for programs that have an array and some positions: no files, no slide, no ids."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.accepted import one_of
from nuclick_wsi.errors import PromptError
from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Squiggle
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.slides.readers.array_source import slide_of_array


class ImageOutlines(NamedTuple):
    """What has come of the marks on a picture.

    Attributes
    ----------
    labels
        Shape (height, width), int32: the number of the mark in whose outline a pixel's centre lies, counted from 1 in
        the order in which the marks were given; 0 where there is none.
    objects
        The outlines by that number, with polygon, area and sureness.
    rejections
        Why a mark has no outline, by its number. Every mark is in one of the two.
    """

    labels: NDArray[np.int32]
    objects: dict[int, Instance]
    rejections: dict[int, Rejection]


def segment_image(
    image: NDArray[np.uint8],
    clicks: Iterable[object],
    mpp: float,
    kind: ObjectKind | str = ObjectKind.NUCLEUS,
    models: ModelRegistry | None = None,
    settings: Settings = Settings(),
) -> ImageOutlines:
    """Outline what was clicked on a picture in memory.

    Parameters
    ----------
    image
        Shape (height, width, 3), uint8: red, green, blue.
    clicks
        Positions (x, y) inside the objects, in pixels of the picture, x to the right and y down; the first pixel's
        centre is at (0.5, 0.5). A list of at least two positions is a line through one object.
    mpp
        Microns per pixel, such as 0.25 at 40x and 0.5 at 20x.
    kind
        What all of them are in: a nucleus, cell or gland.
    models
        The models to use; the shipped ones where there are none. Keep one `ModelRegistry` for several pictures.

    Raises
    ------
    NuclickError
        If the picture, a position, the pixel size or the kind cannot be used; the message says what is accepted.
    """
    kind = one_of(ObjectKind, kind, "The kind")
    prompts = [Prompt(str(number), kind, _signal(number, mark)) for number, mark in enumerate(clicks, start=1)]
    with slide_of_array(image) as slide:
        outcome = segment(slide, prompts, models or ModelRegistry(), mpp, settings)
    objects = {int(one.prompt_id): one for one in outcome.instances}
    labels = label_pixels(image.shape[:2], objects)
    return ImageOutlines(labels, objects, {int(one.prompt_id): one for one in outcome.rejections})


def label_pixels(shape: Sequence[int], objects: dict[int, Instance]) -> NDArray[np.int32]:
    """Return the number of the outline in which each pixel's centre lies: int32 of a shape (height, width)."""
    labels = np.zeros(tuple(shape), np.int32)
    for number, one in objects.items():
        left, top, right, bottom = one.polygon.bounds
        rows, columns = slice(max(0, int(top)), int(bottom) + 1), slice(max(0, int(left)), int(right) + 1)
        part = labels[rows, columns]
        y, x = np.mgrid[rows.start : rows.start + part.shape[0], columns.start : columns.start + part.shape[1]]
        part[shapely.contains_xy(one.polygon, x + 0.5, y + 0.5)] = number
    return labels


def _signal(number: int, mark: object) -> Click | Squiggle:
    """Return a position as a click, and a list of positions as a squiggle of one stroke."""
    try:
        parts = list(mark)  # type: ignore[call-overload]  # what it is shows in the error
        if len(parts) == 2 and all(isinstance(part, Real) for part in parts):
            return Click(mark)  # type: ignore[arg-type]  # any pair
        return Squiggle((mark,))  # type: ignore[arg-type]  # any list of pairs
    except (TypeError, ValueError) as error:
        raise PromptError(
            f"Mark {number} is {mark!r:.80}; accepted is a position (x, y), or a list of them for a line ({error})."
        ) from error
