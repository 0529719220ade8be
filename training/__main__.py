"""`python -m nuclick_training fit|finish RECIPE ...`: train a network by a recipe, and make a model file of it."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from nuclick_wsi.network import build

from .calibrate import finish
from .fit import CHECKPOINT, FitSettings, fit, new_run
from .recipes import RECIPES


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nuclick_training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = _recipe_command(commands.add_parser("fit", help="train a network"), _fit)
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    for item in dataclasses.fields(FitSettings):
        flag = "--" + item.name.replace("_", "-")
        command.add_argument(
            flag, type=type(item.default), default=None, help=f"default: the recipe's ({item.default})"
        )
    command = _recipe_command(commands.add_parser("finish", help="make a model file of a checkpoint"), _finish)
    command.add_argument("--model", type=Path, required=True, help="the .safetensors file to write")
    return parser


def _recipe_command(
    command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    command.add_argument("recipe", choices=sorted(RECIPES))
    command.add_argument("--data", type=Path, required=True, help="folder that holds the data sets' folders")
    command.add_argument("--out", type=Path, required=True, help="folder of the log and the checkpoint")
    command.add_argument("--threads", type=int, default=1)
    command.set_defaults(run=run)
    return command


def _finish(options: argparse.Namespace) -> None:
    """Choose the threshold and write the model file."""
    torch.set_num_threads(options.threads)
    card = finish(RECIPES[options.recipe], options.out, options.data, options.model)
    print(f"{options.model}: threshold {card.threshold}, {card.scores[0].metric} {card.scores[0].value}")


def _fit(options: argparse.Namespace) -> None:
    """Train by a recipe."""
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    recipe = RECIPES[options.recipe]
    given = {item.name: getattr(options, item.name) for item in dataclasses.fields(FitSettings)}
    settings = dataclasses.replace(recipe.fit, **{name: value for name, value in given.items() if value is not None})
    torch.manual_seed(settings.seed)
    run = new_run(build(recipe.architecture, recipe.config), settings)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.resume:
        run.load(options.out / CHECKPOINT)
    fit(run, recipe.lessons(options.data), recipe.validation(options.data), settings, options.out)


if __name__ == "__main__":
    main()
