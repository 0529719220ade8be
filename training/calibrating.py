"""The command `calibrate`: how sure the outlines of a model are that exists, fitted anew and written into its card."""

import argparse
import dataclasses
from pathlib import Path

import torch

from nuclick_training.fitting.calibrate import JUDGED
from nuclick_training.fitting.finetune import tuning_recipe
from nuclick_training.fitting.own_data import on_data
from nuclick_training.fitting.pixel_sizes import parse_mpp
from nuclick_training.fitting.sureness import FEWEST, calibrated
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.manifest import renew_manifest
from nuclick_wsi.models.weights import load_model, replace_card


def add_calibrate(command: argparse.ArgumentParser) -> None:
    """Give a command the options of `calibrate`."""
    command.add_argument("model", metavar="MODEL", help="name of a shipped model, or a file; its card is replaced")
    command.add_argument(
        "--data", type=Path, required=True, help="as for fit: a store, a folder of images/ and labels/, or of data sets"
    )
    command.add_argument("--mpp", help="pixel size in um of a folder's images, or auto")
    command.add_argument("--threads", type=int, help="on the CPU; default: torch's choice")
    command.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> None:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    model = load_model(options.model)
    card = model.card
    recipe, data = on_data(tuning_recipe(model, card.name), options.data, parse_mpp(options.mpp), None)
    calibration, correlation = calibrated(model.network, recipe.validation(data, JUDGED), card)
    if not calibration:
        raise SettingsError(
            f"--data {options.data}: {card.name} outlines too few validation objects of it; {FEWEST} are needed."
        )
    replace_card(model.path, dataclasses.replace(card, calibration=calibration))
    renew_manifest(model.path)
    print(f"{model.path}: the rank correlation of expected and reached Dice is {correlation:.3f}")
    for expected, reached in calibration:
        print(f"{expected:.3f} expected, {reached:.3f} reached")
