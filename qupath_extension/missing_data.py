"""Whether an image without a data.qpdata was never saved, or has lost it: a project that was copied by half.

QuPath makes an image's folder when it draws its thumbnail, which it does while it imports the image. It saves
data.qpdata first and then summary.json, which counts what is in it.
"""

from pathlib import Path

from nuclick_wsi.errors import ProjectError
from nuclick_wsi.json_values import object_at
from qupath_extension.json_files import read_json


def sign_of_lost_data(folder: Path) -> str | None:
    """Return what shows that an image may have had a data.qpdata with objects; None where nothing does.

    An image whose whole folder is missing may have had one: scripts add images without a folder, but to take a
    half-copied project for an empty one would cost the user's marks.

    Raises
    ------
    ProjectError
        If summary.json cannot be read.
    """
    if not folder.parent.is_dir():
        return f"the project has no folder {folder.parent.name} at all"
    if not folder.is_dir():
        return f"the project has no folder {folder.parent.name}/{folder.name}"
    summary = folder / "summary.json"
    if not summary.exists():
        return None
    count = object_at(read_json(summary), "hierarchy").get("nObjects")
    if not isinstance(count, int):
        return f"{summary.name} beside it tells of one"
    # QuPath counts the root, which every image has, too.
    return f"{summary.name} beside it counts {count - 1} objects" if count > 1 else None


def lost_data(data_path: Path, sign: str) -> ProjectError:
    """Return the error that an image's saved objects are not there, though something shows that there were some."""
    folder = data_path.parent
    return ProjectError(
        f"{data_path} is not there, and {sign}: the project was probably copied by half. Copy the folder "
        f"{folder.parent.name}/{folder.name} from where the project came, or open the image in QuPath and save it if "
        "nothing is drawn there. Results of earlier runs are as they were."
    )
