"""A QuPath project, read from its own files: its images, where their slides are, and what the user drew.

Nothing here needs QuPath or Java, and nothing is written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.errors import ProjectError
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.json_values import Json, encodable, list_at, object_at, text_at
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.lookup import NOWHERE, SlideFolders
from qupath_extension.json_files import read_json
from qupath_extension.missing_data import lost_data, sign_of_lost_data
from qupath_extension.qpdata.contents import packed_color
from qupath_extension.qpdata.hierarchy import Color, ImageData, read_image_data
from qupath_extension.selection import prompts_of
from qupath_extension.server import Server, read_server
from qupath_extension.uris import find_slide

_ENTRY_ID = re.compile(r"[\w-][\w .-]{0,59}")
"""QuPath counts its entries; what else is no more than a name is taken, too."""


@dataclass(frozen=True, slots=True)
class ProjectImage:
    """One image of a project.

    Attributes
    ----------
    metadata
        What the user wrote down about the image, by key.
    server
        How QuPath opens the slide, with its size and pixel size.
    folder
        data/<entry id> of the project; it need not exist.
    project_file, previous_uri
        Where the .qpproj is, and where it was when QuPath wrote it: slides are looked up relative to both.
    """

    entry_id: str
    name: str
    description: str | None
    metadata: Mapping[str, str]
    server: Server
    folder: Path
    project_file: Path
    previous_uri: str | None

    @property
    def refusal(self) -> str | None:
        """Why prompts on this image cannot be used, and what to do; None where they can."""
        return self.server.refusal

    @property
    def pixel_size(self) -> PixelSize | None:
        """The pixel size that the project has, perhaps set by the user; None where it has none."""
        return self.server.pixel_size

    @property
    def size(self) -> Size | None:
        """The size in slide pixels (level 0) as QuPath shows it; None where the project does not say."""
        return self.server.size

    @property
    def identity(self) -> str:
        """The image's key in the journal; it stays the same where the user renames the image."""
        return f"entry {self.entry_id}"

    @property
    def data_path(self) -> Path:
        """Where QuPath saves what the user drew."""
        return self.folder / "data.qpdata"

    def find_slide(self, folders: SlideFolders = NOWHERE) -> Path:
        """Return the slide's file, looked for in its place, relative to the project, and by name in `folders`.

        Raises
        ------
        SlideError
            It is nowhere, not a file, or not the only one of its name.
        """
        return find_slide(self.server.uri, self.project_file, self.previous_uri, folders)

    def read_data(self) -> ImageData:
        """Read what QuPath has saved of the image; empty where its folder is there and nothing was saved yet.

        Raises
        ------
        ProjectError
            The file cannot be read, is cut short or damaged, or has been lost.
        """
        if not self.data_path.exists() and not any(self.folder.glob("data.qpdata.b*")):
            sign = sign_of_lost_data(self.folder)
            if sign is not None:
                raise lost_data(self.data_path, sign)
            return ImageData((), {})
        return read_image_data(self.data_path)

    def prompts(self, choice: ObjectChoice) -> PromptSet:
        """Read the prompts that the user drew on the image; errors as `read_data`."""
        return prompts_of(self.read_data().objects, choice)


@dataclass(frozen=True, slots=True)
class Project:
    """A project: the .qpproj, its images, and the colours of the classes that it offers."""

    path: Path
    version: str | None
    images: tuple[ProjectImage, ...]
    class_colors: Mapping[str, Color]

    @property
    def folder(self) -> Path:
        """The folder that holds everything of the project."""
        return self.path.parent


def read_project(path: Path) -> Project:
    """Read a project, but none of its images' data.

    Parameters
    ----------
    path
        The .qpproj, or the folder that holds exactly one.

    Raises
    ------
    ProjectError
        There is none, or it cannot be read as one.
    """
    project_file = _project_file(path)
    content = read_json(project_file)
    version = text_at(content, "version")
    entries = content.get("images")
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise ProjectError(
            f"{project_file} is not a project that can be read: it has no list of images with an entryID and a "
            f"serverBuilder ({f'QuPath {version}' if version else 'no QuPath version'} wrote it). Projects of QuPath "
            "0.2 to 0.7 can; older ones after QuPath has opened and saved them."
        )
    images = tuple(_image(entry, project_file, text_at(content, "uri")) for entry in entries)
    return Project(project_file, version, images, _class_colors(project_file.parent))


def _project_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise ProjectError(f"{path} does not exist: give a .qpproj or the folder that holds one.")
    found = sorted(one for one in path.glob("*.qpproj") if one.is_file())
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in found)
    seen = f"holds {len(found)} projects ({names}): give one of them" if found else "holds no .qpproj"
    raise ProjectError(f"{path} {seen}.")


def _is_entry(entry: object) -> bool:
    # An id is a folder's name under data/, so it must not lead elsewhere.
    if not isinstance(entry, dict) or "serverBuilder" not in entry:
        return False
    entry_id = entry.get("entryID")
    return isinstance(entry_id, int | str) and _ENTRY_ID.fullmatch(str(entry_id)) is not None


def _image(entry: Json, project_file: Path, previous_uri: str | None) -> ProjectImage:
    entry_id = str(entry["entryID"])
    folder = project_file.parent / "data" / entry_id
    server = read_server(object_at(entry, "serverBuilder"), folder / "server.json")
    metadata = object_at(entry, "metadata")
    return ProjectImage(
        entry_id=entry_id,
        name=text_at(entry, "imageName") or server.name or f"image {entry_id}",
        description=text_at(entry, "description"),
        metadata={encodable(key): encodable(value) for key, value in metadata.items() if isinstance(value, str)},
        server=server,
        folder=folder,
        project_file=project_file,
        previous_uri=previous_uri,
    )


def _class_colors(folder: Path) -> dict[str, Color]:
    path = folder / "classifiers" / "classes.json"
    if not path.exists():
        return {}
    found = {}
    for entry in list_at(read_json(path), "pathClasses"):
        if not isinstance(entry, dict):
            continue
        name, color = text_at(entry, "name"), packed_color(entry.get("color"))
        if name is not None and color is not None:
            found[name] = color
    return found
