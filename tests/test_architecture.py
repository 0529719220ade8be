"""Folders are rooms, and imports point one way: a room knows only rooms on lower floors.

Rooms on one floor do not know each other: slides, models and formats each stand alone.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "nuclick_wsi": ROOT / "nuclick_wsi",
    "qupath_extension": ROOT / "qupath_extension",
    "asap_bridge": ROOT / "asap_bridge",
    "nuclick_training": ROOT / "training",
}
FLOORS = (
    {"nuclick_wsi"},  # the values and files at its root, but for the two below
    {"nuclick_wsi.slides", "nuclick_wsi.models", "nuclick_wsi.formats"},
    {"nuclick_wsi.demo", "nuclick_wsi.segmentation", "nuclick_wsi.exports"},
    {"nuclick_wsi.runs", "nuclick_wsi.server"},
    {"qupath_extension", "asap_bridge", "nuclick_wsi.cluster"},
    {"nuclick_training.datasets", "nuclick_wsi.viewer"},
    {"nuclick_training.synthesis", "nuclick_training.sampling"},
    {"nuclick_training.fitting"},
    {"nuclick_training.evaluation"},
    {"nuclick_training.comparison"},
    {"nuclick_training"},  # its commands
    {"nuclick_wsi.cli"},
)
PUBLIC = PACKAGES["nuclick_wsi"] / "__init__.py"
"""Names the public interface, wherever it comes from, and loads nothing."""

FILES = [(package, path) for package, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))]


def imports(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    """Return the modules that are imported, and of `from package import name` also `package.name`."""
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports name the whole module"
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def room_of(module: str) -> str:
    """Return the room of a module, or of a name in it."""
    package, *inside = module.split(".")
    rooms = {room for floor in FLOORS for room in floor}
    return f"{package}.{inside[0]}" if inside and f"{package}.{inside[0]}" in rooms else package


def floor_of(room: str) -> int:
    (floor,) = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    return floor


def module_of(file: tuple[str, Path]) -> str:
    package, path = file
    return ".".join([package, *path.relative_to(PACKAGES[package]).with_suffix("").parts])


def ids(file: tuple[str, Path]) -> str:
    return str(file[1].relative_to(ROOT))


@pytest.mark.parametrize("file", [file for file in FILES if file[1] != PUBLIC], ids=ids)
def test_a_module_imports_from_its_own_room_and_from_floors_below(file: tuple[str, Path]) -> None:
    own = room_of(module_of(file))
    for _, module in imports(ast.parse(file[1].read_text(encoding="utf-8"))):
        if module.split(".")[0] in PACKAGES and (other := room_of(module)) != own:
            assert floor_of(other) < floor_of(own), f"{module_of(file)} imports {module}"


def test_the_rooms_are_all_there() -> None:
    assert {room_of(module_of(file)) for file in FILES} == {room for floor in FLOORS for room in floor}


@pytest.mark.parametrize("file", [file for file in FILES if file[1].name == "__init__.py"], ids=ids)
def test_packages_load_nothing_by_themselves(file: tuple[str, Path]) -> None:
    """So that training loads the signals without shapely; networks and readers are chosen by name in theirs."""
    if file[1].parent.name in ("network", "readers"):
        return
    own = [
        module
        for node, module in imports(ast.parse(file[1].read_text(encoding="utf-8")))
        if module.split(".")[0] in PACKAGES and node.col_offset == 0
    ]
    assert own == []


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_own_modules_are_imported_at_the_top_of_a_file(file: tuple[str, Path]) -> None:
    if room_of(module_of(file)) == "nuclick_wsi.cli":
        return  # so that --help answers without loading what only a run needs
    tree = ast.parse(file[1].read_text(encoding="utf-8"))
    inside = {
        node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)
    }
    assert [module for node, module in imports(tree) if node in inside and module.split(".")[0] in PACKAGES] == []


@pytest.mark.parametrize("library", ["openslide", "tiffslide"])
def test_slide_libraries_are_imported_by_their_reader_alone(library: str) -> None:
    users = [
        path.name
        for _, path in FILES
        for _, module in imports(ast.parse(path.read_text(encoding="utf-8")))
        if module.split(".")[0] == library
    ]
    assert set(users) == {f"{library}_reader.py"}
