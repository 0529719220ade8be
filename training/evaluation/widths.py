"""How wide whoever outlined an image drew: by how much a model's outlines are wider, image by image.

Where that differs between images of one laboratory, no model can know it from the pixels. What is lost by it is told by
growing or shrinking all outlines of an image by the one distance that fits its truth best.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import expand_labels

from nuclick_training.datasets.data import Labels
from nuclick_training.evaluation.correcting import outlined_as
from nuclick_training.evaluation.evaluate import Evaluation, images_of, picture_of
from nuclick_training.evaluation.metrics import Tally, overlaps
from nuclick_training.sampling.simulate import simulated_prompts
from nuclick_wsi.models.card import find_model, read_card

_OFFSETS = (-2.0, -1.5, -1.0, 0.0, 1.0, 1.5, 2.0)
"""Pixels of the image by which outlines grow."""


@dataclass(frozen=True, slots=True)
class Width:
    """One image.

    Attributes
    ----------
    wider
        Median over objects of the radius of the outline minus that of the true object, in pixels, as of discs.
    aji
        Of the outlines as they are.
    best_offset, best_aji
        The offset of all outlines that fits best, and the AJI with it.
    """

    name: str
    wider: float
    aji: float
    best_offset: float
    best_aji: float


def widths(asked: Evaluation) -> list[Width]:
    """Return how wide the outlines of each image are."""
    outlined = outlined_as(asked)
    kind = read_card(find_model(asked.model)).kind
    found = []
    for name in images_of(asked):
        labels = picture_of(asked, name).labels
        drawn = outlined(name, labels, simulated_prompts(labels, kind, asked.click_at))
        scores = {offset: float(Tally.of(labels, grown(drawn, offset)).scores["AJI"]) for offset in _OFFSETS}
        best = max(scores, key=lambda offset: scores[offset])
        found.append(Width(name, _wider(labels, drawn), scores[0.0], best, scores[best]))
    return found


def grown(labels: Labels, offset: float) -> Labels:
    """Return an instance map whose objects grow by so many pixels, not into each other, or shrink by them."""
    if offset >= 0:
        return np.asarray(expand_labels(labels, offset), np.int32)
    inner = np.zeros_like(labels)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            mask = np.pad(labels[box] == number, 1)
            inner[box][(ndimage.distance_transform_edt(mask) > -offset)[1:-1, 1:-1]] = number
    return inner


def _wider(labels: Labels, drawn: Labels) -> float:
    true = overlaps(labels, drawn)
    areas = np.bincount(drawn.ravel(), minlength=int(labels.max()) + 1)[true.true_labels]
    there = areas > 0
    return float(np.median(np.sqrt(areas[there] / np.pi) - np.sqrt(true.true_areas[there] / np.pi)))
