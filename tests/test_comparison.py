"""Interactive systems on one bench: each outlines what was marked, better than a disc about the click would."""

import csv
import io

import numpy as np
import pytest
from made_pictures import folder_of
from scipy import ndimage

from nuclick_training.comparison.__main__ import main
from nuclick_training.comparison.active_contour import ActiveContour
from nuclick_training.comparison.bench import scenes_of, score
from nuclick_training.comparison.disc import Disc
from nuclick_training.comparison.grab_cut import GrabCut
from nuclick_training.comparison.marks import marks_of
from nuclick_training.comparison.nuclick import NuClick
from nuclick_training.comparison.region_growing import RegionGrowing
from nuclick_training.comparison.system import Piece, painted
from nuclick_training.comparison.systems import SYSTEMS
from nuclick_training.comparison.watershed import Watershed
from nuclick_training.datasets.data import Picture
from nuclick_wsi.prompts import ObjectKind

MPP = 0.25
SIZES = ((9, 14), (16, 11), (22, 15), (8, 8), (14, 24))
"""Half axes of the nuclei, in pixels."""


def tissue(seed: int = 3) -> Picture:
    """Return purple ellipses of several sizes on pink ground, with grain."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((160, 260), np.int32)
    rows, columns = np.indices(labels.shape)
    for number, (half, tall) in enumerate(SIZES, 1):
        row, column = 40 + 70 * (number % 2), 30 + 46 * (number - 1)
        labels[((rows - row) / tall) ** 2 + ((columns - column) / half) ** 2 <= 1] = number
    color = np.where(labels[..., None] > 0, (105, 60, 140), (228, 176, 205))
    grain = ndimage.gaussian_filter(rng.normal(0, 25, labels.shape), 1)[..., None]
    blurred = ndimage.gaussian_filter(color.astype(float), (0.8, 0.8, 0)) + grain
    return Picture(f"tissue{seed}", np.clip(blurred, 0, 255).astype(np.uint8), labels, 1.0)


SCENE = next(scenes_of([tissue()], MPP, None))


@pytest.mark.parametrize(
    "system",
    [Watershed(), RegionGrowing(), ActiveContour(), GrabCut(), NuClick("nuclei", ObjectKind.NUCLEUS)],
    ids=lambda system: system.name,
)
def test_every_system_is_better_than_a_disc_of_median_size(system) -> None:
    radius = MPP * float(np.median(np.sqrt([half * tall for half, tall in SIZES])))
    disc, _ = score(Disc(radius), SCENE)
    own, pieces = score(system, SCENE)
    assert own.dice.mean() > disc.dice.mean() + 0.05
    assert len(pieces) == len(own.dice) == len(SIZES)
    assert own.seconds > 0


def test_marks_are_those_that_the_paper_draws_from_the_truth() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[5:10, 8:20] = 4
    (mark,) = marks_of(labels)
    assert mark.number == 4
    assert mark.box.tolist() == [8, 5, 20, 10]
    assert np.abs(mark.click - (14, 7.5)).max() <= 0.5
    assert (mark.extremes[:, 0].min(), mark.extremes[:, 0].max()) == (8.5, 19.5)
    assert (mark.extremes[:, 1].min(), mark.extremes[:, 1].max()) == (5.5, 9.5)
    for x, y in [mark.click, *mark.extremes, *mark.strokes[0]]:
        assert labels[int(y), int(x)] == 4
    assert labels[int(mark.beside[1]), int(mark.beside[0])] == 0


def test_the_same_objects_are_drawn_each_time_and_the_others_are_background() -> None:
    pictures = [tissue(3), tissue(4)]
    some, same = (list(scenes_of(pictures, MPP, 4)) for _ in range(2))
    numbers = [[mark.number for mark in scene.marks] for scene in some]
    assert numbers == [[mark.number for mark in scene.marks] for scene in same]
    assert sum(map(len, numbers)) == 4
    for scene, chosen in zip(some, numbers, strict=True):
        assert set(np.unique(scene.labels)) == {0, *chosen}


def test_a_shared_pixel_belongs_to_the_first_object_and_scores_are_of_each_own_mask() -> None:
    marks = marks_of(np.array([[7, 7, 9, 9]], np.int32))
    pieces = [Piece(0, 0, np.array([[True, True, True]])), Piece(0, 2, np.array([[True, True]]))]
    assert painted(pieces, marks, (1, 4)).tolist() == [[7, 7, 7, 9]]


def test_a_comparison_is_printed_and_kept_with_its_pictures(tmp_path, capsys) -> None:
    folder_of([tissue(3), tissue(4)], tmp_path / "data")
    arguments = ["nucleus", "--data", str(tmp_path / "data"), "--mpp", "0.25", "--split", "all", "--objects", "6"]
    main(["score", *arguments, "--out", str(tmp_path / "out"), "--system", "region", "--system", "nuclick"])
    table = list(csv.DictReader(io.StringIO((tmp_path / "out" / "comparison.csv").read_text())))
    assert [row["system"] for row in table] == ["region growing", "NuClick (nuclei)"]
    assert all(float(row["Dice from"]) <= float(row["Dice"]) <= float(row["Dice to"]) for row in table)
    assert float(table[1]["AJI in paper"]) == 0.834
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "paper" in capsys.readouterr().out
    main(["choose", *arguments, "--system", "region"])
    printed = capsys.readouterr().out
    assert printed.startswith("region growing")
    assert "tolerance = 0." in printed


def test_each_kind_of_object_has_systems_with_parameters_to_choose() -> None:
    for kind in ObjectKind:
        names = [entry.system.name for entry in SYSTEMS[kind]]
        assert len(set(names)) == len(names)
        assert names[0] == "disc of median size"
        assert names[-1].startswith("NuClick")
        for entry in SYSTEMS[kind]:
            for name in entry.grid:
                assert len({getattr(system, name) for system in entry.choices()}) == len(entry.grid[name])
