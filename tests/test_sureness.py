"""Sureness: what is expected of an outline, what such outlines reach, and where the user sees it."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from dark_segmenter import DarkSegmenter, card
from made_pictures import folder_of, picture

import nuclick_wsi as nw
from asap_bridge.names import ResultName
from nuclick_training.__main__ import main
from nuclick_training.fitting.sureness import FEWEST, calibrated, calibration_of, signal_pixels
from nuclick_training.sampling.batches import Batch, BlockBatches, CropBatches
from nuclick_training.sampling.blocks import BlockSampler
from nuclick_training.sampling.click_sampler import ClickSampler
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.formats.geojson import SURENESS, feature_collection
from nuclick_wsi.instances import unsure
from nuclick_wsi.models.card import Calibration, ModelCard
from nuclick_wsi.models.network import build
from nuclick_wsi.models.weights import load_model, save_model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.segmenter import FixedSegmenters
from nuclick_wsi.segmentation.sureness import expected_dice, sureness
from nuclick_wsi.slides.readers import open_slide

pytestmark = pytest.mark.usefixtures("one_thread")

CALIBRATION = ((0.0, 0.0), (0.8, 0.6), (0.9, 0.8))


def disc(inside: float, around: float, beyond: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A mask of 6 x 6 pixels, and probabilities in it, in its neighbours, and in all others."""
    mask = np.zeros((12, 12), np.bool_)
    mask[3:9, 3:9] = True
    probabilities = np.full(mask.shape, beyond, np.float32)
    probabilities[2:10, 2:10] = around
    probabilities[mask] = inside
    return mask, probabilities


def test_the_dice_that_is_expected_is_that_of_a_mask_with_an_object_of_such_probabilities() -> None:
    assert expected_dice(*disc(1.0, 0.0)) == 1
    mask, probabilities = disc(0.9, 0.3)
    assert expected_dice(mask, probabilities) == pytest.approx(2 * 36 * 0.9 / (36 + 36 * 0.9 + 28 * 0.3))


def test_what_a_patch_does_not_keep_makes_no_outline_less_sure() -> None:
    mask, probabilities = disc(0.9, 0.3, beyond=0.4)
    prompt = nw.Prompt("a", ObjectKind.NUCLEUS, nw.Click(nw.Point(5, 5)))
    patch = Patch.cropped(prompt, Window(0, 0, *mask.shape), mask, probabilities, np.array([[5, 5]]))
    assert expected_dice(patch.mask, patch.probabilities) == expected_dice(mask, probabilities)


def test_sureness_is_read_between_the_pairs_of_a_card_and_held_beyond_them() -> None:
    assert sureness(0.85, CALIBRATION) == pytest.approx(0.7)
    assert sureness(0.4, CALIBRATION) == pytest.approx(0.3)
    assert sureness(0.99, CALIBRATION) == pytest.approx(0.8)
    assert sureness(0.85, ()) is None


def test_a_calibration_rises_and_gives_what_was_reached() -> None:
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.5, 1, 2000)
    reached = np.clip(expected**2 + rng.normal(0, 0.1, 2000), 0, 1)
    pairs = np.array(calibration_of(expected, reached))
    assert (np.diff(pairs, axis=0) > 0).all()
    assert pairs[0].tolist() == [0, 0]
    assert pairs[1:, 1] == pytest.approx(pairs[1:, 0] ** 2, abs=0.03)


def test_where_more_is_expected_and_less_reached_means_are_joined() -> None:
    expected = np.linspace(0.5, 1, 200)
    pairs = calibration_of(expected, 1 - expected / 2)
    assert pairs == ((0.0, 0.0), (0.75, pytest.approx(0.625)))


def test_a_few_objects_say_nothing() -> None:
    assert calibration_of(np.linspace(0, 1, FEWEST - 1), np.linspace(0, 1, FEWEST - 1)) == ()
    assert len(calibration_of(np.linspace(0, 1, FEWEST), np.linspace(0, 1, FEWEST))) == 2


@pytest.mark.parametrize("network", ["nuclick", "glance"])
def test_an_example_s_own_signal_is_found_in_its_batch(network: str) -> None:
    pictures = [picture()]
    blocks = (
        BlockBatches(BlockSampler(pictures, 64)) if network == "glance" else CropBatches(ClickSampler(pictures, 64))
    )
    batch = blocks.batch(np.random.default_rng(0), 3, plain=True)
    for index, target in enumerate(batch.target[:, 0].numpy()):
        rows, columns = signal_pixels(batch, index).T
        assert 1 <= len(rows) <= 4
        assert (target[rows, columns] == 1).any()


class Halo(torch.nn.Module):
    """Draws the true object (the target, given as a sixth channel) and, the less sure it is, more around it."""

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        sure = crops[:, 5:]
        truth = crops[:, 6:]
        grown = torch.nn.functional.max_pool2d(truth, 9, 1, 4)
        wide = torch.where(sure > 0.5, truth, grown)
        return torch.where(wide > 0.5, torch.logit(0.55 + 0.4 * sure), torch.tensor(-8.0))

    def state_dict(self, *args, **kwargs):
        return {}


def test_outlines_of_which_less_is_expected_reached_less_and_the_card_says_how_much(monkeypatch) -> None:
    monkeypatch.setattr("nuclick_training.fitting.sureness.fused", lambda network: network)
    monkeypatch.setattr(Halo, "parameters", lambda self: iter([torch.zeros(1)]))
    source = CropBatches(ClickSampler([picture()], 64))
    rng, batches = np.random.default_rng(0), []
    for number in range(80):
        one = source.batch(rng, 1, plain=True)
        sure = torch.full_like(one.inputs[0][:, :1], float(number % 2))
        truth = (one.target == 1).float()
        batches.append(Batch((torch.cat([one.inputs[0], sure, truth], 1),), one.target))
    found, correlation = calibrated(Halo(), batches, card(ObjectKind.NUCLEUS, 64, 0.25))
    assert correlation > 0.8
    assert found[-1][1] == pytest.approx(1, abs=0.02)
    assert found[1][1] < 0.8


@pytest.mark.parametrize("calibration", [CALIBRATION, ()])
def test_sureness_goes_where_results_go(tmp_path, calibration: Calibration) -> None:
    folder_of([picture(name="a")], tmp_path)
    segmenter = DarkSegmenter(dataclasses.replace(card(ObjectKind.NUCLEUS, 64, 0.25), calibration=calibration))
    clicks = [nw.Prompt(f"{n}", ObjectKind.NUCLEUS, nw.Click(nw.Point(x, 18))) for n, x in enumerate((18.0, 54.0))]
    with open_slide(tmp_path / "images" / "a.png") as slide:
        segmenters = FixedSegmenters({ObjectKind.NUCLEUS: segmenter})
        found = nw.segment(slide, nw.PromptSet(tuple(clicks)), segmenters, PixelSize(0.25, 0.25)).instances
    features = feature_collection(found, ObjectType.DETECTION, {})["features"]
    told = [feature["properties"]["measurements"].get(SURENESS) for feature in features]
    if not calibration:
        assert told == [None, None]
        assert unsure(found, 1.0) == []
        return
    assert told == [pytest.approx(one.sureness, abs=1e-4) for one in found]
    assert {one.prompt_id for one in unsure(found, 1.0)} == {"0", "1"}
    assert unsure(found, 0.1) == []


@pytest.mark.parametrize("sure", [None, 0.63])
def test_a_name_in_asap_carries_how_sure_its_outline_is(sure: float | None) -> None:
    name = ResultName("00000000-0000-4000-8000-000000000001", 1, 0, "0123abcd", sure)
    assert ResultName.parse(str(name)) == name
    assert ("sure 0.63" in str(name)) is (sure is not None)


def test_a_model_that_exists_is_calibrated_and_keeps_its_weights(tmp_path, capsys) -> None:
    folder_of([picture(name=name) for name in "abcde"], tmp_path / "discs")
    torch.manual_seed(0)
    network = build("nuclick", {"width": 1 / 16})
    network.head.bias.data.fill_(3.0)  # everything is an object, so that every click has an outline
    path = tmp_path / "m.safetensors"
    made = dataclasses.replace(
        card(ObjectKind.NUCLEUS, 64, 0.25), name="m", architecture="nuclick", config={"width": 1 / 16}
    )
    save_model(path, network, made)
    before = load_model(path)
    assert before.card.calibration == ()
    main(["calibrate", str(path), "--data", str(tmp_path / "discs"), "--mpp", "0.25", "--threads", "1"])
    after = load_model(path)
    assert "rank correlation" in capsys.readouterr().out
    assert after.card == dataclasses.replace(before.card, calibration=after.card.calibration)
    assert len(after.card.calibration) >= 2
    weights = zip(before.network.state_dict().values(), after.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)


def test_too_few_objects_to_calibrate_by_leave_the_card_alone(tmp_path) -> None:
    folder_of([picture(name=name) for name in "abcde"], tmp_path / "discs")
    network = build("nuclick", {"width": 1 / 16})
    network.head.bias.data.fill_(-20.0)  # nothing is an object
    path = tmp_path / "m.safetensors"
    save_model(path, network, dataclasses.replace(card(ObjectKind.NUCLEUS, 64, 0.25), name="m",
                                                  architecture="nuclick", config={"width": 1 / 16}))  # fmt: skip
    content = path.read_bytes()
    with pytest.raises(SettingsError, match=r"too few validation objects of it; 20"):
        main(["calibrate", str(path), "--data", str(tmp_path / "discs"), "--mpp", "0.25"])
    assert path.read_bytes() == content


@pytest.mark.parametrize("pairs", [[[0, 0], [0.9, 1.2]], [[0, 0], [0.9, 0.8], [0.8, 0.9]], [[0, 0.5], [0.9, 0.4]]])
def test_a_card_whose_calibration_does_not_rise_is_refused(pairs: list[list[float]]) -> None:
    entries = json.loads(card(ObjectKind.NUCLEUS, 64, 0.25).to_json()) | {"calibration": pairs}
    with pytest.raises(ValueError, match="calibration"):
        ModelCard.from_json(json.dumps(entries))
