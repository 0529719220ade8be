"""What a click costs in each network: signals, batches and network on one core, clicks spread over 1024 x 1024 pixels.

Ratios are against the paper's network at its full width, run as fast as we can run it. Times do not depend on weights,
so those are random. Below, multiplications and additions at the crops of nuclei and of glands, counted by torch.
"""

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.geometry import Point
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.network import STRIDE, Glance, build
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import Click, ObjectKind, Prompt
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.blocks import PITCH
from nuclick_wsi.segmentation.compute import Compute
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, plan_views
from nuclick_wsi.segmentation.model_registry import segmenter_of
from nuclick_wsi.segmentation.segmenter import Segmenter, TileImage
from nuclick_wsi.segmentation.tiles import plan_tiles

SIDE = 1024
COUNTS = (1, 5, 20, 200, 1000)
MOST_CROPS = 24
NETWORKS: dict[str, tuple[str, dict[str, object], int]] = {
    "nuclick, full width": ("nuclick", {"width": 1.0}, 128),
    "nuclick, a quarter": ("nuclick", {"width": 0.25}, 128),
    "glance": ("glance", {}, 96),
    "glance, encoder": ("glance", {"encoder": "lite0", "trunk": (8, 32, 48, 64, 96)}, 96),
}


def segmenter(architecture: str, config: dict[str, object], crop: int) -> Segmenter:
    """Return a segmenter with random weights."""
    card = ModelCard(
        name="random",
        kind=ObjectKind.NUCLEUS,
        architecture=architecture,
        config=config,
        crop_size=crop,
        mpp=0.25,
        threshold=0.5,
        smallest_um2=0,
        fill_holes_um2=0,
        data=(),
        terms="",
        split="",
        limits="",
        created=date(2026, 1, 1),
    )
    return segmenter_of(Model(card, build(architecture, config).eval(), "", Path()), Compute(torch.device("cpu")))


def milliseconds(one: Segmenter, count: int, repetition: int) -> float:
    """Return processor time per click, on tissue of its own: glance keeps the features of what it saw last."""
    rng = np.random.default_rng([count, repetition])
    clicks = [Click(Point(float(x), float(y))) for x, y in rng.uniform(0, SIDE, (count, 2))]
    field = SignalField([Prompt(str(n), ObjectKind.NUCLEUS, click) for n, click in enumerate(clicks)])
    # The paper's network pays for every crop alike: a few show what many cost.
    asked = range(count) if one.card.architecture == "glance" else range(min(count, MOST_CROPS))
    views = plan_views(field, Grid(1.0, 0.0625), CropSpec(one.card.crop_size, 0.25), GlandMode.CROP, asked)
    tiles = plan_tiles(views, SIDE, one.around)
    images = [TileImage(tile, rng.integers(0, 256, (*tile.window.shape, 3), np.uint8)) for tile in tiles]
    begun = time.process_time()
    for _ in one.predict(images, field):
        pass
    return 1000 * (time.process_time() - begun) / len(asked)


def gmac(compute: Callable[[], object]) -> str:
    """Return the billions of multiply-accumulates of a computation."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        compute()
    return f"{counter.get_total_flops() / 2e9:.2f}"


def operations(nuclick_crop: int, crop: int) -> tuple[str, ...]:
    """Return the GMAC of a crop of nuclick at a quarter of its width, and of a block and a crop of glance."""
    nuclick, glance = build("nuclick", {"width": 0.25}).eval(), Glance().eval()
    side, features = PITCH + crop, (crop + STRIDE) // STRIDE
    with torch.inference_mode():
        encoded = glance.encode(torch.zeros(1, 3, side, side))
    one, corner = torch.zeros(1, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.int64)
    return (
        gmac(lambda: nuclick(torch.zeros(1, 5, nuclick_crop, nuclick_crop))),
        gmac(lambda: glance.encode(torch.zeros(1, 3, side, side))),
        gmac(lambda: glance.decode(encoded, one, corner, torch.zeros(1, 2, features, features))),
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    segmenters = {name: segmenter(*network) for name, network in NETWORKS.items()}
    table = Table("ms per click", *segmenters, *(f"{name}: times less" for name in list(segmenters)[1:]))
    for count in COUNTS:
        times = [min(milliseconds(one, count, repetition) for repetition in range(2)) for one in segmenters.values()]
        ratios = [f"{times[0] / time_:.1f}" for time_ in times[1:]]
        table.add_row(f"{count} clicks", *(f"{time_:.1f}" for time_ in times), *ratios)
    Console().print(table)
    counts = Table("GMAC", "nuclick, a quarter: a crop", f"glance: a block for {PITCH} px", "glance: a crop")
    for name, crops in {"nuclei, 128 and 96 px": (128, 96), "glands, 256 px": (256, 256)}.items():
        counts.add_row(name, *operations(*crops))
    Console().print(counts)


if __name__ == "__main__":
    main()
