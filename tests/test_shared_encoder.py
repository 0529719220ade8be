"""A shared encoder gives every view the same probabilities whatever it comes with, as its plain definition does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from dark_segmenter import card
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import immunohistochemistry
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nuclick_wsi.choices import GlandMode, Precision
from nuclick_wsi.geometry import Point
from nuclick_wsi.models.devices import choose_devices
from nuclick_wsi.models.network import Glance, build, fused
from nuclick_wsi.models.network.efficientnet import SameConvNorm
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import Click, ObjectKind, Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation import shared_encoder
from nuclick_wsi.segmentation.blocks import PITCH, BlockPlace, distance_maps, distances_in, distances_to, stacked
from nuclick_wsi.segmentation.compute import Compute
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, View, plan_views
from nuclick_wsi.segmentation.segmenter import TileImage
from nuclick_wsi.segmentation.shared_encoder import SharedEncoderSegmenter
from nuclick_wsi.segmentation.tiles import plan_tiles
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.resample import read_window

GRID = Grid(1.0, 0.0625)
SPEC = CropSpec(64, 0.25)
SMALL = {"trunk": [4, 8, 8, 8, 8], "features": 8, "dilations": [1, 2]}
SIDE = 400


@pytest.fixture(scope="module", params=[SMALL, SMALL | {"encoder": "lite0"}], ids=["own encoder", "encoder"])
def model(request: pytest.FixtureRequest) -> Model:
    torch.manual_seed(0)
    return Model(card(ObjectKind.NUCLEUS, SPEC.size, SPEC.mpp), build("glance", request.param).eval(), "", Path())


@pytest.fixture(scope="module")
def field() -> SignalField:
    places = np.random.default_rng(3).uniform(0, SIDE, (40, 2))
    return SignalField(
        [Prompt(str(n), ObjectKind.NUCLEUS, Click(Point(float(x), float(y)))) for n, (x, y) in enumerate(places)]
    )


@pytest.fixture
def path(make_slide: Callable[..., Path]) -> Path:
    return make_slide(immunohistochemistry()[:SIDE, :SIDE])


def tile_images(
    path: Path, views: list[View], segmenter: SharedEncoderSegmenter, tile_size: int
) -> Iterator[TileImage]:
    with open_slide(path) as slide:
        for tile in plan_tiles(views, tile_size, segmenter.around):
            yield TileImage(tile, read_window(slide, GRID, tile.window))


def predict(
    path: Path,
    field: SignalField,
    segmenter: SharedEncoderSegmenter,
    tile_size: int = 64,
    prompts: list[int] | None = None,
) -> dict[int, np.ndarray]:
    views = plan_views(field, GRID, SPEC, GlandMode.CROP, prompts)
    images = tile_images(path, views, segmenter, tile_size)
    return {view.prompt: probabilities for view, probabilities in segmenter.predict(images, field)}


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batches_tiles_and_company_change_probabilities_by_rounding_at_most(
    batch_size: int, model: Model, field: SignalField, path: Path
) -> None:
    plain = predict(path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"), 4)))
    assert plain.keys() == set(range(40))
    other = predict(
        path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"), batch_size)), tile_size=3000
    )
    alone = predict(path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"), batch_size)), prompts=[17])
    for prompt, probabilities in plain.items():
        np.testing.assert_allclose(probabilities, other[prompt], atol=1e-5)
        assert np.ptp(probabilities) > 1e-3
    np.testing.assert_allclose(alone[17], plain[17], atol=1e-5)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_not_a_bit(threads: int, model: Model, field: SignalField, path: Path) -> None:
    alone, beside = (SharedEncoderSegmenter(model, Compute(torch.device("cpu"), 3, threads=n)) for n in (1, threads))
    plain, other = predict(path, field, alone), predict(path, field, beside)
    assert plain.keys() == other.keys() == set(range(40))
    assert all(np.array_equal(probabilities, other[prompt]) for prompt, probabilities in plain.items())


def test_the_network_sees_the_block_the_click_and_its_neighbours(model: Model, field: SignalField, path: Path) -> None:
    outputs = predict(path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"), 5)))
    padded = np.full((SIDE + 1000, SIDE + 1000, 3), 255, np.uint8)
    padded[500:-500, 500:-500] = immunohistochemistry()[:SIDE, :SIDE]
    for view in plan_views(field, GRID, SPEC, GlandMode.CROP, [4, 11, 30]):
        place = BlockPlace.of(view.window)
        block = padded[place.block.y + 500 :, place.block.x + 500 :][: PITCH + 64, : PITCH + 64]
        corner = torch.tensor([[place.crop.y - place.block.y, place.crop.x - place.block.x]])
        within = np.array([view.window.y - place.crop.y, view.window.x - place.crop.x])
        maps = torch.from_numpy(distance_maps(field.signals(view), within))
        with torch.inference_mode():
            image = torch.from_numpy(block.transpose(2, 0, 1)[None] / 255).float()
            logits = model.network(image, torch.tensor([0]), corner, maps[None])
        expected = torch.sigmoid(logits)[0, 0].numpy()[view.window.slices_in(place.crop)]
        np.testing.assert_allclose(outputs[view.prompt], expected, atol=1e-4)


def test_a_click_and_a_neighbour_both_decide(model: Model, field: SignalField) -> None:
    assert isinstance(model.network, Glance)
    torch.manual_seed(1)
    encoded = model.network.encode(torch.rand(1, 3, 128, 128))
    maps = torch.rand(1, 2, 33, 33) * 20

    def drawn(corner: tuple[int, int], distances: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            result: torch.Tensor = model.network.decode(encoded, torch.tensor([0]), torch.tensor([corner]), distances)
        return result

    here = drawn((20, 30), maps)
    for other in (drawn((22, 30), maps), drawn((20, 30), maps + torch.tensor([3.0, 0])[:, None, None])):
        assert (here - other).abs().max() > 1e-3
    assert (here - drawn((20, 30), maps + torch.tensor([0, 3.0])[:, None, None])).abs().max() > 1e-3


def test_a_block_that_is_needed_again_is_not_encoded_again(
    model: Model, field: SignalField, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    pyramid = Glance.pyramid
    monkeypatch.setattr(Glance, "pyramid", lambda self, blocks: runs.append(1) or pyramid(self, blocks))
    segmenter = SharedEncoderSegmenter(model, Compute(torch.device("cpu")))
    first = predict(path, field, segmenter, prompts=[17])
    again = predict(path, field, segmenter, prompts=[17])
    assert len(runs) == 1
    assert np.array_equal(first[17], again[17])
    for prompt in range(40):
        predict(path, field, segmenter, prompts=[prompt])
    views = plan_views(field, GRID, SPEC, GlandMode.CROP)
    assert len(runs) == len({BlockPlace.of(view.window).block for view in views}) > 1


@pytest.fixture(scope="module")
def like_the_shipped() -> Glance:
    torch.manual_seed(4)
    network = fused(build("glance", {"encoder": "lite0", "trunk": [8, 32, 48, 64, 96]}))
    assert isinstance(network, Glance)
    return network


@pytest.mark.parametrize("part", [(0, 0, 112, 112), (144, 144, 112, 112), (48, 96, 128, 112), (16, 0, 240, 160)])
def test_a_part_of_a_block_has_the_features_of_the_whole_to_the_bit(
    part: tuple[int, int, int, int], like_the_shipped: Glance
) -> None:
    block, window = torch.rand(1, 3, 256, 256), Window(*part)
    corner = torch.tensor([[window.bottom - 98, window.x + 2]])
    distances = torch.rand(1, 2, 49, 49) * 20
    with torch.inference_mode():
        logits = [
            like_the_shipped.decode(encoded, torch.tensor([0]), corner, distances)
            for encoded in (like_the_shipped.encode(block, window), like_the_shipped.encode(block))
        ]
    assert torch.equal(*logits)
    assert np.ptp(logits[0].numpy()) > 1e-3


def test_a_view_beside_another_in_a_known_block_gets_what_it_gets_in_a_new_one(
    model: Model, field: SignalField, path: Path
) -> None:
    known = SharedEncoderSegmenter(model, Compute(torch.device("cpu"), threads=1))
    for prompt in range(40):
        new = SharedEncoderSegmenter(model, Compute(torch.device("cpu"), threads=1))
        beside, alone = (predict(path, field, one, prompts=[prompt])[prompt] for one in (known, new))
        np.testing.assert_allclose(beside, alone, atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
def test_folded_padding_changes_not_a_bit(kernel: int, stride: int) -> None:
    torch.manual_seed(kernel + stride)
    block = SameConvNorm(torch.nn.Conv2d(24, 24, kernel, stride, groups=1 if kernel == 1 else 24, bias=False), True)
    pictures = torch.rand(1, 24, 64, 48).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        conv = fuse_conv_bn_eval(block.eval().conv, block.norm).to(memory_format=torch.channels_last)
        plain = torch.nn.functional.relu6(conv(torch.nn.functional.pad(pictures, block.around)))
        assert torch.equal(fused(block)(pictures), plain)
    assert np.ptp(plain.numpy()) > 1e-3


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (1, 1)])
def test_distances_count_from_the_middles_of_features_to_the_middles_of_pixels(corner: tuple[int, int]) -> None:
    signals = (np.random.default_rng(5).random((2, 8, 8)) < 0.05).astype(np.float32)
    signals[0, 3, 4] = 1
    signals[1] = 0
    maps = distance_maps(signals, np.array(corner))
    for row in range(5):
        for column in range(5):
            nearest = min(
                np.hypot(2 * row + 1 - (r + corner[0] + 0.5), 2 * column + 1 - (c + corner[1] + 0.5))
                for r, c in np.argwhere(signals[0])
            )
            assert maps[0, row, column] == pytest.approx(nearest)
    assert (maps[1] > 1000).all()


@given(x=st.integers(-10_000, 10_000), y=st.integers(-10_000, 10_000), size=st.sampled_from([32, 64, 96]))
def test_a_crop_lies_in_its_block_at_an_even_pixel_and_holds_its_view(x: int, y: int, size: int) -> None:
    view = Window(x, y, size, size)
    place = BlockPlace.of(view)
    assert place.block.contains(place.crop)
    assert place.crop.contains(view)
    assert (place.crop.x - place.block.x) % 2 == (place.crop.y - place.block.y) % 2 == 0
    assert (place.block.x + size // 2) % PITCH == (place.block.y + size // 2) % PITCH == 0
    assert place.block.shape == (PITCH + size, PITCH + size)


def test_folding_changes_no_more_than_rounding() -> None:
    torch.manual_seed(2)
    network = build("glance", SMALL)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    inputs = (torch.rand(2, 3, 64, 96), torch.tensor([0, 1]), torch.tensor([[0, 2], [10, 60]]), torch.rand(2, 2, 9, 9))
    with torch.inference_mode():
        torch.testing.assert_close(fused(network)(*inputs), network.eval()(*inputs), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "named"),
    [({"trunk": [8, 8]}, "five"), ({"features": 6}, "four"), ({"dilations": []}, "dilations"), ({"far": 0}, "far")],
)
def test_an_impossible_configuration_is_refused(config: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build("glance", config)


@pytest.mark.parametrize("part", ["encode", "decode"])
def test_what_finds_no_memory_at_once_is_computed_in_portions(
    part: str, model: Model, field: SignalField, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = predict(path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"), 1)))
    whole = getattr(Glance, part)
    seen: list[int] = []

    def in_little_memory(network: Glance, *inputs: torch.Tensor) -> torch.Tensor:
        seen.append(len(inputs[0 if part == "encode" else -1]))
        if seen[-1] > 1:
            raise torch.OutOfMemoryError("no memory")
        result: torch.Tensor = whole(network, *inputs)
        return result

    monkeypatch.setattr(Glance, part, in_little_memory)
    monkeypatch.setitem(shared_encoder._BLOCKS, "cpu", 3)
    segmenter = SharedEncoderSegmenter(model, Compute(torch.device("cpu"), 4, threads=1))
    found = predict(path, field, segmenter, tile_size=3000)
    assert max(seen) > 1
    assert found.keys() == plain.keys()
    for prompt, probabilities in plain.items():
        np.testing.assert_allclose(found[prompt], probabilities, atol=1e-5)


def test_half_precision_differs_in_the_third_decimal(model: Model, field: SignalField, path: Path) -> None:
    single, half = (
        predict(path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"), precision=precision)))
        for precision in (Precision.SINGLE, Precision.HALF)
    )
    worst = max(np.abs(half[prompt] - probabilities).max() for prompt, probabilities in single.items())
    assert 0 < worst < 1e-2


@pytest.mark.parametrize("counts", [[0, 0], [1, 1, 1], [0, 5, 40]])
def test_distances_of_many_signals_at_once_are_those_of_each(counts: list[int]) -> None:
    rng = np.random.default_rng(len(counts))
    signals = [rng.integers(0, 34, (count, 2)) for count in counts]
    at_once = distances_in(torch.from_numpy(stacked(signals)), 34).numpy()
    assert at_once.dtype == np.float32
    np.testing.assert_allclose(at_once, [distances_to(pixels, 34) for pixels in signals], rtol=3e-7)


def test_distances_to_a_signal_are_the_same_to_the_bit_beside_one_of_a_thousand_pixels() -> None:
    """Beside it they are found column by column."""
    rng = np.random.default_rng(0)
    signals = [rng.integers(0, 34, (count, 2)) for count in (0, 1, 7, 34)]
    crowd = rng.integers(0, 34, (1000, 2))
    alone = distances_in(torch.from_numpy(stacked(signals)), 34).numpy()
    beside = distances_in(torch.from_numpy(stacked([*signals, crowd])), 34).numpy()
    np.testing.assert_array_equal(beside[:-1], alone)
    one_by_one = [distances_in(torch.from_numpy(stacked([crowd[[n]]])), 34).numpy()[0] for n in range(len(crowd))]
    np.testing.assert_array_equal(beside[-1], np.min(one_by_one, axis=0))


def test_distances_to_thousands_of_clicks_are_found_in_as_many_steps_as_a_crop_has_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = []
    minimum = torch.minimum
    monkeypatch.setattr(torch, "minimum", lambda *given, **out: steps.append(1) or minimum(*given, **out))
    rng = np.random.default_rng(0)
    for count in (1_000, 20_000):
        steps.clear()
        distances_in(torch.from_numpy(stacked([rng.integers(0, 34, (count, 2))])), 34)
        assert len(steps) <= 34 + 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("precision", "tolerance"), [(Precision.SINGLE, 5e-3), (Precision.HALF, 2e-2)])
def test_gpus_give_what_the_cpu_gives(
    precision: Precision, tolerance: float, model: Model, field: SignalField, path: Path
) -> None:
    on_cpu = predict(path, field, SharedEncoderSegmenter(model, Compute(torch.device("cpu"))))
    first, *beside = choose_devices("cuda")
    compute = Compute(first, 4, precision=precision, beside=tuple(beside))
    on_gpu = predict(path, field, SharedEncoderSegmenter(model, compute))
    for prompt, probabilities in on_cpu.items():
        np.testing.assert_allclose(probabilities, on_gpu[prompt], atol=tolerance)
