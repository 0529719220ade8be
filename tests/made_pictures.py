"""Labelled pictures made on the fly: dark discs on a pale ground."""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage.draw import disk

from nuclick_training.datasets.data import Picture


def picture(radius: int = 9, size: int = 160, step: float = 1.0, name: str = "made up") -> Picture:
    """Dark discs on a pale ground, a grid of them, two of them touching."""
    image = np.full((size, size, 3), (230, 200, 215), np.uint8)
    labels = np.zeros((size, size), np.int32)
    spacing = 4 * radius
    centres = [(r, c) for r in range(spacing // 2, size - radius, spacing) for c in range(spacing // 2, size, spacing)]
    for number, centre in enumerate([*centres, (centres[0][0], centres[0][1] + 2 * radius - 1)], start=1):
        rows, columns = disk(centre, radius, shape=(size, size))
        free = labels[rows, columns] == 0
        labels[rows[free], columns[free]] = number
    image[labels > 0] = (90, 50, 120)
    return Picture(name, image, labels, step)


def folder_of(pictures: list[Picture], folder: Path) -> None:
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for item in pictures:
        Image.fromarray(item.image).save(folder / "images" / f"{item.name}.png")
        Image.fromarray(item.labels.astype(np.uint16)).save(folder / "labels" / f"{item.name}.png")
