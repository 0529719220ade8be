"""Small pictures of one scale laid side by side, so that they fill a network's block as a slide does.

Around a picture that is smaller than a block lies white, and a network that is trained on mostly white adapts the
statistics of its normalisation to that.
"""

from collections.abc import Sequence

import numpy as np

from nuclick_training.datasets.data import Picture


def mosaics(pictures: Sequence[Picture], side: int) -> list[Picture]:
    """Lay pictures into squares of `side` by `side`, in their order; an object that a seam cuts ends there.

    What is left over of the last square, and beside pictures smaller than the largest of their square, is white without
    objects. Pictures of one square need one step.
    """
    many = side * side
    return [_mosaic(pictures[start : start + many], side) for start in range(0, len(pictures), many)]


def _mosaic(pictures: Sequence[Picture], side: int) -> Picture:
    first = pictures[0]
    height, width = (max(picture.labels.shape[axis] for picture in pictures) for axis in (0, 1))
    image = np.full((side * height, side * width, 3), 255, np.uint8)
    labels = np.zeros(image.shape[:2], np.int32)
    known = np.ones(labels.shape, bool)
    for place, picture in enumerate(pictures):
        if picture.step != first.step:
            raise ValueError(f"{picture.name} has another step than {first.name}")
        row, column = divmod(place, side)
        top, left = row * height, column * width
        here = np.s_[top : top + picture.labels.shape[0], left : left + picture.labels.shape[1]]
        image[here] = picture.image
        labels[here] = np.where(picture.labels > 0, picture.labels + labels.max(), 0)
        if picture.known is not None:
            known[here] = picture.known
    return Picture(first.name, image, labels, first.step, None if known.all() else known)
