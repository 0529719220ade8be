"""Evaluation runs the engine on simulated users, varies what it is told to, and says how sure its scores are."""

import csv
import dataclasses
import io
import json
import math
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from dark_segmenter import DarkSegmenter
from dark_segmenter import card as dark_card
from in_the_way import contents
from made_pictures import folder_of, picture
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import nuclick_wsi as nw
from nuclick_training import curves, scorecard
from nuclick_training.datasets.data import DataError
from nuclick_training.datasets.splits import GLAS, SPLITS
from nuclick_training.evaluation.ablations import NeighboursStay, WithoutNeighbours
from nuclick_training.evaluation.evaluate import Evaluation, evaluate, picture_of
from nuclick_training.evaluation.evaluation_report import save_findings
from nuclick_training.evaluation.gallery import worst_first
from nuclick_training.evaluation.intervals import mean_differences, mean_estimates, pooled_estimates
from nuclick_training.evaluation.metrics import Tally
from nuclick_training.evaluation.plots import PlotError, new_figure
from nuclick_training.evaluation.results import Findings, labels_of
from nuclick_training.evaluation.tables import notes, print_findings
from nuclick_training.fitting.pixel_sizes import parse_mpp, pixel_size_of
from nuclick_training.sampling.simulate import jittered, on_own_object, parse_jitter, simulated_prompts
from nuclick_training.scorecard import score_model
from nuclick_wsi.choices import ClickAt
from nuclick_wsi.cli.app import app
from nuclick_wsi.errors import FileChangedError, SettingsError
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import Instance
from nuclick_wsi.models.card import DataSource, ModelCard, Score
from nuclick_wsi.models.network import NuClick, NuClickConfig
from nuclick_wsi.models.weights import Model, load_model, save_model
from nuclick_wsi.prompts import ObjectKind, Plane, Prompt
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.blocks import BlockPlace
from nuclick_wsi.segmentation.compute import Compute
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, plan_views
from nuclick_wsi.segmentation.eight_ways import EightWays
from nuclick_wsi.segmentation.segmenter import CropSegmenter, FixedSegmenters, TileImage
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.segmentation.tiles import plan_tiles

pytestmark = pytest.mark.usefixtures("one_thread")


def tiny_card(kind: ObjectKind = ObjectKind.NUCLEUS, data: str = "discs", mpp: float = 0.25) -> ModelCard:
    return dataclasses.replace(
        dark_card(kind, 64, mpp),
        architecture="nuclick",
        config={"width": 1 / 16},
        data=(DataSource(data, "CC0"),),
        created=date(2026, 1, 1),
    )


@pytest.fixture
def network() -> NuClick:
    torch.manual_seed(3)
    return NuClick(NuClickConfig(1 / 16)).eval()


@pytest.fixture
def model(tmp_path: Path, network: NuClick) -> Path:
    save_model(tmp_path / "m.safetensors", network, tiny_card())
    return tmp_path / "m.safetensors"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder_of([picture(name="a", size=72), picture(name="b", size=72, radius=7)], tmp_path / "data")
    return tmp_path / "data"


class Log:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.done = self.ended = 0

    def image_started(self, name: str, prompts: int) -> None:
        self.started.append((name, prompts))

    def prompts_done(self, count: int) -> None:
        self.done += count

    def image_ended(self, report: object) -> None:
        self.ended += 1


# ------------------------------------------------------------------------------------------- simulated users


def test_simulated_clicks_lie_in_their_objects_and_do_not_change():
    labels = picture().labels
    for click_at in ClickAt:
        prompts = simulated_prompts(labels, ObjectKind.NUCLEUS, click_at)
        assert prompts == simulated_prompts(labels, ObjectKind.NUCLEUS, click_at)
        assert len(prompts) == labels.max()
        assert all(on_own_object(prompt, labels) for prompt in prompts)


def place(prompt: Prompt) -> np.ndarray:
    ((point,),) = prompt.signal.strokes
    return np.array([point.x, point.y])


def test_jitter_moves_every_click_by_exactly_so_many_pixels_and_never_off_the_picture():
    labels = picture().labels
    prompts = simulated_prompts(labels, ObjectKind.NUCLEUS, ClickAt.CENTROID)
    near, far = (jittered(prompts, distance, Size(160, 160)) for distance in (1, 30))
    for start, one, thirty in zip(prompts, near, far, strict=True):
        assert start.id == one.id == thirty.id
        assert np.linalg.norm(place(one) - place(start)) == pytest.approx(1)
        assert np.linalg.norm(place(thirty) - place(start)) == pytest.approx(30)
        assert ((place(thirty) >= 0) & (place(thirty) < 160)).all()
    inner = [i for i, p in enumerate(prompts) if ((place(p) > 31) & (place(p) < 129)).all()]
    assert all(np.allclose(place(far[i]) - place(prompts[i]), 30 * (place(near[i]) - place(prompts[i]))) for i in inner)
    angles = [math.atan2(*(place(near[i]) - place(prompts[i]))) for i in inner]
    assert np.ptp(angles) > math.pi  # all ways, not one
    assert not all(on_own_object(prompt, labels) for prompt in far)


def test_outlines_are_drawn_by_pixel_centres_with_their_holes():
    ring = shapely.box(2, 3, 9, 8).difference(shapely.box(4, 5, 6, 7))
    labels = labels_of([Instance("5", ObjectKind.NUCLEUS, ring, None, Plane(), 1.0, 1.0)], (12, 12))
    expected = np.zeros((12, 12), int)
    expected[3:8, 2:9] = 5
    expected[5:7, 4:6] = 0
    assert np.array_equal(labels, expected)


# --------------------------------------------------------------------------------------- the engine, as asked


@pytest.mark.parametrize("kind", [ObjectKind.NUCLEUS, ObjectKind.GLAND])
def test_evaluation_runs_the_engine_and_scores_every_image(tmp_path, network, data, kind):
    save_model(tmp_path / "k.safetensors", network, tiny_card(kind))
    log = Log()
    findings = evaluate(Evaluation(tmp_path / "k.safetensors", data, mpp=0.25), log)
    (trial,) = findings.trials
    assert [image.name for image in trial.images] == ["a", "b"]
    assert log.started == [("a", 5), ("b", len(trial.images[1].objects))]
    assert log.done == len(trial.objects)
    assert log.ended == 2
    assert findings.sha256 == load_model(tmp_path / "k.safetensors").sha256
    for name, estimate in mean_estimates(trial.tallies).items():
        assert estimate.value >= 0
        assert name == "Hausdorff" or estimate.value <= 1


def test_an_object_s_dice_and_area_are_those_of_its_own_outline(model, data):
    (trial,) = evaluate(Evaluation(model, data, mpp=0.5, threshold=0.2)).trials
    image = trial.images[0]
    labels = np.asarray(Image.open(data / "labels" / "a.png"))
    assert any(isinstance(found.outcome, Instance) for found in image.objects)
    # Drawn together: where pixels are halved, an edge may pass through a pixel's middle, and the first outline has it.
    drawn = labels_of([found.outcome for found in image.objects if isinstance(found.outcome, Instance)], labels.shape)
    for found in image.objects:
        true, own = labels == int(found.prompt.id), drawn == int(found.prompt.id)
        assert found.area_um2 == pytest.approx(true.sum() * 0.25)
        assert found.dice == pytest.approx(2 * (own & true).sum() / (own.sum() + true.sum()))
    assert image.outlines == sum(isinstance(found.outcome, Instance) for found in image.objects)


def test_jitter_adds_a_trial_of_moved_clicks_for_every_distance(model, data):
    findings = evaluate(Evaluation(model, data, mpp=0.25, jitter=(1.0, 12.0)))
    assert [trial.jitter for trial in findings.trials] == [0, 1, 12]
    misplaced = [sum(image.misplaced for image in trial.images) for trial in findings.trials]
    assert misplaced[0] == misplaced[1] == 0
    assert misplaced[2] == len(findings.trials[0].objects)  # discs have radius 9 and 7
    assert findings.trials[0].images == evaluate(Evaluation(model, data, mpp=0.25)).trials[0].images
    still_on = [found for found in findings.trials[1].objects if not found.misplaced]
    after, before = findings.trials[1].dice_where_on(findings.trials[0])
    assert after == pytest.approx(np.mean([found.dice for found in still_on]))
    assert before == pytest.approx(np.mean([found.dice for found in findings.trials[0].objects]))
    assert all(map(math.isnan, findings.trials[2].dice_where_on(findings.trials[0])))


def test_evaluation_refuses_what_it_cannot_know_or_do(tmp_path, network, model, data):
    with pytest.raises(SettingsError, match="--mpp auto"):
        evaluate(Evaluation("nuclei", data))
    with pytest.raises(SettingsError, match="No split is known for data"):
        evaluate(Evaluation("nuclei", data, mpp=0.25, split="test"))
    with pytest.raises(SettingsError, match="is for a nucleus, not for a cell"):
        evaluate(Evaluation(model, data, mpp=0.25, kind=ObjectKind.CELL))
    with pytest.raises(SettingsError, match="takes squiggles"):
        evaluate(Evaluation("glands", data, mpp=0.25, jitter=(1.0,)))
    save_model(tmp_path / "cells.safetensors", network, tiny_card(ObjectKind.CELL, mpp=0.07))
    for text in ("0", "-1", "wide", "nan", "1000"):
        with pytest.raises(SettingsError, match="--mpp is the width"):
            parse_mpp(text)
    for text in ("0", "1,,3", "3,-1", "far", "nan", "inf"):
        with pytest.raises(SettingsError, match="--jitter takes distances"):
            parse_jitter(text)
    assert (parse_mpp(None), parse_mpp("auto"), parse_mpp("0.5")) == (None, "auto", 0.5)
    assert (parse_jitter(None), parse_jitter("1,3, 50")) == ((), (1, 3, 50))


def test_a_picture_of_unknown_pixel_size_is_scaled_by_its_objects():
    labels = picture(radius=12).labels
    size = pixel_size_of(labels, "auto", tiny_card())
    median = np.median(np.bincount(labels.ravel())[1:])
    assert math.sqrt(median) * size.mean == pytest.approx(19.7 * 0.25)
    assert pixel_size_of(labels, 0.3, tiny_card()).mean == 0.3


def test_an_image_without_objects_is_perfect_and_breaks_nothing(tmp_path, model):
    bare = dataclasses.replace(picture(name="bare", size=72), labels=np.zeros((72, 72), np.int32))
    folder_of([bare], tmp_path / "bare")
    asked = Evaluation(model, tmp_path / "bare", mpp="auto")
    findings = evaluate(asked)
    assert float(findings.trials[0].images[0].tally.scores["AJI"]) == 1
    save_findings(tmp_path / "out", findings, asked, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scores.csv", "scores.json"}
    print_findings(findings, asked, Console(file=io.StringIO()))


def test_what_a_model_knew_of_the_images_is_said(tmp_path, network, monkeypatch):
    monkeypatch.setitem(SPLITS, "discs", dataclasses.replace(GLAS, validation=("b",), test=("c",)))
    folder_of([picture(name=name, size=72) for name in "abc"], tmp_path / "discs")
    folder_of([picture(name="a", size=72)], tmp_path / "elsewhere")

    def said(folder: str, split: str, card: ModelCard) -> str:
        (tmp_path / "m.safetensors").unlink(missing_ok=True)
        save_model(tmp_path / "m.safetensors", network, card)
        return evaluate(Evaluation(tmp_path / "m.safetensors", tmp_path / folder, 0.25, split)).training_overlap

    assert "another domain" in said("elsewhere", "all", tiny_card())
    assert "1 of these 3 images trained" in said("discs", "all", tiny_card())
    assert "1 of these 1 images chose settings" in said("discs", "validation", tiny_card())
    assert "None of these 1 images trained" in said("discs", "test", tiny_card())
    assert "elsewhere is in the training data" in said("elsewhere", "all", tiny_card(data="elsewhere"))
    assert "does not say" in said("discs", "all", dataclasses.replace(tiny_card(), data=()))


# ---------------------------------------------------------------------------------------- other ways of seeing


def predicted(segmenter, image: np.ndarray, prompts: list[Prompt]) -> dict[str, np.ndarray]:
    """What a segmenter says of every prompt on a picture at its own pixel size."""
    field, grid = SignalField(prompts), Grid(1.0, 1.0)
    views = plan_views(field, grid, CropSpec(64, 0.25), nw.GlandMode.CROP)
    tiles = []
    for tile in plan_tiles(views, 100, segmenter.around):
        window, padded = tile.window, np.pad(image, ((400, 400), (400, 400), (0, 0)), constant_values=255)
        rows, columns = slice(window.y + 400, window.bottom + 400), slice(window.x + 400, window.right + 400)
        tiles.append(TileImage(tile, padded[rows, columns]))
    assert len(tiles) > 1
    return {field.prompts[view.prompt].id: drawn for view, drawn in segmenter.predict(tiles, field)}


def tissue() -> tuple[np.ndarray, list[Prompt]]:
    item = picture()
    noise = np.random.default_rng(0).integers(-20, 20, item.image.shape)
    return (item.image + noise).clip(0, 255).astype(np.uint8), simulated_prompts(
        item.labels, ObjectKind.NUCLEUS, ClickAt.INNER
    )


def test_eight_ways_is_the_mean_of_the_network_over_all_turned_and_flipped_inputs(network):
    image, prompts = tissue()
    batches: list[torch.Tensor] = []
    held = CropSegmenter(Model(tiny_card(), network, "", Path("m")), Compute(torch.device("cpu")))
    (own,) = held._networks.values()
    straight = torch.nn.Module.register_forward_pre_hook(own, lambda _, inputs: batches.append(inputs[0].clone()))
    predicted(held, image, prompts)
    straight.remove()
    inputs = torch.cat(batches)
    mean = torch.zeros(len(inputs), 64, 64)
    with torch.inference_mode():
        for flip in (False, True):
            for quarters in range(4):
                turned = torch.rot90(inputs.flip(3) if flip else inputs, quarters, (2, 3))
                drawn = torch.rot90(torch.sigmoid(own(turned))[:, 0], -quarters, (1, 2))
                mean += (drawn.flip(2) if flip else drawn) / 8
    seen = predicted(EightWays(held), image, prompts)
    assert len(seen) == len(prompts)
    assert np.allclose(np.stack(list(seen.values())), mean.numpy(), atol=1e-5)
    assert not np.allclose(mean.numpy(), np.stack(list(predicted(held, image, prompts).values())), atol=1e-3)


class BlockSegmenter(DarkSegmenter):
    """Needs the block of a shared encoder, and says where the prompt is: by `signals`, by `pixels`, in the picture."""

    def around(self, view):
        return BlockPlace.of(view.window).block

    def predict(self, tiles, field):
        for tile in tiles:
            for view in reversed(tile.tile.views):
                assert tile.tile.window.contains(self.around(view))
                drawn = field.signals(view)[0].copy()
                for row, column in field.pixels(view.prompt, view.grid) - (view.window.y, view.window.x):
                    drawn[row, column] += 2
                drawn[(tile.image[view.window.slices_in(tile.tile.window)] == 0).all(axis=2)] += 4
                yield view, drawn


def test_eight_ways_shows_any_segmenter_all_that_it_needs_and_turns_signals_with_it():
    # Clicks in the first and last pixels of the lattice of blocks, on black pixels; a turn puts them into other blocks.
    image = np.full((300, 300, 3), 255, np.uint8)
    places = [(256, 256), (255, 256), (0, 0), (40, 255), (256, 130)]
    prompts = [Prompt(str(n), ObjectKind.NUCLEUS, nw.Click(nw.Point(x, y))) for n, (x, y) in enumerate(places)]
    for x, y in places:
        image[y, x] = 0
    held = BlockSegmenter(tiny_card())
    straight = predicted(held, image, prompts)
    around = (EightWays(held), EightWays(WithoutNeighbours(held)), WithoutNeighbours(EightWays(held)))
    for wrapped in (*around, NeighboursStay(EightWays(held), prompts)):
        seen = predicted(wrapped, image, prompts)
        for prompt in prompts:
            assert np.array_equal(seen[prompt.id], straight[prompt.id])
            assert straight[prompt.id].max() == seen[prompt.id][32, 32] == 7


def test_without_neighbours_every_prompt_is_seen_as_if_it_were_alone(network):
    image, prompts = tissue()
    held = CropSegmenter(Model(tiny_card(), network, "", Path("m")), Compute(torch.device("cpu")))
    together = predicted(held, image, prompts)
    seen = predicted(WithoutNeighbours(held), image, prompts)
    alone = {prompt.id: predicted_alone(held, image, prompt) for prompt in prompts[:5]}
    for key, drawn in alone.items():
        assert np.allclose(seen[key], drawn, atol=1e-5)
    assert any(not np.allclose(seen[key], together[key], atol=1e-4) for key in seen)


class SignalSegmenter(DarkSegmenter):
    """Says where the signals are: 1 for a prompt's own, 0.5 for the others'."""

    def predict(self, tiles, field):
        for tile in tiles:
            for view in tile.tile.views:
                yield view, (field.signals(view) * [[[1.0]], [[0.5]]]).sum(axis=0)


def test_moved_prompts_see_the_others_where_they_were():
    image = np.full((200, 200, 3), 255, np.uint8)
    before = [Prompt(str(n), ObjectKind.NUCLEUS, nw.Click(nw.Point(x + 0.5, 100.5))) for n, x in enumerate((90, 110))]
    clicks = nw.Click(nw.Point(95, 100.5)), nw.Click(nw.Point(110.5, 100.5))
    moved = [dataclasses.replace(prompt, signal=click) for prompt, click in zip(before, clicks, strict=True)]
    seen = predicted(NeighboursStay(SignalSegmenter(tiny_card()), before), image, moved)
    assert np.argwhere(seen["0"]).tolist() == [[32, 32], [32, 47]]
    assert (seen["0"][32, 32], seen["0"][32, 47]) == (1, 0.5)
    assert np.argwhere(seen["1"]).tolist() == [[32, 12], [32, 32]]


def predicted_alone(segmenter, image: np.ndarray, prompt: Prompt) -> np.ndarray:
    far = [
        dataclasses.replace(prompt, id=f"far{n}", signal=nw.Click(nw.Point(x, 500))) for n, x in enumerate((500, 900))
    ]
    padded = np.pad(image, ((0, 900), (0, 900), (0, 0)), constant_values=255)
    return predicted(segmenter, padded, [prompt, *far])[prompt.id]


def test_variants_change_what_the_engine_finds_and_still_account_for_every_prompt(model, data):
    plain = evaluate(Evaluation(model, data, mpp=0.25, threshold=0.2))
    for changes in ({"exclusion": False}, {"tta": True}):
        asked = Evaluation(model, data, mpp=0.25, threshold=0.2, **changes)
        other = evaluate(asked)
        assert len(other.trials[0].objects) == len(plain.trials[0].objects)
        assert [f.outcome for f in other.trials[0].objects] != [f.outcome for f in plain.trials[0].objects]
        assert len(list(notes(other, asked))) == 2


def test_a_registered_evaluation_measures_by_maps_that_lie_on_their_images(tmp_path):
    item = picture(size=144, name="one")
    aside = dataclasses.replace(item, labels=np.roll(item.labels, (1, -2), (0, 1)))
    folder_of([aside], tmp_path / "aside")
    asked = Evaluation("nuclei", tmp_path / "aside", mpp=0.25, registered=True)
    labels = picture_of(asked, "one").labels
    assert (labels != item.labels).mean() < 0.01
    as_it_is, moved = evaluate(dataclasses.replace(asked, registered=False)), evaluate(asked)
    assert moved.trials[0].tallies[0].scores["AJI"] > as_it_is.trials[0].tallies[0].scores["AJI"] + 0.1
    assert len(list(notes(moved, asked))) == 2


def test_the_engine_takes_a_variant_of_any_segmenter(make_slide):
    item = picture(size=300)
    prompts = simulated_prompts(item.labels, ObjectKind.NUCLEUS, ClickAt.CENTROID)
    dark = DarkSegmenter(dark_card(ObjectKind.NUCLEUS, 64, 0.25))
    with nw.open_slide(make_slide(item.image)) as slide:
        outlined = [
            nw.segment(
                slide,
                nw.PromptSet(tuple(prompts)),
                FixedSegmenters({ObjectKind.NUCLEUS: one}),
                slide.info.pixel_size,
                Settings(tile_size=90),
            )
            for one in (dark, EightWays(dark), WithoutNeighbours(dark))
        ]
    assert len(outlined[0].instances) > 50
    for other in outlined[1:]:
        assert [one.polygon.wkt for one in other.instances] == [one.polygon.wkt for one in outlined[0].instances]


# ------------------------------------------------------------------------------------------ how sure it is


def tally_of(share: float, objects: int = 10) -> Tally:
    """An image of squares of 10 x 10, of each of which a share of the columns is found."""
    true = np.kron(np.arange(1, objects + 1).reshape(1, -1), np.ones((10, 10), int))
    predicted = true.copy()
    predicted[:, np.arange(10 * objects) % 10 >= 10 * share] = 0
    return Tally.of(true, predicted)


def test_intervals_hold_the_mean_narrow_with_more_images_and_do_not_change():
    few = [tally_of(share) for share in (0.5, 0.7, 0.9)]
    small, large = mean_estimates(few)["AJI"], mean_estimates(few * 10)["AJI"]
    assert [small.value, large.value] == pytest.approx([0.7, 0.7])
    assert 0.5 <= small.interval[0] < large.interval[0] < 0.7 < large.interval[1] < small.interval[1] <= 0.9
    assert mean_estimates(few)["AJI"] == small
    # 30 images: the mean's standard error is .163 / sqrt(30), an interval about 1.96 of it each way.
    assert np.ptp(large.interval) == pytest.approx(2 * 1.96 * np.std([0.5, 0.7, 0.9]) / 30**0.5, rel=0.1)


def test_pooled_scores_weigh_objects_and_means_weigh_images():
    tallies = [tally_of(0.5, objects=30), tally_of(0.9, objects=10)]
    assert mean_estimates(tallies)["AJI"].value == pytest.approx(0.7)
    assert pooled_estimates(tallies)["AJI"].value == pytest.approx((0.5 * 30 + 0.9 * 10) / 40)
    low, high = pooled_estimates(tallies)["AJI"].interval
    assert (low, high) == pytest.approx((0.5, 0.9))  # either image twice, one time in four each


def test_one_image_has_no_interval():
    for estimates in (mean_estimates([tally_of(0.5)]), pooled_estimates([tally_of(0.5)])):
        assert all(estimate.interval is None for estimate in estimates.values())


def test_differences_pair_the_same_images():
    before, after = [tally_of(share) for share in (0.5, 0.9)], [tally_of(share) for share in (0.4, 0.8)]
    difference = mean_differences(after, before)["AJI"]
    assert difference.value == pytest.approx(-0.1)
    assert difference.interval == pytest.approx((-0.1, -0.1))  # though the images differ by more


# -------------------------------------------------------------------------------------- tables, files, figures


@pytest.fixture
def found(model: Path, data: Path) -> tuple[Findings, Evaluation]:
    asked = Evaluation(model, data, mpp="auto", jitter=(3.0,), threshold=0.2)
    return evaluate(asked), asked


def test_saved_scores_are_those_of_every_image_and_of_all(tmp_path, found):
    findings, asked = found
    save_findings(tmp_path / "out", findings, asked, "nuclick-wsi evaluate x")
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").open()))
    assert [(row["jitter_px"], row["image"]) for row in rows] == [("0", "a"), ("0", "b"), ("3", "a"), ("3", "b")]
    assert float(rows[1]["AJI"]) == pytest.approx(float(findings.trials[0].images[1].tally.scores["AJI"]), abs=1e-6)
    record = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert record["command"] == "nuclick-wsi evaluate x"
    assert record["model"]["sha256"] == findings.sha256
    assert record["settings"]["threshold"] == 0.2
    assert record["settings"]["um_per_px"] == "auto"
    mean = record["trials"][0]["mean_of_images"]["AJI"]
    assert mean["value"] == pytest.approx(np.mean([float(row["AJI"]) for row in rows[:2]]), abs=1e-5)
    assert mean["interval"][0] <= mean["value"] <= mean["interval"][1]
    assert "against_0" in record["trials"][1]
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    save_findings(tmp_path / "out", evaluate(asked), asked, "nuclick-wsi evaluate x")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_scores_of_another_model_or_changed_since_are_not_replaced(tmp_path, found, network):
    findings, asked = found
    out = tmp_path / "out"
    save_findings(out, findings, asked, "")
    (out / "notes.txt").write_text("the user's")
    before = contents(out)
    save_model(tmp_path / "other.safetensors", network, tiny_card())
    with pytest.raises(SettingsError, match="Name a new folder"):
        save_findings(out, findings, dataclasses.replace(asked, model=tmp_path / "other.safetensors"), "")
    assert contents(out) == before
    (out / "scores.csv").write_bytes(before["scores.csv"] + b"mean,of,mine\n")
    with pytest.raises(SettingsError, match=r"scores\.csv is there already"):
        save_findings(out, findings, asked, "")
    (out / "scores.csv").write_bytes(before["scores.csv"])
    save_findings(out, dataclasses.replace(findings, trials=findings.trials[:1]), asked, "")
    assert before.keys() - contents(out).keys() == {
        "aji_against_jitter.png"
    }  # nothing of it is left to be taken as new


def test_figures_are_pictures_that_show_something(tmp_path, found):
    findings, asked = found
    save_findings(tmp_path / "out", findings, asked, "")
    for name in ("dice_against_size", "worst", "aji_against_jitter"):
        shown = np.asarray(Image.open(tmp_path / "out" / f"{name}.png").convert("RGB"))
        assert min(shown.shape[:2]) > 400
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 20
    # The tissue's own colour is in the gallery: the crops are there.
    gallery = np.asarray(Image.open(tmp_path / "out" / "worst.png").convert("RGB")).reshape(-1, 3)
    assert (gallery == (230, 200, 215)).all(axis=1).mean() > 0.1


def test_the_worst_come_first_and_of_equals_the_largest(found):
    objects = [
        dataclasses.replace(found[0].trials[0].objects[0], dice=dice, area_um2=area)
        for dice, area in ((0.5, 9.0), (0.0, 1.0), (0.0, 7.0))
    ]
    assert [(one.dice, one.area_um2) for one in worst_first(objects)] == [(0.0, 7.0), (0.0, 1.0), (0.5, 9.0)]


def test_tables_show_images_intervals_pool_and_jitter(found):
    console = Console(width=160, file=io.StringIO())
    print_findings(*found, console)
    shown = console.file.getvalue()
    for part in (
        "another domain",
        "scaled by its own objects",
        "mean of 2",
        "95 %: from",
        "all objects pooled",
        "3 px",
    ):
        assert part in shown


def test_without_matplotlib_figures_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlotError, match="pip install matplotlib"):
        new_figure(1, 1)


def test_without_matplotlib_scores_are_saved_and_the_missing_figures_told(tmp_path, found, monkeypatch):
    findings, asked = found
    save_findings(tmp_path / "with", findings, asked, "")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (told,) = save_findings(tmp_path / "without", findings, asked, "")
    assert "pip install matplotlib" in told
    assert sorted(path.name for path in (tmp_path / "without").iterdir()) == ["scores.csv", "scores.json"]
    assert (tmp_path / "without" / "scores.csv").read_bytes() == (tmp_path / "with" / "scores.csv").read_bytes()
    save_findings(tmp_path / "with", findings, asked, "")
    assert sorted(path.name for path in (tmp_path / "with").iterdir()) == ["scores.csv", "scores.json"]
    monkeypatch.undo()
    assert not save_findings(tmp_path / "with", findings, asked, "")


def test_the_command_evaluates_prints_and_saves(tmp_path, model, data, monkeypatch):
    words = ["evaluate", str(model), str(data), "--mpp", "0.25", "--tta", "--no-exclusion", "--device", "cpu"]
    words += ["--batch-size", "2", "--save", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["nuclick-wsi", *words])
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "mean of 2" in done.output
    record = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert record["settings"]["exclusion_maps"] is False
    assert record["settings"]["eight_turns_and_flips"] is True
    assert record["command"] == " ".join(["nuclick-wsi", *words])


# ----------------------------------------------------------------------------------- cards, learning curves


def test_a_scorecard_adds_test_scores_to_the_card_and_leaves_the_weights(tmp_path, network, monkeypatch):
    monkeypatch.setitem(SPLITS, "discs", dataclasses.replace(GLAS, validation=("b",), test=("c",)))
    folder_of([picture(name="a", size=72), picture(name="c", size=72)], tmp_path / "discs")
    monkeypatch.setattr("nuclick_training.fitting.pixel_sizes.known_pixel_size", lambda folder: 0.25)
    save_model(tmp_path / "m.safetensors", network, tiny_card(), half=True)
    before = load_model(tmp_path / "m.safetensors").network.state_dict()
    for _ in range(2):
        card = score_model(tmp_path / "m.safetensors", tmp_path, Console(quiet=True))
    assert [score.metric for score in card.scores][:2] == ["AJI", "Dice"]
    assert len(card.scores) == 9
    assert {score.data for score in card.scores} == {"discs test, 1 images"}
    (tmp_path / "discs").rename(tmp_path / "others")
    monkeypatch.setitem(SPLITS, "others", SPLITS["discs"])
    (tmp_path / "m.safetensors").unlink()
    save_model(tmp_path / "m.safetensors", network, dataclasses.replace(tiny_card(), data=()), half=True)
    told = ["--data", str(tmp_path), "--on", "others", "--choice", "better than none"]
    scorecard.main([str(tmp_path / "m.safetensors"), *told])
    after = load_model(tmp_path / "m.safetensors")
    assert after.card.choice == "better than none"
    assert {score.data for score in after.card.scores} == {"others test, 1 images"}
    assert [score.value for score in after.card.scores] == [score.value for score in card.scores]
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.network.state_dict().items())


def test_a_model_that_was_replaced_while_it_was_measured_is_left_alone(tmp_path, network, monkeypatch):
    path = tmp_path / "m.safetensors"
    save_model(path, network, dataclasses.replace(tiny_card(), data=()))

    def measured(*_: object) -> list[Score]:
        path.write_bytes(b"a newer model")
        return []

    monkeypatch.setattr(scorecard, "_test_scores", measured)
    with pytest.raises(FileChangedError):
        score_model(path, tmp_path, Console(quiet=True), ["discs"])
    assert path.read_bytes() == b"a newer model"


def test_learning_curves_are_drawn_from_a_run_s_log(tmp_path, capsys):
    (tmp_path / "log.csv").write_text("step,minutes,loss,dice,threshold\n10,1.0,0.9,0.4,0.5\n20,2.0,0.5,0.7,0.5\n")
    curves.main([str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").width > 600
    curves.main([str(tmp_path), "--save", str(tmp_path / "other.png")])
    assert (tmp_path / "curves.png").read_bytes().startswith((tmp_path / "other.png").read_bytes())


@pytest.mark.parametrize("text", ["", "step,minutes,loss,dice\n", "a,b\n1,2\n", "step,minutes,loss,dice\n1,x,2,3\n"])
def test_what_is_no_log_is_named(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=r"log\.csv"):
        curves.read_log(tmp_path / "log.csv")
    with pytest.raises(DataError, match="cannot be read"):
        curves.read_log(tmp_path / "none" / "log.csv")
