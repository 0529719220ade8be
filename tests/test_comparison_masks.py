"""Networks that learn from drawn masks: the command runs through, and Mask R-CNN learns where torchvision is."""

import csv
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from made_pictures import folder_of
from test_comparison import tissue

from nuclick_training.comparison.__main__ import main
from nuclick_training.comparison.automatic import designs
from nuclick_training.comparison.mask_rcnn import MaskRCNN, _targets, learned_mask_rcnn, missing_torchvision
from nuclick_training.comparison.training_budget import TrainingBudget

needs_torchvision = pytest.mark.skipif(missing_torchvision() is not None, reason=str(missing_torchvision()))


@pytest.mark.slow
def test_each_network_learns_from_each_kind_of_masks_and_is_scored_on_true_ones(tmp_path, capsys) -> None:
    learning, judging, testing = ("A7-A13E", "B0-5711"), ("18-5592", "HE-7128"), ("ZZ-0001", "ZZ-0002")
    names = [f"TCGA-{patient}-01Z-00-DX1" for patient in (*learning, *judging, *testing)]
    pictures = [dataclasses.replace(tissue(seed), name=name) for seed, name in enumerate(names, 3)]
    folder_of(pictures, tmp_path / "monuseg")
    asked = ["paper", "--table", "7", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    main([*asked, "--steps", "1"])
    rows = {row["name"]: row for row in csv.DictReader((tmp_path / "out" / "table-7.csv").open())}
    networks, masks = ("U-Net", "SegNet", "FCN-8s"), ("true masks", "NuClick", "watershed")
    assert set(rows) >= {f"{network} on {drawn}" for network, drawn in itertools.product(networks, masks)}
    assert all(0 <= float(row["Dice ours"]) <= 1 for row in rows.values())
    assert rows["U-Net on true masks"]["Dice in paper"] == "0.825"
    assert ("Mask R-CNN is left out" in capsys.readouterr().out) == (missing_torchvision() is not None)
    main([*asked, "--steps", "1"])  # nothing is trained again
    assert "step 1 " not in capsys.readouterr().out


@needs_torchvision
def test_a_box_is_half_open_and_the_rest_of_a_nucleus_at_the_border_is_none() -> None:
    labels = torch.zeros(40, 40, dtype=torch.int64)
    labels[5:15, 20:26] = 7
    labels[0, :5] = 3
    targets = _targets(labels)
    assert targets["boxes"].tolist() == [[20, 5, 26, 15]]
    assert (targets["masks"][0] > 0).equal(labels == 7)


@needs_torchvision
def test_a_surer_nucleus_has_the_pixels_that_two_want() -> None:
    network = MaskRCNN()
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, :, 2:6, 2:6] = masks[1, :, 4:8, 4:8] = 1
    network.detector.forward = lambda images: [{"scores": torch.tensor([0.9, 0.4]), "masks": masks}]
    both, sure = network.outlines(np.zeros((8, 8, 3), np.uint8), [0.3, 0.5])
    assert np.bincount(both.ravel()).tolist() == [64 - 28, 16, 12]
    assert np.unique(sure).tolist() == [0, 1]


@pytest.mark.slow
@needs_torchvision
def test_mask_rcnn_learns_to_find_nuclei_and_goes_on_where_it_was_stopped(tmp_path) -> None:
    pictures = [tissue(seed) for seed in range(4)]
    settings = dataclasses.replace(TrainingBudget().settings, minutes=0, steps=30, check_steps=10)
    budget = TrainingBudget(settings)
    whole = learned_mask_rcnn(pictures, pictures[:1], tmp_path / "whole", budget)
    found, true = whole.outline(pictures[3].image), pictures[3].labels
    assert 2 * ((found > 0) & (true > 0)).sum() / ((found > 0).sum() + (true > 0).sum()) > 0.6
    again = learned_mask_rcnn(pictures, pictures[:1], tmp_path / "whole", budget)
    assert (again.outline(pictures[3].image) == found).all()


@pytest.mark.gpu
def test_networks_that_find_nuclei_are_trained_on_a_gpu_and_outline_on_the_cpu(tmp_path) -> None:
    pictures = [tissue(seed) for seed in range(4)]
    settings = dataclasses.replace(TrainingBudget().settings, minutes=0, steps=2, device="cuda", random_start=True)
    for name, learn in designs(mask_rcnn=missing_torchvision() is None).items():
        outline = learn(pictures, pictures[:1], tmp_path / name, TrainingBudget(settings))
        assert outline(pictures[3].image).shape == pictures[3].labels.shape
