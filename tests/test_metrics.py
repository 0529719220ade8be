"""The scores agree with cases worked by hand and with slow definitions written out."""

import numpy as np
import pytest

from nuclick_training.evaluation.hausdorff import object_distances
from nuclick_training.evaluation.metrics import Tally


def squares(*corners: tuple[int, int, int], size: int = 40) -> np.ndarray:
    """A map of squares (row, column, side), numbered from 1."""
    labels = np.zeros((size, size), np.int32)
    for number, (row, column, side) in enumerate(corners, start=1):
        labels[row : row + side, column : column + side] = number
    return labels


def all_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return {name: float(score) for name, score in Tally.of(true, predicted).scores.items()}


def random_maps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Squares that hide each other, and the same a little off: some missed, some made up, some far away."""
    corners = [(int(r), int(c), int(s)) for r, c, s in rng.integers((0, 0, 3), (34, 34, 14), (6, 3))]
    moved = [(r + int(rng.integers(3)), max(c - int(rng.integers(4)), 0), s) for r, c, s in corners[1:]]
    true, predicted = squares(*corners), squares(*moved, (36, 36, 4))
    predicted[predicted > 0] += 1  # so that squares that belong together have one number
    return true, predicted


def test_equal_maps_score_one_whatever_their_numbers():
    true = squares((0, 0, 5), (10, 10, 8))
    scores = all_scores(true, true * 7)
    assert scores.pop("Dice per object") == 0
    assert scores.pop("Hausdorff") == 0
    assert all(score == 1 for score in scores.values())


def test_two_empty_maps_are_perfect():
    empty = np.zeros((8, 8), int)
    scores = all_scores(empty, empty)
    assert scores.pop("Hausdorff") == 0
    assert all(score == 1 for score in scores.values())


@pytest.mark.parametrize("swap", [False, True])
def test_one_empty_map_scores_nothing(swap):
    full, empty = squares((0, 0, 5)), squares()
    scores = all_scores(*((empty, full) if swap else (full, empty)))
    assert scores.pop("Hausdorff") == pytest.approx(40 * 2**0.5)  # the diagonal
    if swap:
        assert scores.pop("Dice per object") == 1  # no true object to miss
    assert all(score == 0 for score in scores.values())


def test_a_shifted_square_and_a_missed_one_worked_by_hand():
    # Squares of 10 x 10: one is found 5 columns off (50 px shared, 150 in the union), one missed, one made up.
    true, predicted = squares((0, 0, 10), (20, 20, 10)), squares((0, 5, 10), (30, 0, 10))
    scores = all_scores(true, predicted)
    assert scores["AJI"] == pytest.approx(50 / (150 + 100 + 100))
    assert scores["Dice"] == pytest.approx(100 / 400)
    assert scores["DQ"] == 0
    assert scores["object Dice"] == pytest.approx(0.25)
    assert scores["F1"] == pytest.approx(2 * 1 / 4)  # half of the true object is covered: enough for GlaS
    assert scores["Dice per object"] == pytest.approx(0.25)


def test_panoptic_quality_worked_by_hand():
    true, predicted = squares((0, 0, 10), (20, 20, 10)), squares((0, 2, 10), (30, 0, 5))
    scores = all_scores(true, predicted)
    assert scores["DQ"] == pytest.approx(2 * 1 / 4)
    assert scores["SQ"] == pytest.approx(80 / 120)
    assert scores["PQ"] == pytest.approx(0.5 * 80 / 120)


def test_object_dice_weighs_by_area_both_ways():
    true, predicted = squares((0, 0, 10), (20, 20, 20)), squares((0, 0, 10))
    assert all_scores(true, predicted)["object Dice"] == pytest.approx((100 / 500 + 1) / 2)


def test_a_true_gland_counts_once_in_f1_however_many_claim_it():
    true = squares((0, 0, 10))
    predicted = squares((0, 0, 10))
    predicted[5:10, :10] = 2  # two halves, each covering exactly half
    assert all_scores(true, predicted)["F1"] == pytest.approx(2 / 3)


def test_hausdorff_worked_by_hand():
    # Squares of 10 x 10, one found 3 columns off: 3 px. Of one that sticks out on one side the farthest pixel counts.
    assert all_scores(squares((0, 0, 10)), squares((0, 3, 10)))["Hausdorff"] == 3
    longer = squares((0, 0, 10))
    longer[0, 10:15] = 1
    assert all_scores(squares((0, 0, 10)), longer)["Hausdorff"] == 5


def test_hausdorff_weighs_by_area_both_ways():
    # True: 100 px found exactly, 400 px found 2 off and as wide. Predicted: the same areas.
    true, predicted = squares((0, 0, 10), (20, 10, 20)), squares((0, 0, 10), (20, 12, 20))
    assert all_scores(true, predicted)["Hausdorff"] == pytest.approx((2 * 400 / 500 + 2 * 400 / 500) / 2)
    # The large one is missed: it meets the small one, whose upper left corner is farthest from its lower right one.
    missed = np.hypot(30, 20)
    assert all_scores(true, squares((0, 0, 10)))["Hausdorff"] == pytest.approx((missed * 400 / 500 + 0) / 2)


def test_hausdorff_is_between_pixels_and_not_between_outlines():
    # A ring inside a disc: every pixel of the ring lies in the disc; the disc's middle is 5 px from the ring.
    disc, ring = squares((0, 0, 15)), squares((0, 0, 15))
    ring[3:12, 3:12] = 0
    assert all_scores(disc, ring)["Hausdorff"] == 5


def test_an_object_without_a_partner_meets_the_one_at_the_smallest_hausdorff_distance_not_the_nearest_one():
    true, predicted = squares((10, 10, 4)), squares((10, 15, 20), (10, 4, 4))
    # The large square is 2 columns away, but its far corner is not; the small one lies 6 columns to the left.
    assert object_distances(true, predicted, np.array([-1])).tolist() == [6]


def test_every_score_agrees_with_its_definition_written_out():
    rng = np.random.default_rng(5)
    for _ in range(12):
        true, predicted = random_maps(rng)
        scores = all_scores(true, predicted)
        assert scores["AJI"] == pytest.approx(slow_aji(true, predicted))
        assert scores["PQ"] == pytest.approx(slow_pq(true, predicted))
        assert scores["PQ"] == pytest.approx(scores["DQ"] * scores["SQ"])
        assert scores["Dice"] == pytest.approx(slow_dice(true > 0, predicted > 0))
        assert scores["F1"] == pytest.approx(slow_f1(true, predicted))
        assert scores["object Dice"] == pytest.approx(slow_both_ways(true, predicted, slow_dice, no_partner=0.0))
        assert scores["Hausdorff"] == pytest.approx(slow_both_ways(true, predicted, slow_hausdorff, no_partner=None))
        dice = [slow_dice(true == t, predicted == t) for t in numbers(true)]
        assert scores["Dice per object"] == pytest.approx(np.mean(dice))


def test_pooled_scores_are_those_of_one_image_that_holds_all_objects():
    rng = np.random.default_rng(6)
    pairs = [random_maps(rng) for _ in range(3)]
    pooled = Tally.stacked([Tally.of(*pair) for pair in pairs]).pooled(np.ones(3)).scores
    true, predicted = (np.full((3, 40, 200), 0, np.int32) for _ in range(2))
    for n, pair in enumerate(pairs):
        for whole, part in zip((true, predicted), pair, strict=True):
            whole[n, :, :40] = np.where(part > 0, part + 10 * n, 0)
    one = all_scores(true.reshape(120, 200), predicted.reshape(120, 200))
    for name, score in one.items():
        if name != "Hausdorff":  # an object without a partner may find a nearer one in the image next to its own
            assert float(pooled[name]) == pytest.approx(score), name


def numbers(labels: np.ndarray) -> list[int]:
    return sorted(set(np.unique(labels).tolist()) - {0})


def slow_dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def slow_hausdorff(one: np.ndarray, other: np.ndarray) -> float:
    a, b = np.argwhere(one), np.argwhere(other)
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    return max(distances.min(axis=1).max(), distances.min(axis=0).max())


def slow_both_ways(true: np.ndarray, predicted: np.ndarray, score, no_partner: float | None) -> float:
    """GlaS' sum over objects, both ways; without `no_partner`, the lowest score over all objects of the other map."""
    total = 0.0
    for one, other in ((true, predicted), (predicted, true)):
        for n in numbers(one):
            shared = {k: ((one == n) & (other == k)).sum() for k in numbers(other)}
            best = max(shared, key=shared.get)
            if shared[best]:
                value = score(one == n, other == best)
            else:
                value = min(score(one == n, other == k) for k in shared) if no_partner is None else no_partner
            total += (one == n).sum() / (one > 0).sum() * value / 2
    return total


def slow_f1(true: np.ndarray, predicted: np.ndarray) -> float:
    found = set()
    for p in numbers(predicted):
        shared = {t: ((true == t) & (predicted == p)).sum() for t in numbers(true)}
        best = max(shared, key=shared.get)
        if shared[best] and shared[best] >= 0.5 * (true == best).sum():
            found.add(best)
    precision, recall = len(found) / len(numbers(predicted)), len(found) / len(numbers(true))
    return 2 * precision * recall / (precision + recall) if found else 0.0


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
        Tally.of(np.zeros((3, 3), int), np.zeros((3, 4), int))
