"""Ours: a shipped model, or the paper's network at full width with random weights (`--model nuclick`)."""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _timed import timed

import nuclick_wsi as nw
from nuclick_wsi.models.card import find_model
from nuclick_wsi.models.network import build
from nuclick_wsi.models.weights import load_model, save_model
from nuclick_wsi.prompts import Role, prompt_id


def full_width(folder: str) -> Path:
    """Write a model of the paper's network with random weights."""
    torch.manual_seed(0)
    config: dict[str, object] = {"width": 1.0}
    card = replace(load_model(find_model("nuclei")).card, architecture="nuclick", config=config, crop_size=128)
    path = Path(folder) / "nuclick.safetensors"
    save_model(path, build("nuclick", config).eval(), card)
    return path


def prepare(given: argparse.Namespace) -> Callable[[np.ndarray], int]:
    with tempfile.TemporaryDirectory() as folder:
        models = nw.ModelRegistry(full_width(folder) if given.model == "nuclick" else given.model, device="cpu")
        models.segmenter(nw.ObjectKind.NUCLEUS)
    slide = nw.open_slide(given.slide)

    def work(clicks: np.ndarray) -> int:
        signals = [nw.Click(nw.Point(x, y)) for x, y in given.all.tolist()]
        roles = [Role.SEGMENT] * len(clicks) + [Role.NEIGHBOUR] * (len(signals) - len(clicks))
        prompts = [
            nw.Prompt(prompt_id("peers", signal), nw.ObjectKind.NUCLEUS, signal, role=role)
            for signal, role in zip(signals, roles, strict=True)
        ]
        return len(nw.segment(slide, prompts, models, slide.info.pixel_size or 0.25).instances)

    return work


if __name__ == "__main__":
    timed(prepare, f"nuclick-wsi {nw.__version__}")
