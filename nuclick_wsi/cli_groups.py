"""The groups of commands that stand beside the main ones: models, QuPath's menu, ASAP's files.

As in `cli`, what is heavy is imported when a command is called.
"""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_wsi.prompts import ObjectChoice, ObjectKind

weights_app = typer.Typer(help="The models: list them, read their cards, import other people's.", no_args_is_help=True)
qupath_app = typer.Typer(help="NuClick in QuPath's Extensions menu.", no_args_is_help=True)
asap_app = typer.Typer(help="ASAP's annotation files.", no_args_is_help=True)

UserDir = Annotated[
    Path | None, typer.Option(help="QuPath's user directory; else each that is in the folder QuPath of your home.")
]
ClicksGroup = Annotated[
    list[str] | None,
    typer.Option(
        help="ASAP: a group of which point sets are clicks; may be repeated. Else all groups with click in the name."
    ),
]
SquigglesGroup = Annotated[
    list[str] | None,
    typer.Option(
        help="ASAP: a group of which polygons and splines are squiggles; may be repeated. Else all groups with "
        "squiggle in the name. Dots are clicks and point sets and measurements squiggles everywhere else."
    ),
]


@weights_app.command("list")
def weights_list() -> None:
    """List the shipped models, with the default of each kind of object."""
    from nuclick_wsi import console, models_view

    models_view.print_models(console.make_console())


@weights_app.command("info")
def weights_info(model: Annotated[str, typer.Argument(help="Name of a shipped model, or a file.")]) -> None:
    """Print a model's card: data and terms, settings, scores, limits."""
    from nuclick_wsi import console, models_view

    models_view.print_card(console.make_console(), model)


@weights_app.command("path")
def weights_path(model: Annotated[str, typer.Argument(help="Name of a shipped model, or a file.")]) -> None:
    """Print where a model's file is."""
    from nuclick_wsi import card

    typer.echo(card.find_model(model))


@weights_app.command("import")
def weights_import(
    source: Annotated[Path, typer.Argument(help="A .pth of the paper's network, in nuclick_torch's layout.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors to write.")],
    kind: Annotated[ObjectKind, typer.Option(help="What the checkpoint was trained on; the file does not say.")],
) -> None:
    """Turn a checkpoint that others published into a model file; nothing in it is ever run."""
    from nuclick_wsi import checkpoints

    made = checkpoints.import_checkpoint(source, target, kind)
    typer.echo(f"{target}: {made.kind}, {made.crop_size} px of {made.mpp} um. Use it with --model {target}")


@asap_app.command("inspect")
def asap_inspect(
    file: Annotated[Path, typer.Argument(help="An .xml of ASAP.")],
    slide: Annotated[Path | None, typer.Option(help="Its slide, if it is not the one beside it.")] = None,
    objects: Annotated[
        ObjectChoice, typer.Option("--object", help="What to outline; auto: clicks are nuclei, squiggles are glands.")
    ] = ObjectChoice.AUTO,
    clicks_group: ClicksGroup = None,
    squiggles_group: SquigglesGroup = None,
) -> None:
    """Show how each annotation would be read by `run`; write nothing."""
    from asap_bridge import inspection
    from nuclick_wsi import commands, console

    choice = commands.asap_choice(
        commands.RunRequest(file, slide, None, tuple(clicks_group or ()), tuple(squiggles_group or ()), objects)
    )
    inspection.inspect(console.make_console(), file, choice)


@qupath_app.command("install")
def qupath_install(user_dir: UserDir = None) -> None:
    """Put NuClick into the Extensions menu of each QuPath found; your own startup script is kept and called."""
    from qupath_extension import install

    for folder in install.find_user_folders(user_dir):
        folder.install()
        typer.echo(f"{folder.path}: installed")
    typer.echo(f"QuPath 0.5 and newer, once: drag {install.STARTUP} from there onto QuPath and press Run.")


@qupath_app.command("uninstall")
def qupath_uninstall(user_dir: UserDir = None) -> None:
    """Take NuClick out of QuPath again and put your own startup script back."""
    from qupath_extension import install

    for folder in install.find_user_folders(user_dir):
        typer.echo(f"{folder.path}: {'removed' if folder.uninstall() else 'was not installed'}")


@qupath_app.command("status")
def qupath_status(user_dir: UserDir = None) -> None:
    """Say which QuPath has NuClick in its menu."""
    from qupath_extension import install

    for folder in install.find_user_folders(user_dir):
        typer.echo(f"{folder.path}: {folder.presence().value}")
