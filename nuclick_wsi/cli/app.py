"""The main commands of the command line: their arguments, options and help.

This module imports nothing heavy, so that `--help` answers at once; what a command needs is imported when it is called.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nuclick_wsi.choices import (
    DEFAULT_PORT,
    LOOK_AT_BELOW,
    ClickAt,
    GlandMode,
    ModelTerms,
    ObjectType,
    ProjectAccess,
    ReaderChoice,
)
from nuclick_wsi.cli.groups import ClicksGroup, SquigglesGroup, asap_app, dataset_app, qupath_app, weights_app
from nuclick_wsi.cli.options import AsJson, Quiet, Threads, Verbose
from nuclick_wsi.cli.run_file import take_config, take_target
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.prompts import ObjectChoice, ObjectKind

app = typer.Typer(
    name="nuclick-wsi",
    help="Clicks and squiggles on a whole slide become exact outlines of nuclei, cells and glands.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(weights_app, name="weights")
app.add_typer(qupath_app, name="qupath")
app.add_typer(asap_app, name="asap")
app.add_typer(dataset_app, name="dataset")


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"nuclick-wsi {version_of('nuclick-wsi')}")
        raise typer.Exit


Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Crops per batch; no result depends on it.")]
ModelChoice = Annotated[
    list[str] | None,
    typer.Option("--model", help="Name of a shipped model or a .safetensors file, one for each kind of object."),
]
TermsChoice = Annotated[
    ModelTerms,
    typer.Option("--terms", help="open: take only models that may be used for anything; `weights list` shows which."),
]


@app.command()
def run(
    target: Annotated[
        Path,
        typer.Argument(
            help="A QuPath project (.qpproj or its folder), ASAP's .xml or a folder of them, prompts as .geojson or "
            ".csv, or a .toml of these options with a target.",
            callback=take_target,
            is_eager=True,
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            help="A .toml of options (mpp = 0.25); those of the command line count before it, and paths in it are as "
            "seen from it.",
            callback=take_config,
            is_eager=True,
        ),
    ] = None,
    slide: Annotated[Path | None, typer.Option(help="The slide of a prompts file, or of ASAP's.")] = None,
    slides: Annotated[Path | None, typer.Option(help="A folder to look in for slides that are elsewhere.")] = None,
    clicks_group: ClicksGroup = None,
    squiggles_group: SquigglesGroup = None,
    objects: Annotated[
        ObjectChoice,
        typer.Option(
            "--object",
            help="What to outline; auto: points are nuclei, lines are glands; cell+nucleus: the cell around each "
            "point and its nucleus, in QuPath one cell object.",
        ),
    ] = ObjectChoice.AUTO,
    model: ModelChoice = None,
    terms: TermsChoice = ModelTerms.ANY,
    image: Annotated[list[str] | None, typer.Option(help="Only the image of this name; may be repeated.")] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Pixel size in um, for slides where neither project nor file says one.")
    ] = None,
    force_mpp: Annotated[
        float | None, typer.Option(help="Pixel size in um of all slides, whatever project and file say.")
    ] = None,
    reader: Annotated[ReaderChoice, typer.Option(help="Which library opens the slides.")] = ReaderChoice.AUTO,
    device: Device = "auto",
    batch_size: BatchSize = None,
    threads: Threads = None,
    as_type: Annotated[ObjectType, typer.Option("--as", help="What outlines become in QuPath.")] = ObjectType.DETECTION,
    gland_mode: Annotated[
        GlandMode, typer.Option(help="Large glands: scaled down to one crop, or tiled at full resolution.")
    ] = GlandMode.CROP,
    threshold: Annotated[
        float | None, typer.Option(help="Least probability of an object; else the model's own.")
    ] = None,
    smallest: Annotated[
        str | None, typer.Option(help="Smallest object, such as 8um2 or 50px; else the model's own.")
    ] = None,
    fill_holes: Annotated[str | None, typer.Option(help="Largest hole to fill, such as 2um2 or 30px.")] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            help="How far outlines may leave the threshold for fewer vertices, in the model's pixels; 0 to 1."
        ),
    ] = 0.1,
    pixel_edges: Annotated[
        bool,
        typer.Option("--pixel-edges", help="Outlines along the edges of the model's pixels, not between pixels."),
    ] = False,
    look_at_below: Annotated[
        float,
        typer.Option(
            help="Outlines whose sureness (the Dice that they may reach, 0 to 1) is below this are worth a look."
        ),
    ] = LOOK_AT_BELOW,
    out: Annotated[
        Path | None, typer.Option(help="Folder of results; else `nuclick` in the project, or beside the prompts.")
    ] = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="Also write pictures of each image: an overview, contact sheets of the outlines that the network is "
            "least sure of and of each class, and an HTML page with all of them and the rejections.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")] = False,
    project_access: Annotated[
        ProjectAccess,
        typer.Option(help="A project through QuPath (paquo), into its hierarchy; or through its files, as GeoJSON."),
    ] = ProjectAccess.AUTO,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Outline every prompt anew, also where nothing has changed since a run.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Outline every click and squiggle of a project, of ASAP's annotations, or of a file of prompts.

    Results for ASAP go into its own file, in groups named NuClick.

    Exit code: 0 all well (prompts that have no outline are listed, with the reason), 1 an image failed or was
    refused, 2 wrong use.
    """
    from nuclick_wsi.cli.run import RunRequest, mask_settings, run_target
    from nuclick_wsi.cli.screen import Screen
    from nuclick_wsi.segmentation.settings import OutlineSettings

    asked = RunRequest(
        target=target,
        slide=slide,
        slides=slides,
        clicks_groups=tuple(clicks_group or ()),
        squiggles_groups=tuple(squiggles_group or ()),
        objects=objects,
        models=tuple(model or ()),
        terms=terms,
        images=tuple(image or ()),
        mpp=mpp,
        force_mpp=force_mpp,
        reader=reader,
        device=device,
        batch_size=batch_size,
        threads=threads,
        as_type=as_type,
        masks=mask_settings(threshold, smallest, fill_holes),
        gland_mode=gland_mode,
        outlines=OutlineSettings(tolerance, pixel_edges),
        look_at_below=look_at_below,
        out=out,
        preview=preview,
        dry_run=dry_run,
        fresh=fresh,
        project_access=project_access,
    )
    raise typer.Exit(run_target(asked, Screen(quiet, verbose, as_json)))


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="ASAP's .xml, QuPath's .geojson, or a QuPath project."),
    ],
    target: Annotated[
        Path, typer.Argument(help="The .geojson or .xml to write; for a project, a folder.", metavar="OUT")
    ],
    slide: Annotated[
        Path | None, typer.Option(help="The slide, if it is not beside the .xml; QuPath counts from where it starts.")
    ] = None,
    slides: Annotated[Path | None, typer.Option(help="A folder to look in for a project's slides.")] = None,
    clicks_group: ClicksGroup = None,
    squiggles_group: SquigglesGroup = None,
) -> None:
    """Turn ASAP's annotations into QuPath's or the other way, and say what the other cannot hold."""
    from nuclick_wsi.cli import convert

    asked = convert.ConvertRequest(
        source, target, slide, slides, tuple(clicks_group or ()), tuple(squiggles_group or ())
    )
    raise typer.Exit(convert.convert(asked))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Name of a shipped model, or a file.")],
    data: Annotated[Path, typer.Argument(help="A folder of images/ and instance maps of the same names in labels/.")],
    split: Annotated[
        str, typer.Option(help="train, validation or test of a data set that the project divides; or all.")
    ] = "all",
    objects: Annotated[ObjectKind | None, typer.Option("--object", help="Else what the model is for.")] = None,
    mpp: Annotated[
        str | None,
        typer.Option(
            help="Pixel size in um of the images, unless it is known; auto scales each image until its median object "
            "has the usual size."
        ),
    ] = None,
    click_at: Annotated[ClickAt, typer.Option(help="Where each object is clicked.")] = ClickAt.CENTROID,
    jitter: Annotated[
        str | None,
        typer.Option(help="Distances in pixels, such as 1,3,5,10: once more with clicks moved by each of them."),
    ] = None,
    no_exclusion: Annotated[
        bool, typer.Option("--no-exclusion", help="Leave exclusion maps empty: no prompt sees another.")
    ] = False,
    tta: Annotated[bool, typer.Option("--tta", help="Take the mean of all eight turns and flips.")] = False,
    registered: Annotated[
        bool,
        typer.Option("--registered", help="First move each map of dark objects onto its image, by the contrast alone."),
    ] = False,
    threshold: Annotated[float | None, typer.Option(help="Else the model's own.")] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="A folder for scores.csv, scores.json and, where matplotlib is installed, figures."),
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a model: the engine outlines every object of labelled images from simulated clicks or squiggles."""
    from nuclick_training.evaluation.evaluate import Evaluation
    from nuclick_training.fitting.pixel_sizes import parse_mpp
    from nuclick_training.sampling.simulate import parse_jitter
    from nuclick_wsi.cli.evaluate import evaluate_model
    from nuclick_wsi.cli.screen import Screen

    asked = Evaluation(
        model=model,
        data=data,
        mpp=parse_mpp(mpp),
        split=split,
        kind=objects,
        click_at=click_at,
        threshold=threshold,
        jitter=parse_jitter(jitter),
        exclusion=not no_exclusion,
        tta=tta,
        registered=registered,
        device=device,
        batch_size=batch_size,
        threads=threads,
    )
    evaluate_model(asked, save, shlex.join(["nuclick-wsi", *sys.argv[1:]]), Screen(quiet, as_json=as_json))


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def train(context: typer.Context) -> None:
    """Train a model on labelled data, or a shipped one on, on objects that you corrected: fit, finish, fine-tune."""
    from nuclick_training import __main__ as training

    training.main(context.args, "nuclick-wsi train")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo's project goes; made if need be.")] = Path(
        "nuclick-demo"
    ),
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Build a slide and a QuPath project from a real tissue picture, outline its clicks and squiggles, show where."""
    from nuclick_wsi.cli.demo import run_demo
    from nuclick_wsi.cli.screen import Screen

    raise typer.Exit(run_demo(folder, device, Screen(quiet)))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what is installed and found (readers, devices, models, QuPath), and what to do about what is missing."""
    from nuclick_wsi.cli import doctor
    from nuclick_wsi.cli.screen import Screen

    raise typer.Exit(doctor.examine(Screen(as_json=as_json)))


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes any free one.")] = DEFAULT_PORT,
    allow: Annotated[
        list[Path] | None, typer.Option(help="A folder below which slides may be opened; may be repeated.")
    ] = None,
    model: ModelChoice = None,
    terms: TermsChoice = ModelTerms.ANY,
    reader: Annotated[ReaderChoice, typer.Option(help="Which library opens the slides.")] = ReaderChoice.AUTO,
    device: Device = "auto",
    threads: Threads = None,
    idle: Annotated[float | None, typer.Option(min=0.01, help="Stop after so many minutes without a request.")] = None,
) -> None:
    """Answer requests of programs on this machine, as QuPath's menu items send them, with models kept loaded.

    Requests need the token in the file that it names, and only slides below --allow are opened.
    """
    from nuclick_wsi.server import server
    from qupath_extension.requested_image import read_image

    asked = server.ServerRequest(port, tuple(allow or ()), tuple(model or ()), terms, device, threads, reader, idle)
    server.serve(asked, read_image, lambda text: print(text, flush=True))


def main() -> None:
    """Run the command line; a user's mistake is one message, never a traceback."""
    try:
        app()
    except NuclickError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
