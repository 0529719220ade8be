"""Starting the viewer: the local server with the routes of the page, for one slide, and the browser."""

import html
import os
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nuclick_wsi.errors import NotAllowedError, ResultError, SettingsError
from nuclick_wsi.files import temporary_beside
from nuclick_wsi.paths import existing
from nuclick_wsi.server.auth import AllowedFolders, Token, state_folder
from nuclick_wsi.server.auth_middleware import HOST, AuthMiddleware
from nuclick_wsi.server.segment_request import ReadImage
from nuclick_wsi.server.server import ServerRequest, listen, make_app, make_registry, make_server, spare_what_is_loaded
from nuclick_wsi.server.service import Service
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize
from nuclick_wsi.viewer.loading import Loaded, load
from nuclick_wsi.viewer.marks import MarkObject
from nuclick_wsi.viewer.opened_slide import OpenedSlide, is_project, open_for_viewing
from nuclick_wsi.viewer.outlining import Outliner
from nuclick_wsi.viewer.page import Page
from nuclick_wsi.viewer.project_marks import ProjectMarks
from nuclick_wsi.viewer.routes import is_public, page_routes
from nuclick_wsi.viewer.saved_work import SavedWork
from nuclick_wsi.viewer.tiles import Tiles
from qupath_extension.project import read_project


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """What `nuclick-wsi view` was asked to do.

    Attributes
    ----------
    prompts
        A file of prompts or a QuPath project; None to begin with nothing.
    clicks_are
        What the points of that file are in.
    server
        Port, models, device and reader.
    """

    slide: Path
    server: ServerRequest
    prompts: Path | None = None
    clicks_are: MarkObject = MarkObject.NUCLEUS
    pixel_size: GivenPixelSize | None = None


@dataclass(frozen=True, slots=True)
class PageSetup:
    """What a page starts with.

    Attributes
    ----------
    begun_with, opened_with
        Marks, and the file that they are of.
    clicks_are
        What the points of that file are in.
    """

    token: Token
    port: int
    begun_with: Loaded = field(default_factory=lambda: Loaded(()))
    opened_with: Path | None = None
    clicks_are: MarkObject = MarkObject.NUCLEUS


class OneSlide(AllowedFolders):
    """Admits one slide and nothing else."""

    def __init__(self, slide: Path) -> None:
        self.folders: tuple[Path, ...] = ()
        self._slide = slide

    def admit(self, path: Path) -> Path:
        """Return the slide's path; NotAllowedError for any other."""
        if Path(os.path.normpath(path)) != self._slide:
            raise NotAllowedError(path, path.parent, (self._slide,))
        return self._slide


def view(
    asked: ViewRequest,
    read_image: ReadImage,
    say: Callable[[str], None],
    show: Callable[[str], object] | None = webbrowser.open,
) -> None:
    """Run the viewer until it is interrupted.

    Parameters
    ----------
    read_image
        Reads a client's description of an image, for the server's other requests.
    say
        Told where the page is, once it answers.
    show
        Opens an address in the browser; None where the user does.

    Raises
    ------
    NuclickError
        If slide, prompts, port, models or device cannot be had.
    """
    prompts = None if asked.prompts is None else existing(asked.prompts)
    if prompts is not None and not prompts.exists():
        raise SettingsError(f"--prompts {prompts}: there is no such file. Check the path.")
    slide = open_for_viewing(asked.slide, prompts, asked.pixel_size, asked.server.reader)
    begun_with = Loaded(()) if prompts is None else load(prompts, slide, asked.clicks_are)
    token = Token(state_folder())
    with listen(asked.server.port) as listener:
        port: int = listener.getsockname()[1]
        slides = SlideCache(asked.server.reader)
        setup = PageSetup(token, port, begun_with, prompts, asked.clicks_are)
        middleware = make_viewer(asked.server, slide, slides, read_image, setup)
        server = make_server(middleware)
        with _way_in(token, port) as file:
            say(f"{slide.path.name}: http://{HOST}:{port}\nOpen in a browser: {file}\nCtrl-C ends it.")
            if show is not None:
                show(file.as_uri())
            spare_what_is_loaded()
            server.run(sockets=[listener])
        slides.close()


def make_viewer(
    asked: ServerRequest,
    slide: OpenedSlide,
    slides: SlideCache,
    read_image: ReadImage,
    setup: PageSetup,
) -> AuthMiddleware:
    """Return the application of a page with its server's, behind authentication."""
    token, opened_with = setup.token, setup.opened_with
    registry = make_registry(asked)
    service = Service(registry, slides, OneSlide(slide.path), read_image)
    tiles = Tiles(slides, slide.path, slide.frame)
    project = None
    if opened_with is not None and is_project(opened_with):
        opened_with = read_project(opened_with).path  # the same work, whether its folder was named or its file
        project = ProjectMarks(opened_with, slide, setup.clicks_are)
    saved = SavedWork(token.path.parent / "views", slide.path, slide.fingerprint, opened_with and opened_with.resolve())
    page = Page(
        slide,
        registry,
        Outliner(service, registry, slide),
        tiles,
        saved,
        setup.begun_with,
        opened_with,
        setup.clicks_are,
        project,
    )
    return AuthMiddleware(make_app(service, more_routes=page_routes(page)), token, setup.port, is_public)


@contextmanager
def _way_in(token: Token, port: int) -> Iterator[Path]:
    """Lend a file, for the user's eyes alone, that leads a browser to the page with the token.

    An address with the token on a command line could be read by every user of the machine.
    """
    path = token.path.with_name(f"view-{port}.html")
    address = html.escape(f"http://{HOST}:{port}/#token={token.value}")
    page = f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={address}">'
    try:
        with temporary_beside(path) as temporary:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{page}\n<title>nuclick-wsi</title>")
            temporary.replace(path)
    except OSError as error:
        raise ResultError(f"{path}: cannot be written ({error.strerror or error}).") from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
