"""Test-time augmentation from the user's side: what `--tta` changes, what it must not, and that it is told apart."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from projects import Image, write_project
from skimage.data import immunohistochemistry
from test_run import FILES, NUCLEI, clicks, record, results

import nuclick_wsi as nw
from nuclick_wsi.choices import GlandMode
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.models.network import build
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.blocks import BlockPlace
from nuclick_wsi.segmentation.compute import Compute
from nuclick_wsi.segmentation.context_keys import context_keys
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, plan_views
from nuclick_wsi.segmentation.eight_ways import EightWays
from nuclick_wsi.segmentation.marks import packed
from nuclick_wsi.segmentation.segmenter import CropSegmenter, TileImage
from nuclick_wsi.segmentation.tiles import Tile, plan_tiles
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.slide import Frame

HALF_MICRON = nw.PixelSize(0.5, 0.5)


@pytest.fixture(scope="module")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tissue") / "tissue.tif"
    write_pyramid(path, immunohistochemistry()[:256, :384], HALF_MICRON)
    return path


def outlined(slide: Path, prompts: Sequence[nw.Prompt], models: nw.ModelRegistry, **settings: int) -> dict[str, str]:
    with nw.open_slide(slide) as opened:
        outcome = nw.segment(opened, nw.PromptSet(tuple(prompts)), models, HALF_MICRON, nw.Settings(**settings))
    return {one.prompt_id: one.polygon.wkt for one in outcome.instances}


def scattered(count: int) -> list[nw.Prompt]:
    places = np.random.default_rng(5).uniform(0, (384, 256), (count, 2)).tolist()
    return [nw.Prompt(str(n), ObjectKind.NUCLEUS, nw.Click(nw.Point(x, y))) for n, (x, y) in enumerate(places)]


def test_the_mean_of_eight_ways_does_not_hang_on_batches_order_tiles_or_threads(tissue: Path) -> None:
    prompts = scattered(40)
    seen = outlined(tissue, prompts, nw.ModelRegistry(device="cpu", tta=True))
    assert len(seen) > 10
    assert seen != outlined(tissue, prompts, nw.ModelRegistry(device="cpu"))
    other = nw.ModelRegistry(device="cpu", tta=True, batch_size=3, threads=1)
    assert outlined(tissue, prompts[::-1], other, tile_size=200, workers=0) == seen


def test_a_run_with_it_is_told_apart_from_one_without_and_is_recalled_as_itself(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", Image("a.svs", [clicks(*NUCLEI)]))
    plain = RunRequest(project, device="cpu", project_access=FILES)
    found = []
    for asked, recalled in ((plain, 0), (replace(plain, tta=True), 0), (replace(plain, tta=True), len(NUCLEI))):
        assert run_target(asked) == 0
        run = record(project)
        assert run["settings"]["tta"] is asked.tta
        assert run["images"][0]["recalled"] == recalled
        found.append(results(project))
        shutil.rmtree(project.parent / "nuclick" / "runs")
    assert found[0] != found[1] == found[2]


def test_results_of_eight_ways_are_not_taken_for_those_of_one() -> None:
    plain, tta, both = (
        context_keys(nw.ModelRegistry(device="cpu", **options), [ObjectKind.NUCLEUS], "slide", "reader", Frame.FULL)
        for options in ({}, {"tta": True}, {"tta": True, "precision": "half"})
    )
    assert len({plain[ObjectKind.NUCLEUS], tta[ObjectKind.NUCLEUS], both[ObjectKind.NUCLEUS]}) == 3


def test_turned_marks_are_the_pixels_of_the_turned_maps() -> None:
    class Reads:
        """Notes for each way whether marks and maps say the same."""

        card = nw.ModelRegistry(device="cpu").card(ObjectKind.NUCLEUS)

        def __init__(self):
            self.same = []

        def around(self, view):
            return view.window

        def predict(self, tiles, field):
            for tile in tiles:
                views = tile.tile.views
                drawn = np.stack([field.signals(view) for view in views])
                assert drawn.any(axis=(2, 3)).all()
                bits = np.packbits(drawn.reshape(len(views), -1).astype(bool), axis=1)
                self.same.append(np.array_equal(packed(field.marks(views), len(views), views[0].window.width), bits))
                yield from ((view, drawn[n, 0]) for n, view in enumerate(views))

    places = [[(30, 31)], [(35.5, 20), (50, 28)], [(12, 40)]]
    signals = [
        nw.Click(nw.Point(*one[0])) if len(one) == 1 else nw.Squiggle((tuple(nw.Point(*p) for p in one),))
        for one in places
    ]
    field = SignalField([nw.Prompt(str(n), ObjectKind.NUCLEUS, signal) for n, signal in enumerate(signals)])
    grid = Grid(1.0, 1.0)
    views = tuple(plan_views(field, grid, CropSpec(64, 0.25), GlandMode.CROP))
    tile = TileImage(Tile(grid, Window(-50, -50, 150, 150), views), np.zeros((150, 150, 3), np.uint8))
    reads = Reads()
    found = dict(EightWays(reads).predict([tile], field))
    assert all(reads.same)
    assert len(reads.same) == 8 * len(views)
    for view in views:  # each way's own inclusion map, turned back
        assert np.array_equal(found[view], field.signals(view)[0])


def test_a_network_that_turns_its_crops_is_flipped_only() -> None:
    torch.manual_seed(0)
    once, often = (build("squiggle", {"turns": count}) for count in (1, 4))
    often.load_state_dict(once.state_dict())
    card = nw.ModelRegistry(device="cpu").card(ObjectKind.GLAND)
    line = nw.Squiggle(((nw.Point(60, 60), nw.Point(100, 90)),))
    field = SignalField([nw.Prompt("0", ObjectKind.GLAND, line)])
    grid = Grid(1.0, 2.0)
    views = tuple(plan_views(field, grid, CropSpec(card.crop_size, card.mpp), GlandMode.CROP))
    window = views[0].window
    image = np.random.default_rng(0).integers(0, 255, (*window.shape, 3), dtype=np.uint8)
    said, seen = [], []
    for network, turns in ((once, 1), (often, 4)):
        model = Model(replace(card, config={**card.config, "turns": turns}), network.eval(), "", Path("m"))
        segmenter = CropSegmenter(model, Compute(torch.device("cpu")))
        (own,) = segmenter._networks.values()
        crops: list[int] = []
        own.register_forward_pre_hook(lambda _, inputs, crops=crops: crops.append(len(inputs[0])))
        ((_, probabilities),) = EightWays(segmenter).predict([TileImage(Tile(grid, window, views), image)], field)
        said.append(probabilities)
        seen.append(sum(crops))
    assert seen == [8, 2]
    # The network takes the mean of its turns before they are probabilities.
    np.testing.assert_allclose(said[0], said[1], atol=1e-3)
    assert np.ptp(said[0]) > 0.02


def test_what_is_done_is_known_after_a_few_prompts_of_a_large_tile() -> None:
    class Counts:
        """Counts the views that it has answered."""

        card = nw.ModelRegistry(device="cpu").card(ObjectKind.NUCLEUS)

        def __init__(self):
            self.seen = 0

        def around(self, view):
            return BlockPlace.of(view.window).block

        def predict(self, tiles, field):
            for tile in tiles:
                for view in tile.tile.views:
                    assert tile.tile.window.contains(self.around(view))
                    self.seen += 1
                    yield view, field.signals(view)[0]

    prompts = [nw.Prompt(str(n), ObjectKind.NUCLEUS, nw.Click(nw.Point(n % 40, n // 40))) for n in range(1000)]
    counts, grid = Counts(), Grid(1.0, 0.25)
    views = plan_views(SignalField(prompts), grid, CropSpec(96, 0.25), GlandMode.CROP)
    (tile,) = plan_tiles(views, 1024, EightWays(counts).around)
    image = np.zeros((*tile.window.shape, 3), np.uint8)
    found = EightWays(counts).predict([TileImage(tile, image)], SignalField(prompts))
    next(found)
    assert counts.seen <= 8 * 32
    assert 1 + sum(1 for _ in found) == len(prompts)
