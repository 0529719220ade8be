"""Views become probabilities that depend on the view and on nothing else."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dark_segmenter import card
from skimage.data import immunohistochemistry

from nuclick_wsi.choices import GlandMode, Precision
from nuclick_wsi.errors import DeviceError
from nuclick_wsi.geometry import Point
from nuclick_wsi.models.devices import choose_device, choose_devices, usable_cores
from nuclick_wsi.models.network import build
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import Click, ObjectKind, Prompt
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.compute import Compute
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, plan_views
from nuclick_wsi.segmentation.segmenter import CropSegmenter, TileImage
from nuclick_wsi.segmentation.tiles import plan_tiles
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.resample import read_window

GRID = Grid(1.0, 0.0625)
SPEC = CropSpec(64, 0.25)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    network = build("nuclick", {"width": 0.0625}).eval()
    return Model(card(ObjectKind.NUCLEUS, SPEC.size, SPEC.mpp), network, "", Path())


@pytest.fixture
def field() -> SignalField:
    places = np.random.default_rng(3).uniform(0, 256, (21, 2))
    return SignalField(
        [Prompt(str(n), ObjectKind.NUCLEUS, Click(Point(float(x), float(y)))) for n, (x, y) in enumerate(places)]
    )


def predict(path: Path, field: SignalField, segmenter: CropSegmenter, tile_size: int = 64) -> dict[int, np.ndarray]:
    with open_slide(path) as slide:
        tiles = plan_tiles(plan_views(field, GRID, SPEC, GlandMode.CROP), tile_size)
        images = [TileImage(tile, read_window(slide, GRID, tile.window)) for tile in tiles]
        return {view.prompt: probabilities for view, probabilities in segmenter.predict(images, field)}


@pytest.mark.parametrize("batch_size", [1, 4, 21, 100])
def test_batches_and_tiles_change_probabilities_by_rounding_at_most(
    batch_size: int, model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    path = make_slide(immunohistochemistry()[:256, :256])
    plain = predict(path, field, CropSegmenter(model, Compute(torch.device("cpu"), 7)))
    other = predict(path, field, CropSegmenter(model, Compute(torch.device("cpu"), batch_size)), tile_size=300)
    assert plain.keys() == other.keys() == set(range(21))
    for prompt, probabilities in plain.items():
        np.testing.assert_allclose(probabilities, other[prompt], atol=1e-5)
        assert np.ptp(probabilities) > 1e-3


def test_threads_change_not_a_bit(model: Model, field: SignalField, make_slide: Callable[..., Path]) -> None:
    path = make_slide(immunohistochemistry()[:256, :256])
    alone, beside = (CropSegmenter(model, Compute(torch.device("cpu"), 4, threads=n)) for n in (1, 3))
    plain, other = predict(path, field, alone), predict(path, field, beside)
    assert plain.keys() == other.keys() == set(range(21))
    assert all(np.array_equal(probabilities, other[prompt]) for prompt, probabilities in plain.items())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "damaged"}, None),
    ],
)
def test_no_more_cores_are_used_than_a_quota_pays_for(
    files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    unlimited = usable_cores(tmp_path / "nowhere")
    assert unlimited >= 1
    assert usable_cores(tmp_path) == (expected or unlimited)


def test_the_network_sees_the_crop_the_click_and_its_neighbours(
    model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    tissue = immunohistochemistry()[:256, :256]
    outputs = predict(make_slide(tissue), field, CropSegmenter(model, Compute(torch.device("cpu"), 5)))
    (view,) = [view for view in plan_views(field, GRID, SPEC, GlandMode.CROP) if view.prompt == 4]
    padded = np.full((256 + 128, 256 + 128, 3), 255, np.uint8)
    padded[64:-64, 64:-64] = tissue
    crop = padded[view.window.y + 64 :, view.window.x + 64 :][:64, :64].transpose(2, 0, 1) / 255
    own, others = np.zeros((2, 64, 64))
    own[32, 32] = 1
    for index, prompt in enumerate(field.prompts):
        point = prompt.signal.strokes[0][0]
        column, row = int(point.x) - view.window.x, int(point.y) - view.window.y
        if index != 4 and 0 <= column < 64 and 0 <= row < 64:
            others[row, column] = 1
    assert others.any()
    batch = torch.from_numpy(np.concatenate([crop, own[None], others[None]])[None]).float()
    with torch.inference_mode():
        expected = torch.sigmoid(model.network(batch))[0, 0].numpy()
    np.testing.assert_allclose(outputs[4], expected, atol=1e-4)


class Room(torch.nn.Module):
    """The network on a device that has memory for so many crops at once, and notes how many came."""

    def __init__(self, network: torch.nn.Module, most: int, words: str = "") -> None:
        super().__init__()
        self.network, self.most, self.words = network, most, words
        self.seen: list[int] = []

    def __deepcopy__(self, _: object) -> "Room":
        return self

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(batch))
        if len(batch) > self.most:
            raise RuntimeError(self.words) if self.words else torch.OutOfMemoryError("no memory")
        logits: torch.Tensor = self.network(batch)
        return logits


@pytest.mark.parametrize("words", ["", "MPS backend out of memory (MPS allocated: 1 GB)"])
def test_a_batch_that_finds_no_memory_is_halved_until_it_does(
    words: str, model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    path = make_slide(immunohistochemistry()[:256, :256])
    plain = predict(path, field, CropSegmenter(model, Compute(torch.device("cpu"), 2, threads=1)))
    room = Room(model.network, 2, words)
    found = predict(
        path, field, CropSegmenter(replace(model, network=room), Compute(torch.device("cpu"), 8, threads=1))
    )
    assert found.keys() == plain.keys()
    for prompt, probabilities in plain.items():
        np.testing.assert_allclose(found[prompt], probabilities, atol=1e-5)
    assert room.seen[:3] == [8, 4, 2]
    assert set(room.seen[2:]) <= {1, 2}, "it remembers what fits"


def test_a_device_without_room_for_a_single_crop_is_named_with_a_way_out(
    model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    segmenter = CropSegmenter(replace(model, network=Room(model.network, 0)), Compute(torch.device("cpu"), 8))
    with pytest.raises(DeviceError, match=r"no memory for a single crop.*--device"):
        predict(make_slide(immunohistochemistry()[:256, :256]), field, segmenter)


def test_another_error_than_lack_of_memory_is_not_taken_for_it(
    model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    room = Room(model.network, 2, "shapes do not fit")
    segmenter = CropSegmenter(replace(model, network=room), Compute(torch.device("cpu"), 8))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        predict(make_slide(immunohistochemistry()[:256, :256]), field, segmenter)


def test_half_precision_differs_in_the_third_decimal(
    model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    path = make_slide(immunohistochemistry()[:256, :256])
    single, half = (
        predict(path, field, CropSegmenter(model, Compute(torch.device("cpu"), precision=precision)))
        for precision in (Precision.SINGLE, Precision.HALF)
    )
    worst = max(np.abs(half[prompt] - probabilities).max() for prompt, probabilities in single.items())
    assert 0 < worst < 5e-3


def test_every_gpu_has_one_batch_at_a_time() -> None:
    compute = Compute(torch.device("cuda:0"), beside=(torch.device("cuda:1"),))
    begun = threading.Barrier(2, timeout=20)

    def work(number: int) -> torch.device:
        with compute.inference() as device:
            if number < 2:
                begun.wait()  # both GPUs are at work
            return device

    devices = list(compute.map(work, range(6)))
    assert set(devices[:2]) == set(compute.devices)
    assert set(devices) == set(compute.devices)


def test_cuda_means_all_that_are_visible_and_a_number_means_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert choose_devices("cuda") == tuple(torch.device("cuda", number) for number in range(3))
    assert choose_devices("cuda:1") == (torch.device("cuda:1"),)
    assert choose_devices("cpu") == (torch.device("cpu"),)


@pytest.mark.parametrize("name", ["cuda:77", "tpu", "cpu:1", "cuda:x", ""])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name!r}.*(Accepted|--device auto)"):
        choose_device(name)


def test_auto_finds_a_device() -> None:
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [(Precision.SINGLE, 5e-3), (Precision.HALF, 1e-2)])
def test_gpus_give_what_the_cpu_gives(
    precision: Precision, tolerance: float, model: Model, field: SignalField, make_slide: Callable[..., Path]
) -> None:
    path = make_slide(immunohistochemistry()[:256, :256])
    first, *beside = choose_devices("cuda")
    on_cpu = predict(path, field, CropSegmenter(model, Compute(torch.device("cpu"))))
    compute = Compute(first, 4, precision=precision, beside=tuple(beside))
    on_gpu = predict(path, field, CropSegmenter(model, compute))
    for prompt, probabilities in on_cpu.items():
        np.testing.assert_allclose(probabilities, on_gpu[prompt], atol=tolerance)


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_whose_memory_is_taken_goes_on_with_smaller_batches(
    field: SignalField, make_slide: Callable[..., Path]
) -> None:
    torch.manual_seed(0)
    network = build("nuclick", {"width": 1.0}).eval()
    model = Model(card(ObjectKind.NUCLEUS, SPEC.size, SPEC.mpp), network, "", Path())
    path = make_slide(immunohistochemistry()[:256, :256])
    plain = predict(path, field, CropSegmenter(model, Compute(torch.device("cuda:0"), 1)))
    segmenter = CropSegmenter(model, Compute(torch.device("cuda:0"), 21))
    torch.cuda.empty_cache()
    used = torch.cuda.memory_allocated() + 200 * 2**20
    torch.cuda.set_per_process_memory_fraction(used / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = predict(path, field, segmenter)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    for prompt, probabilities in plain.items():
        np.testing.assert_allclose(found[prompt], probabilities, atol=5e-3)
