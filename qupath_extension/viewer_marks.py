"""Prompts that the viewer has added to an image of a project, and which of those drawn there it leaves out.

They are in a file of the project's folder `nuclick`, beside the results: what is drawn in QuPath is never changed. A
run counts them as prompts of the image, and so do the viewer and QuPath once it has taken them in.
"""

import glob
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from nuclick_wsi.errors import FileChangedError, PromptError
from nuclick_wsi.files import back_up
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.drawings import Drawing, Found, prompts_of_drawings
from nuclick_wsi.formats.geojson_parts import parse_json
from nuclick_wsi.formats.prompt_geojson import drawings_of_content
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.json_values import Json
from nuclick_wsi.ownership import ResultPlace, choose_place, find_ours
from nuclick_wsi.prompts import ObjectChoice, ObjectKind, id_beside
from nuclick_wsi.seals import sealed
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged
from qupath_extension.project import ProjectImage
from qupath_extension.qpdata.hierarchy import ImageData, PathObject
from qupath_extension.result_files import image_stem
from qupath_extension.selection import drawings_of

TAKEN_IN = "NuClick: Viewer marks"
"""The property of an image in QuPath that holds the digest of the file that was taken in."""
VIEWER_MARK = "NuClick: Viewer mark"
"""The measurement by which QuPath tells that a mark is as the viewer made it; another than that of outlines."""
GENERATOR = "nuclick-wsi view"
"""Not that of results: the script that imports those goes by it."""
LEFT_OUT = "left out in the viewer"
"""What a run leaves alone because the viewer's user deleted it, or put another mark in its place."""
_EMPTY = b'"features":[]}'


@dataclass(frozen=True, slots=True)
class ViewerMarks:
    """What the viewer's file says of an image.

    Attributes
    ----------
    drawings
        Those added that QuPath does not have yet.
    left_out
        Ids of prompts drawn in QuPath that were moved, deleted or given another class in the viewer.
    path
        The file; None where there is none.
    seen
        What it held.
    stranger
        A file under its name that is not the viewer's, or has lost what says so: its marks do not count.
    """

    drawings: Sequence[Drawing] = ()
    left_out: Collection[str] = ()
    class_colors: Mapping[str, Color] = field(default_factory=dict)
    path: Path | None = None
    seen: Stamp | None = None
    stranger: Path | None = None

    @property
    def remarks(self) -> Sequence[str]:
        """What the user is to know of it, a clause each."""
        if self.stranger is not None:
            return (f"{self.stranger} is not as the viewer writes it for this image: the marks in it do not count",)
        if not self.drawings and not self.left_out:
            return ()
        added, without = len(self.drawings), len(self.left_out)
        return (f"marks of the viewer: {added} added, {without} of QuPath's left out ({self.path})",)

    def drawings_among(self, objects: Sequence[PathObject]) -> Found:
        """Return all that is drawn on the image, what is left out too."""
        found = drawings_of(objects)
        return replace(found, drawings=(*found.drawings, *self.drawings))

    def prompts_among(self, objects: Sequence[PathObject], choice: ObjectChoice) -> PromptSet:
        """Return the prompts of the image that `choice` asks for."""
        found = self.drawings_among(objects)
        prompts = prompts_of_drawings(found.drawings, choice, found.left_alone)
        gone = {*self.left_out, *(id_beside(one, kind) for one in self.left_out for kind in ObjectKind)}
        kept = tuple(one for one in prompts.prompts if one.id not in gone)
        left_alone = {**prompts.left_alone}
        if len(kept) < len(prompts.prompts):
            left_alone[LEFT_OUT] = len(prompts.prompts) - len(kept)
        return replace(prompts, prompts=kept, left_alone=left_alone)


def viewer_marks_of(image: ProjectImage, data: ImageData) -> ViewerMarks:
    """Read what the viewer has added to an image.

    Parameters
    ----------
    data
        What is drawn on it: what is there already, and what QuPath says that it has taken in, is not added again.

    Raises
    ------
    PromptError
        If the file is damaged.
    """
    path = _place(image)
    if find_ours(path, _source(image)) != path:
        return ViewerMarks(stranger=path if path.exists() else None)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PromptError(f"{path}: cannot be read ({error.strerror or error}).") from error
    try:
        parsed = parse_json(content, str(path))
        found = drawings_of_content(parsed, str(path))
    except PromptError as error:
        raise PromptError(
            f"{path} has the marks that the viewer saved, and is damaged ({error.__cause__ or 'it is no GeoJSON'}). "
            "Put a copy of it back, or move it away to go on without its marks; where the viewer still offers them, "
            "export them there."
        ) from error
    left_out = parsed.get("left_out", {}) if isinstance(parsed, dict) else {}
    if not isinstance(left_out, dict):
        raise PromptError(f"{path}: left_out is {left_out!r:.40}, not an object with ids of prompts.")
    is_taken = data.properties.get(TAKEN_IN) == hashlib.sha256(content).hexdigest()
    known = {one.id for one in data.objects}
    drawings = () if is_taken else tuple(one for one in found.drawings if one.source not in known)
    return ViewerMarks(drawings, frozenset(left_out), found.class_colors, path, Stamp.of(content))


def write_viewer_marks(
    image: ProjectImage, features: Sequence[Json], left_out: Mapping[str, Json], seen: Stamp | None
) -> ResultPlace:
    """Put marks in the place of those that were added before; return where. The same ones change nothing.

    Parameters
    ----------
    features
        One annotation for each mark, under an id of its own.
    left_out
        Prompts that are drawn in QuPath, by id: `source`, the id of the annotation, and a position `at`.
    seen
        What the file held when it was read.

    Raises
    ------
    FileChangedError
        If another program has saved the file since.
    ResultError
        If it cannot be written.
    """
    place = choose_place(_place(image), _source(image))
    if place.seen != seen:
        raise FileChangedError(f"{place.path} has changed since it was read, so it is not overwritten. Save once more.")
    head = {"type": "FeatureCollection", "generator": GENERATOR, "seal": place.seal}
    in_order = sorted(features, key=lambda one: str(one["id"]))
    said = {"left_out": {one: left_out[one] for one in sorted(left_out)}, "features": in_order}
    content = sealed(orjson.dumps({**head, **said}))
    if not features and not left_out and place.seen is None:
        return replace(place, remarks=())  # of a file that was not written
    if not features and place.seen is not None and not place.path.read_bytes().endswith(_EMPTY):
        back_up(place.path)  # unlike results, marks cannot be computed again
    replace_if_unchanged(place.path, content, place.seen)
    return place


def _place(image: ProjectImage) -> Path:
    """Return where the file is or will be: under the name that the image had when it was made."""
    folder = image.project_file.parent / "nuclick"
    wanted = folder / f"{image_stem(image)}.prompts.geojson"
    alike = sorted(folder.glob(f"{glob.escape(image.entry_id)} *.prompts*.geojson")) if folder.is_dir() else []
    found = (find_ours(path, _source(image)) for path in (wanted, *alike))
    return next((path for path in found if path is not None), wanted)


def _source(image: ProjectImage) -> str:
    return f"the viewer's marks on entry {image.entry_id}"
