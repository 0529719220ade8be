"""Learned systems on the bench: what each is shown, what it is trained by, and that it learns to outline."""

import dataclasses

import numpy as np
import pytest
import torch
from made_pictures import folder_of
from test_comparison import MPP, SIZES, tissue

from nuclick_training.comparison.__main__ import main
from nuclick_training.comparison.automatic import drawn_by
from nuclick_training.comparison.bench import scenes_of, score
from nuclick_training.comparison.disc import Disc
from nuclick_training.comparison.effort import EFFORTS
from nuclick_training.comparison.learned.designs import DESIGNS, ON_OWN_NETWORKS
from nuclick_training.comparison.learned.diverse import MASKS, DiverseNet, diverse_loss, drawing_masks
from nuclick_training.comparison.learned.learned_system import LearnedSystem
from nuclick_training.comparison.learned.looks import (
    BoxCrop,
    BoxDistance,
    ExtremePoints,
    GuidingSignals,
    Sight,
    TwoClicks,
)
from nuclick_training.comparison.learned.mask_branch import MaskBranch
from nuclick_training.comparison.learned.mask_branch import _box_of as box_of
from nuclick_training.comparison.learned.own_networks import ContextNet, PNet
from nuclick_training.comparison.learned.refining import refined
from nuclick_training.comparison.learned.sampler import MarkedSampler
from nuclick_training.comparison.learned.training import file_of, train, trained, trained_systems
from nuclick_training.comparison.marks import Mark, marks_of
from nuclick_training.comparison.systems import SYSTEMS
from nuclick_training.comparison.training_budget import TrainingBudget
from nuclick_training.sampling.sampling import OBJECT
from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.network.squiggle import SquiggleConfig, SquiggleNet
from nuclick_wsi.prompts import ObjectKind

NUCLEI = DESIGNS[ObjectKind.NUCLEUS]
ON_OWN = ON_OWN_NETWORKS[ObjectKind.NUCLEUS]
SIGHT = Sight(64, 1.0)


def budget_of(steps: int, batch: int = 12, device: str = "cpu", judged: int = 10) -> TrainingBudget:
    """Return what a short training from random weights gets."""
    plain = TrainingBudget()
    changed = {"minutes": 0, "steps": steps, "batch": batch, "device": device, "random_start": True}
    return dataclasses.replace(plain, settings=dataclasses.replace(plain.settings, **changed), judged=judged)


def mark_of_a_box() -> Mark:
    """Return the marks of an object of 24 x 12 pixels at (100, 50)."""
    labels = np.zeros((160, 260), np.int32)
    labels[50:62, 100:124] = 7
    labels[80:90, 100:110] = 8
    return marks_of(labels)[0]


def inside_of(look, mark: Mark) -> np.ndarray:
    """Return the object's own pixels in the window of a look."""
    window = look.window(mark, SIGHT)
    left, top, right, bottom = window.crop_points(mark.box.reshape(2, 2)).reshape(4)
    middles = np.arange(window.size) + 0.5
    return ((middles > top) & (middles < bottom))[:, None] & ((middles > left) & (middles < right))[None]


def test_two_clicks_are_shown_as_nearness_to_each() -> None:
    mark = mark_of_a_box()
    own, beside = TwoClicks().maps(mark, [], TwoClicks().window(mark, SIGHT))
    assert own[32, 32] == 1
    assert own[32, 42] == pytest.approx(1 - 10 / 64)
    assert beside.max() == 1
    assert not inside_of(TwoClicks(), mark)[np.unravel_index(beside.argmax(), beside.shape)]


def test_a_box_is_shown_as_depth_and_fits_the_window_whatever_its_size() -> None:
    mark = mark_of_a_box()
    depth, inside = BoxDistance().maps(mark, [], BoxDistance().window(mark, SIGHT))
    assert (inside > 0).tolist() == inside_of(BoxDistance(), mark).tolist()
    assert ((depth > 0.5) == (inside > 0)).all()
    assert depth.argmax() in np.flatnonzero(depth == depth[32, 32])
    large = dataclasses.replace(mark, box=np.array([0.0, 0.0, 200.0, 90.0]))
    window = BoxDistance().window(large, SIGHT)
    assert window.step > 1
    assert BoxDistance().maps(large, [], window)[1].sum() > 0


def test_extreme_points_are_hills_in_a_window_that_is_scaled_to_them() -> None:
    mark = mark_of_a_box()
    window = ExtremePoints().window(mark, SIGHT)
    hills, nothing = ExtremePoints().maps(mark, [], window)
    assert window.size * window.step == pytest.approx(23 / 0.8)
    for x, y in window.crop_points(mark.extremes):
        assert hills[int(y), int(x)] > 0.7
    assert hills[0, 0] < 0.01
    assert not nothing.any()


def test_a_box_crop_shows_what_the_box_holds_and_no_more() -> None:
    mark = mark_of_a_box()
    window = BoxCrop().window(mark, SIGHT)
    inside, nothing = BoxCrop().maps(mark, [], window)
    assert window.size * window.step == 24
    assert (inside > 0).tolist() == inside_of(BoxCrop(), mark).tolist()
    assert not nothing.any()


@pytest.mark.parametrize("squiggles", [False, True])
def test_guiding_signals_are_those_of_the_engine(squiggles: bool) -> None:
    labels = np.zeros((160, 260), np.int32)
    labels[50:62, 100:124], labels[66:76, 100:110] = 7, 8
    mark, other = marks_of(labels)
    look = GuidingSignals(squiggles)
    inclusion, exclusion = look.maps(mark, [other], look.window(mark, SIGHT))
    assert inclusion.sum() == 1 if not squiggles else inclusion.sum() > 1
    assert exclusion.sum() == 1
    alone = GuidingSignals(squiggles, alone=True)
    assert (alone.maps(mark, [other], alone.window(mark, SIGHT)) == np.stack([inclusion, 0 * exclusion])).all()
    assert not (inclusion * exclusion).any()


@pytest.mark.parametrize("design", NUCLEI, ids=lambda design: design.slug)
def test_an_example_shows_the_object_that_it_asks_for(design) -> None:
    sampler = MarkedSampler([tissue()], design.look, 64)
    assert sampler.objects == len(SIZES)
    for seed in range(12):
        example = sampler.draw(np.random.default_rng(seed), plain=seed % 2 == 0)
        assert example.image.shape == (64, 64, 3)
        assert example.signals.shape == (2, 64, 64)
        assert 0 <= example.signals.min() <= example.signals.max() <= 1
        assert (example.target == OBJECT).sum() >= 20


def test_the_diverse_loss_is_lowest_where_one_mask_is_right_and_chosen() -> None:
    target = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    target[..., 2:6, 2:6] = OBJECT
    right = (target == OBJECT).float() * 20 - 10
    wrong = -right

    def loss(masks: list[torch.Tensor], best: int) -> float:
        scores = torch.full((1, MASKS, 8, 8), -5.0)
        scores[:, best] = 5
        return float(diverse_loss(torch.cat([*masks, scores], dim=1), target, 1.0))

    first_right = [right] + [wrong] * (MASKS - 1)
    assert loss(first_right, 0) < loss(first_right, 1)
    assert loss(first_right, 0) < loss([wrong] * MASKS, 0)
    assert loss([right] * MASKS, 0) < loss(first_right, 0)


def test_a_diverse_network_returns_one_of_its_masks_once_it_has_learned() -> None:
    torch.manual_seed(0)
    network, seen = DiverseNet(drawing_masks()), torch.rand(2, 5, 32, 32)
    assert network(seen).shape == (2, 2 * MASKS, 32, 32)
    network.eval()
    with torch.no_grad():
        chosen, masks = network(seen), network.draw(seen)
    for one, all_of_it in zip(chosen, masks, strict=True):
        assert any(torch.equal(one[0], mask) for mask in all_of_it)


def test_a_mask_branch_draws_inside_its_box_and_puts_the_mask_where_the_box_is() -> None:
    torch.manual_seed(0)
    network, seen = MaskBranch().eval(), torch.rand(2, 5, 64, 64)
    seen[:, 4] = 0
    seen[0, 4, 8:24, 10:50] = seen[1, 4, 30:60, 5:20] = 1
    half, middle = box_of(seen[:, 4])
    assert half[0].tolist() == pytest.approx([40 / 64, 16 / 64])
    assert middle[1].tolist() == pytest.approx([25 / 64 - 1, 90 / 64 - 1])
    with torch.no_grad():
        drawn = network(seen)
    assert drawn.shape == (2, 1, 64, 64)
    assert (drawn[seen[:, 4:] == 0] < -7).all()
    network.head = torch.nn.Identity()  # its first channel now is what the last convolution drew
    network.enlarge = torch.nn.Upsample(scale_factor=2)
    network.draw = torch.nn.Identity()
    across = torch.linspace(-1, 1, 64).expand(2, 64, 64)[:, None].repeat(1, 64, 1, 1)

    class Ramp(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return across

    network.smooth = Ramp()
    with torch.no_grad():
        pasted = network(seen)[0, 0, 16, 14:46]
    assert torch.allclose(pasted, across[0, 0, 16, 14:46].clamp(min=0), atol=0.05)


def test_every_way_to_mark_an_object_has_an_effort() -> None:
    systems = [entry.system for kind in ObjectKind for entry in SYSTEMS[kind]]
    actions = {system.action for system in systems} | {design.look.action for k in ObjectKind for design in DESIGNS[k]}
    assert actions == set(EFFORTS)


@pytest.mark.parametrize("design", ON_OWN, ids=lambda design: design.slug)
def test_a_network_of_another_paper_draws_the_window_whatever_its_size(design) -> None:
    network = design.network(0.25).eval()
    for height, width in ((64, 64), (96, 128)):
        assert network(torch.rand(1, 5, height, width)).shape == (1, 1, height, width)


@pytest.mark.parametrize(
    ("network", "reach"), [(ContextNet(width=0.25), 128), (PNet(0.25), 90)], ids=["context", "p-net"]
)
def test_a_network_at_full_size_sees_as_far_as_its_dilations_add_up_to(network, reach) -> None:
    torch.manual_seed(0)
    seen = torch.rand(1, 5, 2 * reach + 8, 1)
    seen = seen.expand(-1, -1, -1, 4).clone().requires_grad_(True)
    middle = seen.shape[2] // 2
    network.eval()(seen)[0, 0, middle, 2].backward()
    rows = np.flatnonzero(seen.grad.abs().sum(dim=(0, 1, 3)).numpy())
    assert (middle - rows[0], rows[-1] - middle) == (reach, reach)


def test_refining_follows_the_squiggle_and_leaves_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    network = SquiggleNet(SquiggleConfig()).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    seen = torch.rand(1, 5, 32, 32)
    seen[:, 3:] = 0
    seen[:, 3, 4:28, 4:28] = 1
    scribble = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    scribble[..., 16, 8:24] = True
    with torch.no_grad():
        plain = torch.sigmoid(network(seen))
    better, outside = refined(network, seen, scribble), seen[:, 3:4] == 0
    assert better[scribble].mean() - better[outside].mean() > plain[scribble].mean() - plain[outside].mean() + 0.01
    assert better[outside].mean() < plain[outside].mean()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_what_was_trained_is_kept_found_again_and_compared(tmp_path, capsys) -> None:
    data = tmp_path / "data"
    folder_of([tissue(seed) for seed in range(3, 9)], data)
    design = NUCLEI[0]
    train(design, ObjectKind.NUCLEUS, data, MPP, tmp_path / "models", budget_of(2, batch=2))
    (system,) = trained_systems(ObjectKind.NUCLEUS, tmp_path / "models")
    assert system.design is design
    assert 0.2 <= system.threshold <= 0.9
    assert system.steps == 2
    arguments = ["nucleus", "--data", str(data), "--mpp", str(MPP), "--models", str(tmp_path / "models")]
    main(["score", *arguments, "--split", "all", "--objects", "2", "--system", "ifcn", "--out", str(tmp_path / "out")])
    assert "iFCN" in (tmp_path / "out" / "comparison.csv").read_text()
    assert "iFCN" in capsys.readouterr().out
    file_of(design, tmp_path / "models").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"ifcn\.safetensors is no trained iFCN.*delete it"):
        list(trained_systems(ObjectKind.NUCLEUS, tmp_path / "models"))


def test_a_width_of_the_papers_own_is_kept_with_what_was_trained(tmp_path) -> None:
    data = tmp_path / "data"
    folder_of([tissue(seed) for seed in range(3, 9)], data)
    (design,) = (design for design in NUCLEI if design.name == "FCN-8s")
    for width in (0.0625, 0.125):
        budget = dataclasses.replace(budget_of(1, batch=1), width=width)
        train(design, ObjectKind.NUCLEUS, data, MPP, tmp_path / str(width), budget)
    half, one = (trained(design, ObjectKind.NUCLEUS, tmp_path / str(width)) for width in (0.0625, 0.125))
    assert (half.width, one.width) == (0.0625, 0.125)
    weights = [sum(tensor.numel() for tensor in system.network.parameters()) for system in (half, one)]
    assert weights[1] > 3 * weights[0]


def test_a_set_without_validation_images_gives_a_fifth_of_its_training_images_to_choose_the_threshold(tmp_path) -> None:
    data = tmp_path / "gbm40"  # its images are for training, but for the last ten: those are for testing
    folder_of([tissue(seed) for seed in range(3, 8)], data)
    assert train(NUCLEI[0], ObjectKind.NUCLEUS, data, MPP, tmp_path / "models", budget_of(1, batch=2)).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("design", [*NUCLEI, *ON_OWN], ids=lambda design: design.slug)
def test_every_learned_system_becomes_better_than_a_disc_of_median_size(design, tmp_path) -> None:
    data = tmp_path / "data"
    folder_of([tissue(seed) for seed in range(4, 14)], data)
    train(design, ObjectKind.NUCLEUS, data, MPP, tmp_path / "models", budget_of(120, judged=200))
    (system,) = trained_systems(ObjectKind.NUCLEUS, tmp_path / "models")
    assert isinstance(system, LearnedSystem)
    scene = next(scenes_of([tissue()], MPP, None))
    radius = MPP * float(np.median(np.sqrt([half * tall for half, tall in SIZES])))
    assert score(system, scene)[0].dice.mean() > score(Disc(radius), scene)[0].dice.mean() + 0.05


@pytest.mark.gpu
@pytest.mark.parametrize("design", [*NUCLEI, *ON_OWN], ids=lambda design: design.slug)
def test_every_learned_system_is_trained_on_a_gpu_and_outlines_on_the_cpu(design, tmp_path) -> None:
    data = tmp_path / "data"
    folder_of([tissue(seed) for seed in range(4, 9)], data)
    train(design, ObjectKind.NUCLEUS, data, MPP, tmp_path / "models", budget_of(2, device="cuda"))
    (system,) = trained_systems(ObjectKind.NUCLEUS, tmp_path / "models")
    scene = next(scenes_of([tissue()], MPP, None))
    assert np.isfinite(score(system, scene)[0].dice).all()


def test_masks_that_a_system_draws_take_the_place_of_the_true_ones() -> None:
    (drawn,) = drawn_by(Disc(2.0), [tissue()], MPP)
    assert set(np.unique(drawn.labels)) == set(range(len(SIZES) + 1))
    radius = 2.0 / MPP
    assert abs((drawn.labels == 1).sum() - np.pi * radius**2) < 12
