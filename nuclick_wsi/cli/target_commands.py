"""Commands about what a run works on: `status` and `convert`, their arguments, options and help.

As in `app`, what a command needs is imported when it is called.
"""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_wsi.cli.groups import ClicksGroup, SquigglesGroup
from nuclick_wsi.cli.options import AsJson


def status(
    target: Annotated[Path, typer.Argument(help="What was run: a project, ASAP's .xml or a folder of them, prompts.")],
    slide: Annotated[Path | None, typer.Option(help="The slide of a prompts file, as in the run.")] = None,
    slides: Annotated[Path | None, typer.Option(help="The folder of slides, as in the run.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of results, as in the run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say of each image whether it is done, failed (and why) or waiting, and whether a run is at work just now."""
    from nuclick_wsi.cli.screen import Screen
    from nuclick_wsi.cli.status import request_of, show_status

    show_status(request_of(target, slide, slides, out), Screen(as_json=as_json))


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
