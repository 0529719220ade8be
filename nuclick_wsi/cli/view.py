"""The command `view`: the viewer of one slide, as its options ask for it."""

import webbrowser
from pathlib import Path

from nuclick_wsi.demo import PROJECT, SLIDE
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.server.server import ServerRequest
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize
from nuclick_wsi.viewer.launch import ViewRequest, view
from nuclick_wsi.viewer.marks import MarkObject
from qupath_extension.requested_image import read_image

_CLICKS_ARE = {
    ObjectChoice.AUTO: MarkObject.NUCLEUS,
    ObjectChoice.NUCLEUS: MarkObject.NUCLEUS,
    ObjectChoice.CELL: MarkObject.CELL,
    ObjectChoice.CELL_AND_NUCLEUS: MarkObject.CELL_AND_NUCLEUS,
}


def run_viewer(
    slide: Path,
    prompts: Path | None,
    objects: ObjectChoice,
    mpp: float | None,
    server: ServerRequest,
    *,
    opens_browser: bool = True,
) -> None:
    """Run the viewer until it is interrupted.

    Raises
    ------
    NuclickError
        If what was asked for cannot be had.
    """
    if objects not in _CLICKS_ARE:
        raise SettingsError("--object says what points are in, and a gland is marked by a line: leave it out.")
    asked = ViewRequest(slide, server, prompts, _CLICKS_ARE[objects], GivenPixelSize.of_options(mpp, None))
    view(asked, read_image, lambda text: print(text, flush=True), webbrowser.open if opens_browser else None)


def view_demo(folder: Path, device: str) -> None:
    """Run the viewer on the demo's slide with the prompts of its project; the demo has been built before."""
    run_viewer(folder / SLIDE, folder / PROJECT, ObjectChoice.AUTO, None, ServerRequest(0, device=device))
