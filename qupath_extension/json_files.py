"""QuPath's JSON files, read with errors that say what to do."""

import json
from pathlib import Path

from nuclick_wsi.errors import ProjectError
from nuclick_wsi.json_values import Json


def read_json(path: Path) -> Json:
    """Return the object that a JSON file holds.

    Raises
    ------
    ProjectError
        The file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"{path} is not JSON: {error}. {advice(path)}") from error
    if not isinstance(content, dict):
        raise ProjectError(
            f"{path} holds a JSON {type(content).__name__} where QuPath writes an object. {advice(path)}"
        )
    return content


def advice(path: Path) -> str:
    """Return what to do about a damaged file: QuPath leaves a copy beside what it overwrites, when it crashes."""
    copies = [path.with_name(path.name + ending) for ending in (".backup", ".bkp")]
    found = [copy.name for copy in copies if copy.exists()]
    if found:
        return f"QuPath left an earlier copy beside it, {found[0]}: rename that one to {path.name}."
    return "Restore a copy of it, or open it in QuPath and save it again."
