"""The command line: all commands, and the arguments, options and help of `run` and `convert`.

This module imports nothing heavy, so that `--help` answers at once; what a command needs is imported when it is called.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nuclick_wsi.choices import (
    LOOK_AT_BELOW,
    GlandMode,
    LabelsVersion,
    ModelTerms,
    ObjectType,
    Precision,
    ProjectAccess,
    ReaderChoice,
)
from nuclick_wsi.cli.groups import ClicksGroup, SquigglesGroup, asap_app, dataset_app, qupath_app, weights_app
from nuclick_wsi.cli.loading import loading
from nuclick_wsi.cli.local_commands import demo, doctor, serve, view
from nuclick_wsi.cli.model_commands import compare, evaluate, train
from nuclick_wsi.cli.options import (
    AsJson,
    BatchSize,
    Cluster,
    Device,
    Exports,
    Labels,
    LabelsVersionChoice,
    ModelChoice,
    PrecisionChoice,
    Quiet,
    TermsChoice,
    TestTimeAugmentation,
    Threads,
    Verbose,
)
from nuclick_wsi.cli.run_file import take_config, take_target
from nuclick_wsi.cli.stopping import Stopped, raise_on_signals
from nuclick_wsi.cli.target_commands import convert, status
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.prompts import ObjectChoice

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
    precision: PrecisionChoice = Precision.SINGLE,
    tta: TestTimeAugmentation = False,
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
    labels: Labels = None,
    labels_version: LabelsVersionChoice = LabelsVersion.V05,
    export: Exports = None,
    cluster: Cluster = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")] = False,
    project_access: Annotated[
        ProjectAccess,
        typer.Option(help="A project through QuPath (paquo), into its hierarchy; or through its files, as GeoJSON."),
    ] = ProjectAccess.AUTO,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Outline every prompt anew, also where nothing has changed since a run.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Only the images that failed in the last run, or were incomplete.")
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
    with loading():
        from nuclick_wsi.cli.run import mask_settings, run_target
        from nuclick_wsi.cli.run_request import RunRequest
        from nuclick_wsi.cli.screen import Screen
        from nuclick_wsi.exports.export import ExportChoice
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
        precision=precision,
        tta=tta,
        batch_size=batch_size,
        threads=threads,
        as_type=as_type,
        masks=mask_settings(threshold, smallest, fill_holes),
        gland_mode=gland_mode,
        outlines=OutlineSettings(tolerance, pixel_edges),
        look_at_below=look_at_below,
        out=out,
        preview=preview,
        exports=ExportChoice(labels, labels_version, tuple(export or ())),
        cluster=cluster,
        dry_run=dry_run,
        fresh=fresh,
        retry_failed=retry_failed,
        project_access=project_access,
    )
    raise typer.Exit(run_target(asked, Screen(quiet, verbose, as_json)))


app.command()(convert)
app.command()(status)
app.command()(evaluate)
for handing_on in (train, compare):
    app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
        handing_on
    )
app.command()(demo)
app.command()(doctor)
app.command()(view)
app.command()(serve)


def main() -> None:
    """Run the command line; a user's mistake is one message, never a traceback, and so is an interruption."""
    raise_on_signals()
    try:
        app()
    except NuclickError as error:
        _complain(f"error: {error}")
        sys.exit(error.exit_code)
    except Stopped as stopped:
        _complain(f"Stopped by {stopped}. What was done is kept.")
        sys.exit(stopped.exit_code)


def _complain(text: str) -> None:
    Console(stderr=True).print(text, style="red", highlight=False, markup=False, soft_wrap=True)
