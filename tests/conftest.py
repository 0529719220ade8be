import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

from nuclick_wsi.models.card import find_model
from nuclick_wsi.models.weights import load_model, save_model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import PyramidCompression, PyramidLayout, write_pyramid

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has one core, and so have the programs that its tests start.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is slow, which is no fault of what is tested.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

MakeSlide = Callable[..., Path]

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Training treats subnormal numbers as 0 in the whole process; other tests want them as they are."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real slides, projects and label maps that lies beside the project where there is one."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the real data in {SHARED_DATA}, which is not part of the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def cell_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model for cells that sees what the one for nuclei sees, so that every cell is its nucleus."""
    model = load_model(find_model("nuclei"))
    path = tmp_path_factory.mktemp("model") / "cells-as-nuclei.safetensors"
    save_model(path, model.network, replace(model.card, kind=ObjectKind.CELL, name="cells-as-nuclei"))
    return str(path)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny networks are slower on many threads, and sums then depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_slide(tmp_path: Path) -> MakeSlide:
    """Write a picture as a pyramidal slide without loss, and return its path."""

    def make(
        image: NDArray[np.uint8],
        mpp: float | None = 0.25,
        name: str = "slide.svs",
        downsamples: tuple[int, ...] = (1, 2, 4),
    ) -> Path:
        layout = PyramidLayout(downsamples, PyramidCompression.LOSSLESS)
        write_pyramid(tmp_path / name, image, PixelSize(mpp, mpp) if mpp else None, layout)
        return tmp_path / name

    return make
