"""Commands about models: `evaluate`, `train` and `compare`, their arguments, options and help.

As in `app`, what a command needs is imported when it is called.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nuclick_wsi.choices import ClickAt
from nuclick_wsi.cli.options import AsJson, BatchSize, Device, Quiet, TestTimeAugmentation, Threads
from nuclick_wsi.prompts import ObjectKind


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
    tta: TestTimeAugmentation = False,
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


def train(context: typer.Context) -> None:
    """Train a model on labelled data, or a shipped one on, on objects that you corrected."""
    from nuclick_training import __main__ as training

    training.main(context.args, "nuclick-wsi train")


def compare(context: typer.Context) -> None:
    """Compare a model with other ways to outline: the same objects by all of them, and the paper's tables again."""
    from nuclick_training.comparison import __main__ as comparison

    comparison.main(context.args, "nuclick-wsi compare")
