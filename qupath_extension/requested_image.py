"""Reading the image of a request to the local server, as QuPath's menu items describe it: by its server builder."""

from pathlib import Path

from nuclick_wsi.errors import RequestError
from nuclick_wsi.json_values import Json
from nuclick_wsi.server.segment_request import ImageAsked
from nuclick_wsi.slides.slide import Frame
from qupath_extension.server import read_server
from qupath_extension.uris import path_of_uri


def read_image(builder: Json) -> ImageAsked:
    """Return the slide that a server builder of QuPath opens.

    Raises
    ------
    RequestError
        If it is not a plain slide, or not a file of this machine.
    """
    server = read_server(builder)
    if server.refusal is not None:
        raise RequestError(f"The image is refused: {server.refusal}.")
    path = Path(str(path_of_uri(server.uri)))
    if not path.is_absolute():
        raise RequestError(f"{server.uri} is no full path on this machine; the server reads the slides that it has.")
    frame = Frame.BOUNDS if server.crops_to_bounds else Frame.FULL
    return ImageAsked(path, frame, server.size, server.pixel_size)
