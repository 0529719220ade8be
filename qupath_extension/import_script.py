"""The project script that imports results from GeoJSON into the hierarchies, for runs without paquo."""

from importlib.resources import files
from pathlib import Path

from nuclick_wsi.shared_files import Stamp, replace_if_unchanged

NAME = "Import_NuClick_results.groovy"
_MARK = b"Made by nuclick-wsi"
_PLACE = "// @EXCHANGE@\n"


def offer_import_script(project_folder: Path) -> None:
    """Put the script where QuPath shows it under Automate > Project scripts; a file of the user's in its place stays.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    path = project_folder / "scripts" / NAME
    before = path.read_bytes() if path.exists() else None
    content = import_script().encode()
    if before != content and (before is None or _MARK in before):
        replace_if_unchanged(path, content, None if before is None else Stamp.of(before))


def import_script() -> str:
    """Return the script, with the rules of the menu in it: a project must not need a user's menu."""
    package = files("qupath_extension")
    exchange = (package / "scripts" / "Exchange.groovy").read_text(encoding="utf-8").removesuffix("\nthis\n")
    script = (package / "project_scripts" / NAME).read_text(encoding="utf-8")
    return script.replace(_PLACE, exchange)
