"""The scores agree with cases worked by hand and with slow definitions written out."""

import numpy as np
import pytest
from nuclick_training import metrics as m


def squares(*corners: tuple[int, int, int], size: int = 40) -> np.ndarray:
    """A map of squares (row, column, side), numbered from 1."""
    labels = np.zeros((size, size), np.int32)
    for number, (row, column, side) in enumerate(corners, start=1):
        labels[row : row + side, column : column + side] = number
    return labels


def all_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    counts = m.overlaps(true, predicted)
    panoptic = m.panoptic(counts)
    return {
        "dice": m.pixel_dice(true, predicted),
        "aji": m.aggregated_jaccard(counts),
        "dq": panoptic.detection,
        "sq": panoptic.segmentation,
        "pq": panoptic.quality,
        "object_dice": m.object_dice(counts),
        "f1": m.glas_f1(counts),
        "by_label": m.mean_dice_by_label(counts),
    }


def test_equal_maps_score_one_whatever_their_numbers():
    true = squares((0, 0, 5), (10, 10, 8))
    scores = all_scores(true, true * 7)
    assert scores.pop("by_label") == 0
    assert all(score == 1 for score in scores.values())


def test_two_empty_maps_score_one():
    empty = np.zeros((8, 8), int)
    assert all(score == 1 for score in all_scores(empty, empty).values())


@pytest.mark.parametrize("swap", [False, True])
def test_one_empty_map_scores_nothing(swap):
    full, empty = squares((0, 0, 5)), squares()
    scores = all_scores(*((empty, full) if swap else (full, empty)))
    if swap:
        assert scores.pop("by_label") == 1  # no true object to miss
    assert all(score == 0 for score in scores.values())


def test_a_shifted_square_and_a_missed_one_worked_by_hand():
    # Squares of 10 x 10: one is found 5 columns off (50 px shared, 150 in the union), one missed, one made up.
    true, predicted = squares((0, 0, 10), (20, 20, 10)), squares((0, 5, 10), (30, 0, 10))
    scores = all_scores(true, predicted)
    assert scores["aji"] == pytest.approx(50 / (150 + 100 + 100))
    assert scores["dice"] == pytest.approx(100 / 400)
    assert scores["dq"] == 0
    assert scores["object_dice"] == pytest.approx(0.25)
    assert scores["f1"] == pytest.approx(2 * 1 / 4)  # half of the true object is covered: enough for GlaS
    assert scores["by_label"] == pytest.approx(0.25)


def test_panoptic_quality_worked_by_hand():
    true, predicted = squares((0, 0, 10), (20, 20, 10)), squares((0, 2, 10), (30, 0, 5))
    scores = all_scores(true, predicted)
    assert scores["dq"] == pytest.approx(2 * 1 / 4)
    assert scores["sq"] == pytest.approx(80 / 120)
    assert scores["pq"] == pytest.approx(0.5 * 80 / 120)


def test_object_dice_weighs_by_area_both_ways():
    true, predicted = squares((0, 0, 10), (20, 20, 20)), squares((0, 0, 10))
    assert m.object_dice(m.overlaps(true, predicted)) == pytest.approx((100 / 500 + 1) / 2)


def test_a_true_gland_counts_once_in_f1_however_many_claim_it():
    true = squares((0, 0, 10))
    predicted = squares((0, 0, 10))
    predicted[5:10, :10] = 2  # two halves, each covering exactly half
    assert m.glas_f1(m.overlaps(true, predicted)) == pytest.approx(2 / 3)


def test_aji_and_panoptic_quality_agree_with_their_definitions_written_out():
    rng = np.random.default_rng(5)
    for _ in range(10):
        corners = [(int(r), int(c), int(s)) for r, c, s in rng.integers((0, 0, 3), (34, 34, 14), (6, 3))]
        moved = [(r + int(rng.integers(3)), max(c - int(rng.integers(4)), 0), s) for r, c, s in corners[1:]]
        true, predicted = squares(*corners), squares(*moved)
        scores = all_scores(true, predicted)
        assert scores["aji"] == pytest.approx(slow_aji(true, predicted))
        assert scores["pq"] == pytest.approx(slow_pq(true, predicted))


def slow_aji(true: np.ndarray, predicted: np.ndarray) -> float:
    shared, union, used = 0, 0, set()
    for t in set(np.unique(true)) - {0}:
        best = max(
            set(np.unique(predicted)) - {0},
            key=lambda p: ((true == t) & (predicted == p)).sum() / ((true == t) | (predicted == p)).sum(),
        )
        if not ((true == t) & (predicted == best)).any():
            union += (true == t).sum()
            continue
        used.add(best)
        shared += ((true == t) & (predicted == best)).sum()
        union += ((true == t) | (predicted == best)).sum()
    union += sum((predicted == p).sum() for p in set(np.unique(predicted)) - {0} - used)
    return shared / union


def slow_pq(true: np.ndarray, predicted: np.ndarray) -> float:
    t_all, p_all = set(np.unique(true)) - {0}, set(np.unique(predicted)) - {0}
    ious = [
        ((true == t) & (predicted == p)).sum() / ((true == t) | (predicted == p)).sum() for t in t_all for p in p_all
    ]
    return sum(iou for iou in ious if iou > 0.5) / (0.5 * (len(t_all) + len(p_all)))


def test_maps_of_different_size_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        m.overlaps(np.zeros((3, 3), int), np.zeros((3, 4), int))
