"""The commands `fit`, `finish` and `fine-tune` with their options.

Nothing process needs more than torch, numpy, scipy, scikit-image, Pillow and safetensors; a zarr store needs zarr.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from nuclick_training.fitting.calibrate import Evidence, finish
from nuclick_training.fitting.distributed import TrainingProcess, training_process
from nuclick_training.fitting.finetune import TUNING, finish_tuning, tuning_recipe
from nuclick_training.fitting.fit import fit
from nuclick_training.fitting.own_data import on_data
from nuclick_training.fitting.pixel_sizes import parse_mpp
from nuclick_training.fitting.pretrained import start_from_imagenet
from nuclick_training.fitting.recipe import Recipe
from nuclick_training.fitting.recipes import RECIPES
from nuclick_training.fitting.run import CHECKPOINT, new_run
from nuclick_training.fitting.run_folder import begin, network_of, note, require_own_or_free, settings_of
from nuclick_training.fitting.settings import (
    CHOICES,
    PRESETS,
    FitSettings,
    SettingsFile,
    preset,
    read_settings,
    settled,
)
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.network import build
from nuclick_wsi.models.weights import Model, load_model
from nuclick_wsi.ownership import require_free

_NO_FILE = SettingsFile(None, {}, None, {})


def add_fit(command: argparse.ArgumentParser) -> None:
    """Give a command the options of `fit`."""
    command.add_argument("recipe", choices=sorted(RECIPES))
    command.add_argument(
        "--architecture", help="another network than the recipe's: nuclick, glance, squiggle, unet, segnet, fcn"
    )
    command.add_argument("--config", metavar="JSON", help="""its configuration, such as '{"width": 0.25}'""")
    command.add_argument("--preset", choices=PRESETS, help="the recipe's own settings (modern), or the paper's")
    _add_run(command, {})
    command.set_defaults(run=_fit)


def add_fine_tune(command: argparse.ArgumentParser) -> None:
    """Give a command the options of `fine-tune`."""
    command.add_argument("parent", metavar="MODEL", help="name of a shipped model, or a file")
    command.add_argument("--model", type=Path, help="the .safetensors file to write; else NAME.safetensors in --out")
    command.add_argument("--recipe", help="whose data sets --data holds; default: the model's own")
    command.add_argument("--name", help="of the new model; else that of the folder --out")
    ends = dict.fromkeys(("minutes", "epochs"), f"instead of --steps; default: {TUNING['steps']} steps")
    by_model = dict.fromkeys(("batch", "keep"), "default: what suits the model")
    _add_run(command, {name: f"default: {value}" for name, value in TUNING.items()} | ends | by_model)
    command.set_defaults(run=_fine_tune)


def add_finish(command: argparse.ArgumentParser) -> None:
    """Give a command the options of `finish`."""
    command.add_argument("recipe", choices=sorted(RECIPES))
    _add_data(command)
    command.add_argument("--model", type=Path, required=True, help="the .safetensors file to write")
    command.add_argument("--threshold", type=float, help="instead of the best on the validation objects")
    command.set_defaults(run=_finish)


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a store of `nuclick-wsi dataset extract`; a folder of images/ and labels/; or the folder that holds the "
        "recipe's data sets",
    )
    command.add_argument("--mpp", help="pixel size in um of a folder's images, or auto")
    command.add_argument("--terms", help="what your data may be used for; the model inherits it")
    command.add_argument("--out", type=Path, required=True, help="folder of the run: log, settings, checkpoints")
    command.add_argument("--threads", type=int, help="of one process on the CPU; default: torch's choice")


def _add_run(command: argparse.ArgumentParser, defaults: Mapping[str, str]) -> None:
    """Give a command the options of a run; `defaults` says those that are the command's own."""
    _add_data(command)
    command.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")
    command.add_argument(
        "--settings", type=Path, help=f"a TOML file of the settings below{'' if defaults else ', preset and [network]'}"
    )
    for item in dataclasses.fields(FitSettings):
        flag = "--" + item.name.replace("_", "-")
        if item.type is bool:
            command.add_argument(flag, action="store_true", default=None)
        else:
            said = defaults.get(
                item.name, f"default: {'' if defaults else 'that of the recipe, mostly '}{item.default}"
            )
            command.add_argument(flag, type=type(item.default), choices=CHOICES.get(item.name), help=said)


def _fit(options: argparse.Namespace) -> None:
    """Train by a recipe."""
    file = read_settings(options.settings) if options.settings else _NO_FILE
    recipe, data = _recipe_on_data(RECIPES[options.recipe], options)
    given = _json(options.config)
    recipe = _with_network(recipe, file.architecture, file.config)
    recipe = _with_network(recipe, options.architecture, given)
    chosen = options.preset or file.preset
    layers = [preset(chosen, recipe.kind, recipe.prompts_per_draw)] if chosen else []
    layers += [file.fit, _flags(options)]
    if options.resume:
        resumed = network_of(options.out, recipe)
        if (file.architecture or file.config or options.architecture or given) and resumed != recipe:
            raise SettingsError(
                f"The run in {options.out} was begun with {resumed.architecture} {dict(resumed.config)}, not with "
                f"{recipe.architecture} {dict(recipe.config)}: drop these options, or choose another --out."
            )
        recipe = resumed
    _train(recipe, data, layers, options, lambda settings: _built(recipe, settings, options.resume))


def _fine_tune(options: argparse.Namespace) -> None:
    """Fine-tune a model, and write the new one."""
    file = read_settings(options.settings) if options.settings else _NO_FILE
    if file.preset or file.architecture or file.config:
        raise SettingsError(f"{options.settings}: preset and [network] are for fit; a model's network is given.")
    parent = load_model(options.parent)
    name = options.name or options.out.resolve().name
    options.model = options.model or options.out / f"{name}.safetensors"
    require_own_or_free(options.model, options.out)
    recipe, data = _recipe_on_data(tuning_recipe(parent, name, options.recipe), options)
    if options.resume:
        network_of(options.out, recipe)
    is_main = _train(recipe, data, [file.fit, _flags(options)], options, lambda _: load_model(options.parent).network)
    if is_main:
        _write_tuned(recipe, parent, data, options)


def _write_tuned(recipe: Recipe, parent: Model, data: Path, options: argparse.Namespace) -> None:
    tuned = finish_tuning(recipe, parent, options.out, data, options.model)
    print("\n".join([f"{options.model}: threshold {tuned.card.threshold}, {tuned.threshold_from}", *tuned.verdict]))


def _finish(options: argparse.Namespace) -> None:
    """Choose the threshold and write the model file."""
    require_free(options.model)
    _use_threads(options.threads)
    recipe, data = _recipe_on_data(RECIPES[options.recipe], options)
    card = finish(recipe, options.out, data, options.model, threshold=options.threshold)
    score = f"{card.scores[0].metric} {card.scores[0].value}" if card.scores else "no object to measure it on"
    print(f"{options.model}: threshold {card.threshold}, {score}")
    evidence = Evidence.of(recipe, data)
    if options.threshold is None and not evidence.is_enough:
        print(f"{evidence} are few to choose a threshold on: try others on images of your own (--threshold).")


def _train(
    recipe: Recipe,
    data: Path,
    layers: list[Mapping[str, object]],
    options: argparse.Namespace,
    make_network: Callable[[FitSettings], torch.nn.Module],
) -> bool:
    """Fit a network, from its start or from the checkpoint; return whether this is the main process."""
    _use_threads(options.threads)
    base = FitSettings(**settings_of(options.out)) if options.resume else recipe.fit
    settings = settled(base, layers)
    with training_process(settings.device) as process:
        if not options.resume:
            begin(options.out)
        batches = recipe.training(data, settings.augmentation)
        prompts_per_step = settings.batch * recipe.prompts_per_draw * process.processes
        settings = settings.counted(batches.objects, prompts_per_step)
        validation = recipe.validation(data)
        _check(settings, validation != [], recipe)
        torch.manual_seed(settings.seed)
        run = new_run(_trainable(make_network(settings)), settings, process.device)
        if options.resume:
            run.load(options.out / CHECKPOINT)
        if process.is_main:
            note(options.out, recipe, settings)
            print(_opening(recipe, settings, batches.objects, process), flush=True)
        fit(run, batches, validation, settings, options.out, process)
        return process.is_main


def _check(settings: FitSettings, has_validation: bool, recipe: Recipe) -> None:
    if settings.patience and not has_validation:
        raise SettingsError(
            f"patience needs objects to look at, and {recipe.sources[0].folder} has none for validation: drop it."
        )


def _opening(recipe: Recipe, settings: FitSettings, objects: int, process: TrainingProcess) -> str:
    end = f"{settings.steps} steps" if settings.steps else f"{settings.minutes:g} minutes"
    many = f" x {process.processes}" if process.processes > 1 else ""
    return (
        f"{recipe.name} ({recipe.architecture}): {objects} objects, {end}, batch {settings.batch}, rate "
        f"{settings.rate:g}, on {process.device}{many}"
    )


def _built(recipe: Recipe, settings: FitSettings, resumed: bool) -> torch.nn.Module:
    """Return a network at its start; that of a resumed run gets its weights from the checkpoint afterwards."""
    try:
        network = build(recipe.architecture, recipe.config)
    except ValueError as error:
        raise SettingsError(f"{error}.") from error
    if not (resumed or settings.random_start):
        start_from_imagenet(network)
    return network


def _trainable(network: torch.nn.Module) -> torch.nn.Module:
    return network.train().requires_grad_(True)


def _recipe_on_data(recipe: Recipe, options: argparse.Namespace) -> tuple[Recipe, Path]:
    return on_data(recipe, options.data, parse_mpp(options.mpp), options.terms)


def _with_network(recipe: Recipe, architecture: str | None, config: Mapping[str, object]) -> Recipe:
    """Return the recipe with another network; a configuration adds to that of the same architecture."""
    if architecture is None or architecture == recipe.architecture:
        return dataclasses.replace(recipe, config={**recipe.config, **config})
    return dataclasses.replace(recipe, architecture=architecture, config=config)


def _json(text: str | None) -> Mapping[str, object]:
    try:
        told = json.loads(text or "{}")
    except ValueError as error:
        raise SettingsError(f"--config {text} is no JSON ({error}).") from error
    if not isinstance(told, dict):
        raise SettingsError(f"""--config {text} is no table: write it as '{{"width": 0.25}}'.""")
    return told


def _flags(options: argparse.Namespace) -> Mapping[str, object]:
    given = {item.name: getattr(options, item.name) for item in dataclasses.fields(FitSettings)}
    return {name: value for name, value in given.items() if value is not None}


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
    # Weights that fade away become 0: processors are many times slower on the tiny numbers before.
    torch.set_flush_denormal(True)
