"""How good outlines are: two instance maps go in, scores in [0, 1] come out.

Labels are 2-D whole numbers, 0 for background; every other number is one object, connected or not. Definitions are in
docs/training.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LabelMap = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How the objects of two maps overlap, in pixels.

    Attributes
    ----------
    shared
        (T, P) int64: pixels that true object t and predicted object p share.
    true_areas, predicted_areas
        (T,) and (P,) int64.
    true_labels, predicted_labels
        (T,) and (P,): the numbers of the objects in the maps.
    """

    shared: npt.NDArray[np.int64]
    true_areas: npt.NDArray[np.int64]
    predicted_areas: npt.NDArray[np.int64]
    true_labels: npt.NDArray[np.int64]
    predicted_labels: npt.NDArray[np.int64]

    @property
    def dice(self) -> Floats:
        """(T, P) Dice of every pair."""
        return np.asarray(2 * self.shared / (self.true_areas[:, None] + self.predicted_areas), np.float64)

    @property
    def union(self) -> npt.NDArray[np.int64]:
        """(T, P) pixels that either has."""
        return np.asarray(self.true_areas[:, None] + self.predicted_areas - self.shared)

    @property
    def iou(self) -> Floats:
        """(T, P) intersection over union of every pair."""
        return np.asarray(self.shared / self.union, np.float64)


@dataclass(frozen=True, slots=True)
class Panoptic:
    """Detection, segmentation and panoptic quality; pairs match at an IoU above one half."""

    detection: float
    segmentation: float

    @property
    def quality(self) -> float:
        """The product of both."""
        return self.detection * self.segmentation


def overlaps(true: LabelMap, predicted: LabelMap) -> Overlaps:
    """Count the pixels that the objects of two maps share."""
    if true.shape != predicted.shape:
        raise ValueError(f"the two maps must have one shape, not {true.shape} and {predicted.shape}")
    true_labels, t = np.unique(np.append(true.ravel(), 0), return_inverse=True)
    predicted_labels, p = np.unique(np.append(predicted.ravel(), 0), return_inverse=True)
    pairs = np.bincount(t * len(predicted_labels) + p, minlength=len(true_labels) * len(predicted_labels))
    table = pairs.reshape(len(true_labels), len(predicted_labels))
    is_true, is_predicted = true_labels != 0, predicted_labels != 0
    return Overlaps(
        table[np.ix_(is_true, is_predicted)],
        table.sum(axis=1)[is_true],
        table.sum(axis=0)[is_predicted],
        true_labels[is_true],
        predicted_labels[is_predicted],
    )


def pixel_dice(true: LabelMap, predicted: LabelMap) -> float:
    """Return the Dice of all objects' pixels together; 1 where both maps are empty."""
    both = int(((true > 0) & (predicted > 0)).sum())
    total = int((true > 0).sum() + (predicted > 0).sum())
    return 2 * both / total if total else 1.0


def aggregated_jaccard(counts: Overlaps) -> float:
    """Return the AJI of Kumar et al. (2017): every true object meets its best predicted one, which may serve twice.

    Predicted objects that serve nobody count in full against it. Two empty maps have 1.
    """
    best = _best_partner(counts.iou, counts.shared)
    met = best >= 0
    rows = np.flatnonzero(met)
    shared = counts.shared[rows, best[met]].sum()
    union = counts.union[rows, best[met]].sum() + counts.true_areas[~met].sum()
    unused = np.setdiff1d(np.arange(len(counts.predicted_areas)), best[met])
    union += counts.predicted_areas[unused].sum()
    return float(shared / union) if union else 1.0


def panoptic(counts: Overlaps) -> Panoptic:
    """Return DQ (the F1 of matched pairs), SQ (their mean IoU); two empty maps have 1 each."""
    matched = counts.iou[counts.iou > 0.5]  # above one half nobody has two partners
    objects = len(counts.true_areas) + len(counts.predicted_areas)
    if not objects:
        return Panoptic(1.0, 1.0)
    return Panoptic(2 * len(matched) / objects, float(matched.mean()) if len(matched) else 0.0)


def object_dice(counts: Overlaps) -> float:
    """Return GlaS' object-level Dice: each object against its largest overlap, weighted by area, both ways."""
    there = _weighted_dice(counts.dice, counts.shared, counts.true_areas)
    back = _weighted_dice(counts.dice.T, counts.shared.T, counts.predicted_areas)
    if there is None and back is None:
        return 1.0
    return ((there or 0.0) + (back or 0.0)) / 2


def glas_f1(counts: Overlaps) -> float:
    """Return GlaS' F1: a predicted object is right that covers at least half of a true one nobody else covers.

    Each predicted object belongs to the true one it shares most pixels with.
    """
    objects = len(counts.true_areas) + len(counts.predicted_areas)
    if not objects:
        return 1.0
    partner = _best_partner(counts.shared.T, counts.shared.T)
    columns = np.flatnonzero(partner >= 0)
    rows = partner[columns]
    right = counts.shared[rows, columns] >= 0.5 * counts.true_areas[rows]
    return 2 * len(np.unique(rows[right])) / objects


def mean_dice_by_label(counts: Overlaps) -> float:
    """Return the mean Dice over true objects of the predicted object of the same number: for prompts, which are known.

    An object without a prediction counts 0; a map without true objects has 1.
    """
    if not len(counts.true_labels):
        return 1.0
    same = counts.true_labels[:, None] == counts.predicted_labels
    return float((counts.dice * same).sum() / len(counts.true_labels))


def _best_partner(score: npt.NDArray[np.generic], shared: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return per row the column of the highest score (the first of equals), or -1 where the row shares nothing."""
    if not score.shape[1]:
        return np.full(score.shape[0], -1, np.intp)
    return np.where(shared.max(axis=1) > 0, score.argmax(axis=1), -1)


def _weighted_dice(dice: Floats, shared: npt.NDArray[np.int64], areas: npt.NDArray[np.int64]) -> float | None:
    """Return the area-weighted mean Dice of every row with the column it shares most with; None without rows."""
    if not len(areas):
        return None
    best = _best_partner(shared, shared)
    found = np.where(best >= 0, dice[np.arange(len(areas)), best] if dice.shape[1] else 0.0, 0.0)
    return float((found * areas).sum() / areas.sum())
