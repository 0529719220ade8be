"""The results of an evaluation: per object, per image, and per trial of all images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from skimage.draw import polygon2mask

from nuclick_training.datasets.data import Labels
from nuclick_training.evaluation.metrics import Tally, overlaps
from nuclick_training.sampling.simulate import on_own_object
from nuclick_training.sampling.squiggles import Mask
from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.segmentation.engine import Outcome


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """The result of one object.

    Attributes
    ----------
    image
        The name of the image that it is in.
    dice
        Of its prompt's own outline with the object; 0 where it has none.
    outcome
        The prompt's instance or rejection.
    misplaced
        Whether its prompt begins outside it.
    """

    image: str
    area_um2: float
    dice: float
    prompt: Prompt
    outcome: Instance | Rejection
    misplaced: bool


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The result of one image.

    Attributes
    ----------
    mpp
        Microns per pixel that were assumed.
    """

    name: str
    mpp: float
    tally: Tally
    objects: tuple[ObjectResult, ...]

    @classmethod
    def of(cls, name: str, mpp: float, labels: Labels, prompts: Sequence[Prompt], outcome: Outcome) -> "ImageResult":
        """Score the outcome of an image's prompts."""
        predicted = labels_of(outcome.instances, (labels.shape[0], labels.shape[1]))
        counts = overlaps(labels, predicted)
        ends: tuple[Instance | Rejection, ...] = (*outcome.instances, *outcome.rejections)
        by_prompt = {end.prompt_id: end for end in ends}
        figures = zip((counts.true_areas * mpp**2).tolist(), counts.dice_by_label.tolist(), strict=True)
        by_id = dict(zip(map(str, counts.true_labels.tolist()), figures, strict=True))
        objects = tuple(
            ObjectResult(name, *by_id[prompt.id], prompt, by_prompt[prompt.id], not on_own_object(prompt, labels))
            for prompt in prompts
        )
        return cls(name, mpp, Tally.of(labels, predicted), objects)

    @property
    def misplaced(self) -> int:
        """How many prompts begin outside their objects."""
        return sum(found.misplaced for found in self.objects)

    @property
    def outlines(self) -> int:
        """How many prompts have an outline."""
        return sum(isinstance(found.outcome, Instance) for found in self.objects)


@dataclass(frozen=True, slots=True)
class Trial:
    """All images, outlined from clicks that were moved by so many pixels."""

    jitter: float
    images: tuple[ImageResult, ...]

    @property
    def tallies(self) -> list[Tally]:
        """One per image."""
        return [image.tally for image in self.images]

    @property
    def objects(self) -> list[ObjectResult]:
        """Those of all images."""
        return [found for image in self.images for found in image.objects]

    def dice_where_on(self, unmoved: "Trial") -> tuple[float, float]:
        """Return the mean Dice of objects whose click is still on them, and what the same objects had before.

        Both are NaN where every click has left its object.
        """
        pairs = zip(self.objects, unmoved.objects, strict=True)
        dice = np.array([(found.dice, before.dice) for found, before in pairs if not found.misplaced]).reshape(-1, 2)
        after, before = dice.mean(axis=0) if len(dice) else (math.nan, math.nan)
        return float(after), float(before)


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of a whole evaluation.

    Attributes
    ----------
    training_overlap
        Whether the model was trained or tuned on these images.
    trials
        The first one without jitter.
    """

    card: ModelCard
    sha256: str
    training_overlap: str
    trials: tuple[Trial, ...]


def labels_of(instances: Sequence[Instance], shape: tuple[int, int]) -> Labels:
    """Draw outlines as an instance map: a pixel belongs to the outline that its centre lies in.

    A centre on an edge counts as inside, and the first of two such outlines has it. Published scores are by this rule;
    `datasets.rasterize` gives such a centre to one side only, which would change them slightly.
    """
    labels = np.zeros(shape, np.int32)
    for instance in instances:
        for polygon in shapely.get_parts(instance.polygon):
            left, top, right, bottom = (int(bound) for bound in shapely.bounds(polygon))
            window = labels[top : bottom + 1, left : right + 1]
            inside = _drawn(polygon.exterior, window.shape, (left, top))
            for hole in polygon.interiors:
                inside &= ~_drawn(hole, window.shape, (left, top))
            window[inside & (window == 0)] = int(instance.prompt_id)
    return labels


def _drawn(ring: shapely.LinearRing, shape: tuple[int, ...], corner: tuple[int, int]) -> Mask:
    """Return which pixel centres lie in a ring."""
    corners = shapely.get_coordinates(ring) - corner - 0.5
    return np.asarray(polygon2mask(shape, corners[:, ::-1]))
