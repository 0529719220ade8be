"""Commands about this machine: `demo`, `doctor`, `view` and `serve`, their arguments, options and help.

As in `app`, what a command needs is imported when it is called.
"""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_wsi.choices import DEFAULT_PORT, ModelTerms, Precision, ReaderChoice
from nuclick_wsi.cli.loading import loading
from nuclick_wsi.cli.options import (
    AsJson,
    Device,
    ModelChoice,
    PrecisionChoice,
    Quiet,
    TermsChoice,
    TestTimeAugmentation,
    Threads,
)
from nuclick_wsi.prompts import ObjectChoice


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo's project goes; made if need be.")] = Path(
        "nuclick-demo"
    ),
    device: Device = "auto",
    quiet: Quiet = False,
    view: Annotated[bool, typer.Option("--view", help="Open it in the browser, to go on clicking.")] = False,
) -> None:
    """Build a slide and a QuPath project from a real tissue picture, outline its clicks and squiggles, show where."""
    from nuclick_wsi.cli.demo import run_demo
    from nuclick_wsi.cli.screen import Screen

    code = run_demo(folder, device, Screen(quiet), opens_viewer=view)
    if view:
        from nuclick_wsi.cli.view import view_demo

        view_demo(folder, device)
    raise typer.Exit(code)


def doctor(as_json: AsJson = False) -> None:
    """Show what is installed and found (readers, devices, models, QuPath), and what to do about what is missing."""
    from nuclick_wsi.cli import doctor
    from nuclick_wsi.cli.screen import Screen

    raise typer.Exit(doctor.examine(Screen(as_json=as_json)))


def view(
    slide: Annotated[Path, typer.Argument(help="The slide to look at.")],
    prompts: Annotated[
        Path | None,
        typer.Option(help="Begin with the prompts of a file (.geojson, .csv, ASAP's .xml) or of a QuPath project."),
    ] = None,
    objects: Annotated[
        ObjectChoice, typer.Option("--object", help="What the points of --prompts are in; lines are glands.")
    ] = ObjectChoice.AUTO,
    mpp: Annotated[float | None, typer.Option(help="Pixel size in um, where neither project nor file says it.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes any free one.")] = 0,
    model: ModelChoice = None,
    terms: TermsChoice = ModelTerms.ANY,
    reader: Annotated[ReaderChoice, typer.Option(help="Which library opens the slide.")] = ReaderChoice.AUTO,
    device: Device = "auto",
    threads: Threads = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Say how to open the page, and open none.")] = False,
) -> None:
    """Mark objects on a slide in the browser, and see each outline as you click; nothing leaves this machine.

    What is marked is saved as you go, and there again when you come back.
    """
    with loading():
        from nuclick_wsi.cli.view import run_viewer
        from nuclick_wsi.server.server import ServerRequest

    asked = ServerRequest(port, (), tuple(model or ()), terms, device, threads, reader)
    run_viewer(slide, prompts, objects, mpp, asked, opens_browser=not no_browser)


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
    precision: PrecisionChoice = Precision.SINGLE,
    tta: TestTimeAugmentation = False,
    idle: Annotated[float | None, typer.Option(min=0.01, help="Stop after so many minutes without a request.")] = None,
) -> None:
    """Answer requests of programs on this machine, as QuPath's menu items send them, with models kept loaded.

    Requests need the token in the file that it names, and only slides below --allow are opened.
    """
    with loading():
        from nuclick_wsi.server import server
        from qupath_extension.requested_image import read_image

    models, allowed = tuple(model or ()), tuple(allow or ())
    asked = server.ServerRequest(port, allowed, models, terms, device, threads, reader, idle, precision, tta)
    server.serve(asked, read_image, lambda text: print(text, flush=True))
