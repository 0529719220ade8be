"""Segmentation scores of two instance maps, the true and the predicted one, by way of sums that add up over images.

Labels are 2-D whole numbers, 0 for background; every other number is one object, connected or not. Definitions are in
docs/scores.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nuclick_training.evaluation.hausdorff import object_distances

LabelMap = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

HAUSDORFF = "Hausdorff"
"""The one score that is a distance, in pixels of the maps, and the better the smaller it is."""


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
        (T,) and (P,): the numbers of the objects in the maps, rising.
    """

    shared: Counts
    true_areas: Counts
    predicted_areas: Counts
    true_labels: Counts
    predicted_labels: Counts

    @property
    def dice(self) -> Floats:
        """(T, P) Dice of every pair."""
        return np.asarray(2 * self.shared / (self.true_areas[:, None] + self.predicted_areas), np.float64)

    @property
    def union(self) -> Counts:
        """(T, P) pixels that either has."""
        return np.asarray(self.true_areas[:, None] + self.predicted_areas - self.shared)

    @property
    def iou(self) -> Floats:
        """(T, P) intersection over union of every pair."""
        return np.asarray(self.shared / self.union, np.float64)

    @property
    def dice_by_label(self) -> Floats:
        """(T,) Dice of every true object with the predicted one of the same number, 0 where there is none."""
        same = self.true_labels[:, None] == self.predicted_labels
        return np.asarray((self.dice * same).sum(axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the scores are made of: sums over objects, which add up over images.

    Every field is a float64 array of one shape: () for an image, (N,) for N of them or N ways of pooling them.

    Attributes
    ----------
    shared_pixels, true_pixels, predicted_pixels
        Pixels of objects in both maps, in the true one, in the predicted one.
    aji_shared, aji_union
        The two sums of the AJI.
    true_objects, predicted_objects, matched, matched_iou
        Objects, pairs of an IoU above one half, and the sum of their IoU.
    covered
        True objects that a predicted one covers, as GlaS counts for F1.
    true_dice, predicted_dice, true_distance, predicted_distance
        Sums over the objects of one map of area times Dice, or area times Hausdorff distance, with the partner.
    own_dice
        Sum over true objects of the Dice with the predicted one of the same number.
    """

    shared_pixels: Floats
    true_pixels: Floats
    predicted_pixels: Floats
    aji_shared: Floats
    aji_union: Floats
    true_objects: Floats
    predicted_objects: Floats
    matched: Floats
    matched_iou: Floats
    covered: Floats
    true_dice: Floats
    predicted_dice: Floats
    true_distance: Floats
    predicted_distance: Floats
    own_dice: Floats

    @classmethod
    def of(cls, true: LabelMap, predicted: LabelMap) -> "Tally":
        """Return the tally of one image."""
        counts = overlaps(true, predicted)
        pairs = counts.iou[counts.iou > 0.5]  # above one half no object has two partners
        there, back = _best_partner(counts.shared), _best_partner(counts.shared.T)
        true_distance = object_distances(true, predicted, there)
        predicted_distance = object_distances(predicted, true, back)
        sums = (
            ((true > 0) & (predicted > 0)).sum(),
            counts.true_areas.sum(),
            counts.predicted_areas.sum(),
            *_aggregated_jaccard(counts),
            len(counts.true_areas),
            len(counts.predicted_areas),
            len(pairs),
            pairs.sum(),
            _covered(counts, back),
            (_dice_with(counts.dice, there) * counts.true_areas).sum(),
            (_dice_with(counts.dice.T, back) * counts.predicted_areas).sum(),
            (true_distance * counts.true_areas).sum(),
            (predicted_distance * counts.predicted_areas).sum(),
            counts.dice_by_label.sum(),
        )
        return cls(*(np.asarray(value, np.float64) for value in sums))

    @classmethod
    def stacked(cls, tallies: Sequence["Tally"]) -> "Tally":
        """Return the tallies of N images as one whose fields have shape (N,)."""
        return cls(*(np.array([getattr(one, field.name) for one in tallies]) for field in fields(cls)))

    def pooled(self, times: Floats) -> "Tally":
        """Return the sums over images of a stacked tally, each image taken so many times: (N,), or (B, N) to (B,)."""
        return Tally(*(np.asarray(times @ getattr(self, field.name)) for field in fields(self)))

    @property
    def scores(self) -> Mapping[str, Floats]:
        """The scores by the names that the tables show; maps without any object are perfect."""
        objects = self.true_objects + self.predicted_objects
        nothing = objects == 0
        detection = _ratio(2 * self.matched, objects, 1)
        segmentation = np.where(nothing, 1, _ratio(self.matched_iou, self.matched, 0))
        there, back = self.true_pixels, self.predicted_pixels
        return {
            "AJI": _ratio(self.aji_shared, self.aji_union, 1),
            "Dice": _ratio(2 * self.shared_pixels, there + back, 1),
            "DQ": detection,
            "SQ": segmentation,
            "PQ": detection * segmentation,
            "F1": _ratio(2 * self.covered, objects, 1),
            "object Dice": np.where(
                nothing, 1, (_ratio(self.true_dice, there, 0) + _ratio(self.predicted_dice, back, 0)) / 2
            ),
            HAUSDORFF: _ratio(
                _ratio(self.true_distance, there, 0) + _ratio(self.predicted_distance, back, 0),
                np.asarray((there > 0) * 1.0 + (back > 0)),
                0,
            ),
            "Dice per object": _ratio(self.own_dice, self.true_objects, 1),
        }


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


def _aggregated_jaccard(counts: Overlaps) -> tuple[int, int]:
    """Return the sums above and below of the AJI of Kumar et al. (2017).

    Every true object is paired with the predicted one of highest IoU, which may be used twice; predicted objects that
    are in no pair count in full below.
    """
    best = _best_partner(counts.iou)
    rows = np.flatnonzero(best >= 0)
    unused = np.setdiff1d(np.arange(len(counts.predicted_areas)), best)
    union = counts.union[rows, best[rows]].sum() + counts.true_areas[best < 0].sum()
    return counts.shared[rows, best[rows]].sum(), union + counts.predicted_areas[unused].sum()


def _covered(counts: Overlaps, partner: npt.NDArray[np.intp]) -> int:
    """Return how many true objects are covered by half or more by a predicted one that shares most pixels with them."""
    columns = np.flatnonzero(partner >= 0)
    rows = partner[columns]
    return len(np.unique(rows[counts.shared[rows, columns] >= 0.5 * counts.true_areas[rows]]))


def _best_partner(score: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return per row the column of the highest score (the first of equals), or -1 where none is above 0."""
    if not score.shape[1]:
        return np.full(score.shape[0], -1, np.intp)
    return np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)


def _dice_with(dice: Floats, partner: npt.NDArray[np.intp]) -> Floats:
    """Return per row the Dice with its partner, 0 where it has none."""
    found = np.zeros(len(partner))
    rows = np.flatnonzero(partner >= 0)
    found[rows] = dice[rows, partner[rows]]
    return found


def _ratio(above: Floats, below: Floats, empty: float) -> Floats:
    """Return above / below, and `empty` where nothing is below."""
    whole = below > 0
    return np.where(whole, above / np.where(whole, below, 1), empty)
