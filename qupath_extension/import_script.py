"""The project script that imports results from GeoJSON into the hierarchies, for runs without paquo."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from nuclick_wsi.files import back_up
from nuclick_wsi.ownership import Origin, namesakes, origin_of_bytes
from nuclick_wsi.seals import blank_seal, sealed
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged

NAME = "Import_NuClick_results.groovy"
_MARK = b"Made by nuclick-wsi"
_PLACE = "// @EXCHANGE@\n"


def offer_import_script(project_folder: Path) -> Sequence[str]:
    """Put the script where QuPath shows it under Automate > Project scripts; return what the user is to know of it.

    A file of the user's in its place stays, and one of ours that was edited is copied beside itself.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    path = project_folder / "scripts" / NAME
    content = sealed(import_script().encode() + f"// {blank_seal(NAME)}\n".encode())
    if namesakes(path) not in ([], [path]) or path.is_symlink():
        return ()
    before = path.read_bytes() if path.exists() else None
    if before == content or (before is not None and _MARK not in before):
        return ()
    is_edited = before is not None and origin_of_bytes(before, NAME) is not Origin.OURS
    remarks = (
        (f"{path} may have been edited since it was written: kept as {back_up(path).path.name}",) if is_edited else ()
    )
    replace_if_unchanged(path, content, None if before is None else Stamp.of(before))
    return remarks


def import_script() -> str:
    """Return the script, with the rules of the menu in it: a project must not need a user's menu."""
    package = files("qupath_extension")
    exchange = (package / "scripts" / "Exchange.groovy").read_text(encoding="utf-8").removesuffix("\nthis\n")
    script = (package / "project_scripts" / NAME).read_text(encoding="utf-8")
    return script.replace(_PLACE, exchange)
