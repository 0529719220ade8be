"""The loop learns from the batches of either network, logs, stops and goes on as if it had never been stopped."""

import dataclasses
import io
import math
import sys

import numpy as np
import pytest
import torch
from made_pictures import folder_of, picture

from nuclick_training.curves import read_log
from nuclick_training.datasets.splits import GLAS, SPLITS
from nuclick_training.evaluation.plots import learning_curves
from nuclick_training.fitting.calibrate import finish
from nuclick_training.fitting.fit import DivergedError, fit, mean_dice
from nuclick_training.fitting.loss import nuclick_loss
from nuclick_training.fitting.recipe import TrainingSource
from nuclick_training.fitting.recipes import NUCLEI_BY_CROPS
from nuclick_training.fitting.run import BEST, CHECKPOINT, Run, kept_weights, new_run
from nuclick_training.fitting.run_folder import note
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.fitting.training_log import LOG, RunLog
from nuclick_training.sampling import click_sampler, glands, sampling
from nuclick_training.sampling.augment import AUGMENTATIONS
from nuclick_training.sampling.batches import Batch, BlockBatches, CropBatches
from nuclick_training.sampling.blocks import BlockSampler
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.network import NuClick, NuClickConfig, build
from nuclick_wsi.models.weights import load_model

SHORT = FitSettings(steps=4, batch=2, rate=5e-3, averaging=0.8, check_steps=1, device="cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def started(settings: FitSettings) -> Run:
    torch.manual_seed(0)
    return new_run(NuClick(NuClickConfig(1 / 16)), settings)


class KilledError(Exception):
    pass


@dataclasses.dataclass
class Mortal:
    """BatchSource of a run that is killed when it asks for its third batch."""

    batches: CropBatches
    drawn: int = 0

    def batch(self, rng, count, plain=False):
        self.drawn += 1
        if self.drawn > 2:
            raise KilledError
        return self.batches.batch(rng, count, plain)


@pytest.mark.parametrize("sampler", [click_sampler.ClickSampler, glands.SquiggleSampler])
def test_a_run_that_was_killed_and_resumed_ends_as_one_that_was_not(tmp_path, sampler):
    def source() -> CropBatches:
        return CropBatches(sampler([picture(radius=12)], 64))  # a new process has nothing that an old one drew

    validation = [source().batch(np.random.default_rng(1), 2, plain=True)]
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    whole, killed, resumed = started(SHORT), started(SHORT), started(SHORT)
    fit(whole, source(), validation, SHORT, folders[0])
    with pytest.raises(KilledError):
        fit(killed, Mortal(source()), validation, SHORT, folders[1])
    resumed.load(folders[1] / CHECKPOINT)
    assert resumed.step == 2
    fit(resumed, source(), validation, SHORT, folders[1])
    assert resumed.step == whole.step == SHORT.steps
    for name, tensor in whole.averaged.network.state_dict().items():
        assert torch.equal(resumed.averaged.network.state_dict()[name], tensor)
    logs = [[line.split(",")[:1] + line.split(",")[2:] for line in (f / LOG).read_text().splitlines()] for f in folders]
    assert logs[0] == logs[1]  # but for the minutes


def test_what_a_killed_run_logged_beyond_its_checkpoint_is_dropped(tmp_path):
    batches = CropBatches(click_sampler.ClickSampler([picture()], size=64))
    fit(started(SHORT), batches, [], SHORT, tmp_path)
    (tmp_path / LOG).write_text((tmp_path / LOG).read_text() + "9,0.1,1.0,0.5,0.5\n")
    run = started(SHORT)
    run.load(tmp_path / CHECKPOINT)
    fit(run, batches, [], dataclasses.replace(SHORT, steps=5), tmp_path)
    assert [line.split(",")[0] for line in (tmp_path / LOG).read_text().splitlines()] == ["step", *"12345"]


def test_the_loop_learns_and_logs(tmp_path):
    settings = dataclasses.replace(SHORT, steps=16, rate=1e-2)
    batches = CropBatches(click_sampler.ClickSampler([picture()], size=64))
    fit(started(settings), batches, [batches.batch(np.random.default_rng(1), 1, plain=True)], settings, tmp_path)
    lines = (tmp_path / LOG).read_text().splitlines()
    assert lines[0] == "step,minutes,loss,dice,threshold"
    losses = [float(line.split(",")[2]) for line in lines[1:]]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


def test_where_nothing_is_held_out_no_score_is_logged_and_the_curves_do_without(tmp_path, capsys):
    fit(started(SHORT), CropBatches(click_sampler.ClickSampler([picture()], size=64)), [], SHORT, tmp_path)
    assert (tmp_path / LOG).read_text().splitlines()[0] == "step,minutes,loss"
    assert "dice" not in capsys.readouterr().out
    assert set(read_log(tmp_path / LOG)) == {"minutes", "loss"}
    assert learning_curves(read_log(tmp_path / LOG)).startswith(b"\x89PNG")


def test_checks_are_not_closer_than_ten_steps_unless_asked_for():
    due = [step for step in range(1, 41) if FitSettings(steps=40).check_is_due(step, 0)]
    assert due == [10, 20, 30, 40]
    assert not any(FitSettings(steps=8).check_is_due(step, 0) for step in range(1, 9))
    assert all(FitSettings(steps=8, check_steps=1).check_is_due(step, 0) for step in range(1, 9))
    assert FitSettings(steps=2000).check_is_due(100, 0)
    assert not FitSettings(steps=2000).check_is_due(50, 0)


def test_a_terminal_has_a_bar_with_the_held_out_score(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    log = RunLog(tmp_path, 0, tensorboard=False)
    log.checked(10, 1.0, {"loss": 0.7, "dice": 0.8123, "threshold": 0.5})
    log.stepped(11, 0.5, 0.69)
    line, bar = shown.getvalue().split("\r")[1:]
    assert line.endswith("dice 0.8123 threshold 0.5\n")
    assert "50%, step 11, loss 0.690, held-out Dice 0.812" in bar
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    log.stepped(12, 0.6, 0.68)
    assert sys.stdout.getvalue() == ""  # no bar in a file


def test_a_run_by_the_clock_ends_by_the_clock(tmp_path):
    settings = dataclasses.replace(SHORT, steps=0, minutes=1 / 600)
    run = started(settings)
    fit(run, CropBatches(click_sampler.ClickSampler([picture()], size=64)), [], settings, tmp_path)
    assert run.step >= 1
    assert 0.1 <= run.seconds < 30


def test_who_draws_the_batches_changes_nothing(tmp_path):
    ends = []
    for workers in (0, 2):
        settings = dataclasses.replace(SHORT, workers=workers)
        run = started(settings)
        fit(run, CropBatches(click_sampler.ClickSampler([picture()], size=64)), [], settings, tmp_path)
        ends.append(run.network.state_dict())
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())


def test_a_run_stops_where_nothing_gets_better_and_the_best_weights_are_kept(tmp_path):
    settings = dataclasses.replace(SHORT, steps=40, patience=2, rate=1e-9, averaging=0.0)  # it cannot get better
    batches = CropBatches(click_sampler.ClickSampler([picture()], size=64))
    run = started(settings)
    run.network.eval()
    fit(run, batches, [batches.batch(np.random.default_rng(1), 2, plain=True)], settings, tmp_path)
    scores = [float(line.split(",")[3]) for line in (tmp_path / LOG).read_text().splitlines()[1:]]
    best = int(np.argmax(scores))
    assert len(scores) == best + 3 < 40
    assert kept_weights(tmp_path, "best")[1] == best + 1 < run.step
    assert kept_weights(tmp_path, "last")[1] == run.step


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_try(tmp_path):
    class Broken:
        objects = 1

        def batch(self, rng, count, plain=False):
            return Batch((torch.full((1, 5, 64, 64), math.nan),), torch.ones(1, 1, 64, 64, dtype=torch.uint8))

    with pytest.raises(DivergedError, match=r"step 0 is nan .*--resume and a lower rate"):
        fit(started(SHORT), Broken(), [], SHORT, tmp_path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    started(SHORT).save(tmp_path / CHECKPOINT)
    other = new_run(NuClick(NuClickConfig(1 / 8)), SHORT)
    with pytest.raises(SettingsError, match="another network or optimizer"):
        other.load(tmp_path / CHECKPOINT)
    with pytest.raises(SettingsError, match="there is no run to continue"):
        other.load(tmp_path / "elsewhere" / CHECKPOINT)
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(SettingsError, match="cannot be read as a checkpoint"):
        other.load(tmp_path / CHECKPOINT)


def test_mixed_precision_learns_too(tmp_path):
    settings = dataclasses.replace(SHORT, precision="bfloat16")
    batches = CropBatches(click_sampler.ClickSampler([picture()], size=64))
    one, other = started(settings), started(SHORT)
    fit(one, batches, [], settings, tmp_path)
    fit(other, batches, [], SHORT, tmp_path)
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    distances = [float((a - b).detach().abs().max()) for a, b in pairs]
    assert 0 < max(distances) < 0.2  # not the same numbers, and not far from them


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ["nuclick", "glance"])
def test_a_gpu_trains_resumes_and_scores(tmp_path, architecture):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    device = torch.device("cuda")
    settings = dataclasses.replace(SHORT, batch=1, device="cuda")
    if architecture == "glance":
        batches = BlockBatches(BlockSampler([picture(size=420)], crop=64))
    else:
        batches = CropBatches(click_sampler.ClickSampler([picture()], size=64))
    validation = [batches.batch(np.random.default_rng(1), 1, plain=True)]
    config = {} if architecture == "glance" else {"width": 1 / 16}
    run = new_run(build(architecture, config), settings, device)
    fit(run, batches, validation, settings, tmp_path)
    again = new_run(build(architecture, config), settings, device)
    again.load(tmp_path / CHECKPOINT)
    fit(again, batches, validation, dataclasses.replace(settings, steps=6), tmp_path)
    assert again.step == 6
    assert all(parameter.isfinite().all() for parameter in again.network.parameters())


def test_tensorboard_gets_the_figures_of_the_log(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard (the train extra)"
    )
    settings = dataclasses.replace(SHORT, tensorboard=True)
    fit(started(settings), CropBatches(click_sampler.ClickSampler([picture()], size=64)), [], settings, tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    assert set(events.Tags()["scalars"]) == {"loss"}  # nothing was held out


# ------------------------------------------------------------------------------------------------ unknown pixels


def test_what_nobody_has_labelled_is_shown_and_not_asked():
    item = picture()
    known = np.zeros(item.labels.shape, bool)
    known[:, :80] = True
    item = dataclasses.replace(item, labels=np.where(known, item.labels, 0), known=known)
    sampler, rng = click_sampler.ClickSampler([item], size=64), np.random.default_rng(0)
    drawn = [sampler.draw(rng) for _ in range(40)]
    hidden = [one for one in drawn if (one.target == sampling.UNKNOWN).any()]
    assert hidden
    assert all((one.target == sampling.OBJECT).any() for one in drawn)
    dark = [(one.image.mean(axis=2) < 128) & (one.target == sampling.UNKNOWN) for one in hidden]
    assert any(pixels.any() for pixels in dark)  # nuclei that nobody has outlined are in the picture


def test_what_is_unknown_costs_nothing_and_scores_nothing():
    target = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    target[..., 2:4, 2:4], target[..., 5:, :] = sampling.OBJECT, sampling.UNKNOWN
    logits = torch.where(target == sampling.OBJECT, 9.0, -9.0)
    changed = torch.where(target == sampling.UNKNOWN, 9.0, logits)
    assert nuclick_loss(changed, target) == nuclick_loss(logits, target)
    assert nuclick_loss(-logits, target) > nuclick_loss(logits, target) + 1

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x

    assert mean_dice(Fixed(), [Batch((changed,), target)])[0.5] == 1


@pytest.mark.parametrize("name", ["modern", "paper"])
def test_colours_change_places_at_times_and_everything_varies(name):
    red = np.full((24, 24, 3), (200, 90, 90), np.uint8)
    rng = np.random.default_rng(0)
    varied = np.stack([AUGMENTATIONS[name](red, rng) for _ in range(400)])
    assert varied.dtype == np.float32
    assert varied.min() >= 0
    assert varied.max() <= 1
    strongest = varied.mean(axis=(1, 2)).argmax(axis=1)
    assert set(strongest) == {0, 1, 2}
    brightness = varied.mean(axis=(1, 2, 3))
    noise = varied.std(axis=(1, 2)).mean(axis=1)
    assert brightness.std() > 0.03
    assert (noise > 0.003).mean() > {"modern": 0.15, "paper": 0.4}[name]


def test_pictures_without_objects_are_refused_at_once():
    with pytest.raises(sampling.DataError, match="no object of 20 pixels"):
        click_sampler.ClickSampler([picture(radius=2)], size=64)
    with pytest.raises(sampling.DataError, match="no object of 20 pixels"):
        BlockSampler([picture(radius=2)], crop=64)


# -------------------------------------------------------------------------------------------------------- batches


def test_the_rate_warms_up_and_ends_at_nothing():
    settings = FitSettings()
    rates = [settings.rate_at(progress) for progress in (0, 0.02, 0.04, 0.5, 1, 1.2)]
    assert rates[0] < rates[1] < rates[2] == settings.rate
    assert rates[3] < settings.rate
    assert rates[4] == rates[5] == 0


def test_the_paper_s_network_is_given_colour_then_signals():
    sampler = click_sampler.ClickSampler([picture()], size=64)
    batch = CropBatches(sampler).batch(np.random.default_rng(0), 1, plain=True)
    example = sampler.draw(np.random.default_rng(0), plain=True)
    (inputs,) = batch.inputs
    assert inputs.shape == (1, 5, 64, 64)
    assert np.allclose(inputs[0, :3].numpy() * 255, np.moveaxis(example.image, 2, 0), atol=1e-4)
    assert np.array_equal(inputs[0, 3:].numpy(), example.signals)
    assert set(mean_dice(NuClick(NuClickConfig(1 / 16)).eval(), [batch])) >= {0.3, 0.5, 0.8}


def test_blocks_are_what_the_engine_would_show_of_the_same_clicks():
    item = picture(size=420, step=1.0)
    plain = BlockSampler([item], crop=64).draw(np.random.default_rng(0), plain=True)
    assert plain.image.shape == (224, 224, 3)
    assert (plain.corners % 2 == 0).all()
    for corner, distances, target in zip(plain.corners, plain.distances, plain.targets, strict=True):
        assert target.shape == (66, 66)
        assert distances.shape == (2, 33, 33)
        row, column = np.unravel_index(distances[0].argmin(), (33, 33))
        assert distances[0].min() == pytest.approx(np.sqrt(0.5))  # a pixel's middle and the corner of four pixels
        assert (target[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] == sampling.OBJECT).any()
        crop = plain.image[corner[0] :, corner[1] :][:66, :66]
        dark = crop.mean(axis=2) < 128
        assert np.array_equal(dark, target != sampling.BACKGROUND)


def test_turned_blocks_stay_true():
    sampler, rng = BlockSampler([picture(size=420)], crop=64), np.random.default_rng(1)
    for _ in range(24):
        example = sampler.draw(rng)
        for distances, target in zip(example.distances, example.targets, strict=True):
            rows, columns = np.nonzero(distances[0] < 1)
            assert (target[2 * rows, 2 * columns] == sampling.OBJECT).mean() > 0.5 or len(rows) == 1


def test_a_one_look_network_learns_from_its_batches(tmp_path):
    torch.manual_seed(0)
    settings = dataclasses.replace(SHORT, steps=12, batch=1, rate=1e-2)
    batches = BlockBatches(sampling.MixedSampler([BlockSampler([picture(size=420)], crop=64)], [1.0]))
    network = build("glance", {"trunk": [4, 8, 8, 8, 8], "features": 8, "dilations": [1, 2]})
    validation = [batches.batch(np.random.default_rng(1), 1, plain=True)]
    fit(new_run(network, settings), batches, validation, settings, tmp_path)
    losses = [float(line.split(",")[2]) for line in (tmp_path / LOG).read_text().splitlines()[1:]]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_a_run_becomes_a_model_with_a_card(tmp_path, monkeypatch):
    monkeypatch.setitem(SPLITS, "discs", dataclasses.replace(GLAS, validation=("b",), test=("c",)))
    folder_of([picture(name="a"), picture(name="b")], tmp_path / "discs")
    recipe = dataclasses.replace(
        NUCLEI_BY_CROPS, name="tiny", crop=64, sources=(TrainingSource("discs", "CC0", 0.25),), config={"width": 1 / 16}
    )
    run = new_run(NuClick(NuClickConfig(1 / 16)), SHORT)
    note(tmp_path, recipe, SHORT)
    fit(run, recipe.training(tmp_path), recipe.validation(tmp_path, objects=2), SHORT, tmp_path)
    card = finish(recipe, tmp_path, tmp_path, tmp_path / "tiny.safetensors", objects=3)
    assert load_model(tmp_path / "tiny.safetensors").card == card
    best = torch.load(tmp_path / BEST, weights_only=True)
    assert card.settings["steps"] == best["step"] <= run.step
    stored = load_model(tmp_path / "tiny.safetensors").network.state_dict()
    assert torch.allclose(stored["head.bias"], best["averaged"]["head.bias"], atol=1e-3)
    assert card.data[0].licence == "CC0"
