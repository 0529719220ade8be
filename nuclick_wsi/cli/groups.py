"""The groups of commands beside the main ones: models, QuPath's menu, ASAP's files, data sets.

As in `app`, what a command needs is imported when it is called.
"""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_wsi.choices import SplitBy
from nuclick_wsi.cli.options import AsJson, Quiet
from nuclick_wsi.prompts import ObjectChoice, ObjectKind

weights_app = typer.Typer(help="The models: list them, read their cards, import other people's.", no_args_is_help=True)
qupath_app = typer.Typer(help="NuClick in QuPath's Extensions menu.", no_args_is_help=True)
asap_app = typer.Typer(help="ASAP's annotation files.", no_args_is_help=True)
dataset_app = typer.Typer(
    help="Data to train on: patches cut from slides, where a user has outlined everything.", no_args_is_help=True
)

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
def weights_list(as_json: AsJson = False) -> None:
    """List the shipped models, with the default of each kind of object."""
    from nuclick_wsi.cli import models_view, screen

    if as_json:
        screen.print_json(models_view.plain_models())
    else:
        models_view.print_models(screen.Screen().out)


@weights_app.command("info")
def weights_info(
    model: Annotated[str, typer.Argument(help="Name of a shipped model, or a file.")], as_json: AsJson = False
) -> None:
    """Print a model's card: data and terms, settings, scores, limits."""
    from nuclick_wsi.cli import models_view, screen

    if as_json:
        screen.print_json(models_view.plain_card(model))
    else:
        models_view.print_card(screen.Screen().out, model)


@weights_app.command("path")
def weights_path(model: Annotated[str, typer.Argument(help="Name of a shipped model, or a file.")]) -> None:
    """Print where a model's file is."""
    from nuclick_wsi.models import card

    typer.echo(card.find_model(model))


@weights_app.command("import")
def weights_import(
    source: Annotated[Path, typer.Argument(help="A .pth of the paper's network, in nuclick_torch's layout.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors to write.")],
    kind: Annotated[ObjectKind, typer.Option(help="What the checkpoint was trained on; the file does not say.")],
) -> None:
    """Turn a checkpoint that others published into a model file; nothing in it is ever run."""
    from nuclick_wsi.models import checkpoints

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
    as_json: AsJson = False,
) -> None:
    """Show how each annotation would be read by `run`; write nothing."""
    from asap_bridge import inspection
    from asap_bridge.jobs import AsapChoice
    from asap_bridge.selection import GroupRule
    from nuclick_wsi.cli import screen
    from nuclick_wsi.cli.arguments import require_slide

    if slide is not None:
        require_slide(slide)
    choice = AsapChoice(objects, GroupRule(tuple(clicks_group or ()), tuple(squiggles_group or ())), slide, None)
    if as_json:
        screen.print_json(inspection.described_file(file, choice))
    else:
        inspection.inspect(screen.Screen().out, file, choice)


@qupath_app.command("install")
def qupath_install(
    user_dir: UserDir = None,
    qupath: Annotated[
        Path | None,
        typer.Option(help="Program of QuPath 0.5 or newer: it starts with NuClick from now on. Close QuPath first."),
    ] = None,
) -> None:
    """Put NuClick into the Extensions menu of each QuPath found; your own startup script is kept and called."""
    from qupath_extension import install

    if qupath is not None and user_dir is None:
        folders = [install.user_folder_of(qupath)]
    else:
        folders = install.find_user_folders(user_dir)
    for folder in folders:
        for remark in folder.install():
            typer.echo(remark)
        typer.echo(f"{folder.path}: installed")
    if qupath is None:
        typer.echo(f"QuPath 0.5 and newer, once: drag {install.STARTUP} from there onto QuPath and press Run.")
    else:
        typer.echo(folders[0].choose_startup(qupath))


@qupath_app.command("uninstall")
def qupath_uninstall(user_dir: UserDir = None) -> None:
    """Take NuClick out of QuPath again and put your own startup script back."""
    from qupath_extension import install

    for folder in install.find_user_folders(user_dir):
        if said := folder.forget_startup():
            typer.echo(said)
        kept = folder.uninstall()
        typer.echo(f"{folder.path}: {'was not installed' if kept is None else 'removed'}")
        for remark in kept or ():
            typer.echo(remark)


@qupath_app.command("status")
def qupath_status(user_dir: UserDir = None, as_json: AsJson = False) -> None:
    """Say which QuPath has NuClick in its menu."""
    from nuclick_wsi.cli.screen import print_json
    from qupath_extension import install

    folders = install.find_user_folders(user_dir)
    if as_json:
        print_json([{"folder": str(folder.path), "status": folder.presence().value} for folder in folders])
        return
    for folder in folders:
        typer.echo(f"{folder.path}: {folder.presence().value}")


@dataset_app.command("extract")
def dataset_extract(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="QuPath projects, ASAP's .xml or folders of them, folders of images/ and instance maps in labels/.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="The zarr store to make.")],
    model: Annotated[
        str | None, typer.Option(help="The model that the patches are for: it says kind and pixel size.")
    ] = None,
    kind: Annotated[ObjectKind | None, typer.Option(help="What the objects are, instead of --model.")] = None,
    patch_mpp: Annotated[
        float | None, typer.Option(help="Pixel size in um of the patches; else that of the model, or of the kind's.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Pixel size in um of slides and images that do not say theirs.")
    ] = None,
    force_mpp: Annotated[
        float | None, typer.Option(help="Pixel size in um of all slides and images, whatever they say.")
    ] = None,
    region_class: Annotated[
        list[str] | None,
        typer.Option(
            help="Class (ASAP: group) of the shapes in which everything is outlined; may be repeated. Else Region, "
            "Regions and QuPath's Region*."
        ),
    ] = None,
    objects_class: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="Class (ASAP: group) of the objects; may be repeated. Else every shape of a fitting size."
        ),
    ] = None,
    patch: Annotated[int, typer.Option(min=64, max=4096, help="Side of a patch in its pixels.")] = 512,
    split_by: Annotated[
        SplitBy,
        typer.Option(
            help="What is never in two parts: a patient, or only a slide; fixed: the parts of the project's own data."
        ),
    ] = SplitBy.PATIENT,
    patient_from: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="What finds the patient in an image's name, by its first group if it has one. Else TCGA's ids; a "
            "slide without one is a patient of its own.",
        ),
    ] = None,
    validation: Annotated[float, typer.Option(help="Share of the patients that choose settings.")] = 0.2,
    test: Annotated[float, typer.Option(help="Share of the patients that only judge.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other parts.")] = 0,
    slides: Annotated[Path | None, typer.Option(help="A folder to look in for slides that are elsewhere.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Cut patches with their instance maps out of slides, where an annotation says that everything is outlined.

    What lies outside such a region is marked as unknown and trains nothing; shapes of a class Ignore* are cut out of
    it. Exit code: 0 all well, 1 an image could not be used (it is named, the others are there), 2 wrong use.
    """
    from nuclick_training.datasets.split_assignment import SplitAssignment
    from nuclick_wsi.cli import dataset

    asked = dataset.ExtractRequest(
        sources=tuple(sources),
        target=to,
        model=model,
        kind=kind,
        patch_mpp=patch_mpp,
        mpp=mpp,
        force_mpp=force_mpp,
        regions=tuple(region_class or ()),
        classes=tuple(objects_class or ()),
        patch=patch,
        assignment=SplitAssignment(split_by, validation, test, seed),
        patient_from=patient_from,
        slides=slides,
        overwrite=overwrite,
    )
    raise typer.Exit(dataset.extract_dataset(asked, quiet))


@dataset_app.command("info")
def dataset_info(
    store: Annotated[Path, typer.Argument(help="A store that `dataset extract` made.")], as_json: AsJson = False
) -> None:
    """Say what is in a store, part by part; exit code 1 if a patient or a slide is in two parts."""
    from nuclick_wsi.cli import dataset

    raise typer.Exit(dataset.show_info(store, as_json))


@dataset_app.command("show")
def dataset_show(
    store: Annotated[Path, typer.Argument(help="A store that `dataset extract` made.")],
    to: Annotated[Path, typer.Option(help="The .png to write.")],
    part: Annotated[str | None, typer.Option(help="train, validation or test; else all.")] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="How many patches to show at most.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Another seed chooses other patches and clicks.")] = 0,
) -> None:
    """Draw patches with outlines and with the clicks or squiggles of a simulated user; dark is what is unknown."""
    from nuclick_wsi.cli import dataset

    dataset.show_sheet(store, to, part, count, seed)
