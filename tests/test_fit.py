"""The loop learns from the lessons of either network, logs, stops and goes on as if it had never been stopped."""

import dataclasses

import numpy as np
import pytest
import torch
from made_pictures import folder_of, picture
from nuclick_training import sampling
from nuclick_training.calibrate import finish
from nuclick_training.fit import CHECKPOINT, LOG, FitSettings, Run, fit, mean_dice, new_run
from nuclick_training.lessons import CropLessons, LookLessons
from nuclick_training.looks import LookSampler
from nuclick_training.recipes import NUCLEI_BY_CROPS, Source
from nuclick_training.splits import GLAS, SPLITS

from nuclick_wsi.network import NuClick, NuClickConfig, build
from nuclick_wsi.weights import load_model

SHORT = FitSettings(steps=4, batch=2, rate=5e-3, averaging=0.8)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are slower on many threads, and sums then depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def started(settings: FitSettings) -> Run:
    torch.manual_seed(0)
    return new_run(NuClick(NuClickConfig(1 / 16)), settings)


def test_a_run_that_was_killed_and_resumed_ends_as_one_that_was_not(tmp_path):
    lessons = CropLessons(sampling.ClickSampler([picture()], size=64))
    whole, killed, resumed = started(SHORT), started(SHORT), started(SHORT)
    fit(whole, lessons, [], SHORT, tmp_path)
    killed_after = dataclasses.replace(SHORT, check_minutes=0.0)  # a checkpoint after every step

    class KilledError(Exception):
        pass

    class Mortal:
        drawn = 0

        def batch(self, rng, count, plain=False):
            self.drawn += 1
            if self.drawn > 2:
                raise KilledError
            return lessons.batch(rng, count, plain)

    with pytest.raises(KilledError):
        fit(killed, Mortal(), [], killed_after, tmp_path)
    resumed.load(tmp_path / CHECKPOINT)
    assert resumed.step == 2
    fit(resumed, lessons, [], SHORT, tmp_path)
    assert resumed.step == whole.step == SHORT.steps
    for name, tensor in whole.averaged.network.state_dict().items():
        assert torch.equal(resumed.averaged.network.state_dict()[name], tensor)


def test_the_loop_learns_and_logs(tmp_path):
    settings = dataclasses.replace(SHORT, steps=16, check_minutes=0.0, rate=1e-2)
    lessons = CropLessons(sampling.ClickSampler([picture()], size=64))
    fit(started(settings), lessons, [lessons.batch(np.random.default_rng(1), 1, plain=True)], settings, tmp_path)
    lines = (tmp_path / LOG).read_text().splitlines()
    assert lines[0] == "step,minutes,loss,dice,threshold"
    losses = [float(line.split(",")[2]) for line in lines[1:]]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


def test_the_rate_warms_up_and_ends_at_nothing():
    settings = FitSettings()
    rates = [settings.rate_at(progress) for progress in (0, 0.02, 0.04, 0.5, 1, 1.2)]
    assert rates[0] < rates[1] < rates[2] == settings.rate
    assert rates[3] < settings.rate
    assert rates[4] == rates[5] == 0


def test_the_paper_s_network_is_given_colour_then_signals():
    sampler = sampling.ClickSampler([picture()], size=64)
    batch = CropLessons(sampler).batch(np.random.default_rng(0), 1, plain=True)
    example = sampler.draw(np.random.default_rng(0), plain=True)
    (inputs,) = batch.inputs
    assert inputs.shape == (1, 5, 64, 64)
    assert np.allclose(inputs[0, :3].numpy() * 255, np.moveaxis(example.image, 2, 0), atol=1e-4)
    assert np.array_equal(inputs[0, 3:].numpy(), example.signals)
    assert set(mean_dice(NuClick(NuClickConfig(1 / 16)).eval(), [batch])) >= {0.3, 0.5, 0.8}


def test_looks_are_what_the_engine_would_show_of_the_same_clicks():
    item = picture(size=420, step=1.0)
    plain = LookSampler([item], crop=64).draw(np.random.default_rng(0), plain=True)
    assert plain.image.shape == (256, 256, 3)
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


def test_turned_looks_stay_true():
    sampler, rng = LookSampler([picture(size=420)], crop=64), np.random.default_rng(1)
    for _ in range(24):
        look = sampler.draw(rng)
        for distances, target in zip(look.distances, look.targets, strict=True):
            rows, columns = np.nonzero(distances[0] < 1)
            assert (target[2 * rows, 2 * columns] == sampling.OBJECT).mean() > 0.5 or len(rows) == 1


def test_a_one_look_network_learns_from_its_lessons(tmp_path):
    torch.manual_seed(0)
    settings = dataclasses.replace(SHORT, steps=12, batch=1, check_minutes=0.0, rate=1e-2)
    lessons = LookLessons(sampling.MixedSampler([LookSampler([picture(size=420)], crop=64)], [1.0]))
    network = build("glance", {"trunk": [4, 8, 8, 8, 8], "features": 8, "dilations": [1, 2]})
    validation = [lessons.batch(np.random.default_rng(1), 1, plain=True)]
    fit(new_run(network, settings), lessons, validation, settings, tmp_path)
    losses = [float(line.split(",")[2]) for line in (tmp_path / LOG).read_text().splitlines()[1:]]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_a_run_becomes_a_model_with_a_card(tmp_path, monkeypatch):
    monkeypatch.setitem(SPLITS, "discs", dataclasses.replace(GLAS, validation=("b",), test=("c",)))
    folder_of([picture(name="a"), picture(name="b")], tmp_path / "discs")
    recipe = dataclasses.replace(
        NUCLEI_BY_CROPS, name="tiny", crop=64, sources=(Source("discs", "CC0", 0.25),), config={"width": 1 / 16}
    )
    run = new_run(NuClick(NuClickConfig(1 / 16)), SHORT)
    fit(run, recipe.lessons(tmp_path), recipe.validation(tmp_path, objects=2), SHORT, tmp_path)
    card = finish(recipe, tmp_path, tmp_path, tmp_path / "tiny.safetensors", objects=3)
    assert load_model(tmp_path / "tiny.safetensors").card == card
    assert card.settings["steps"] == run.step
    assert card.data[0].licence == "CC0"
