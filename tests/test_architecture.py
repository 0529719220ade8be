"""Imports point one way: values < steps < adapters < engine < runs < command line."""

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
LAYERS = (
    {"errors", "choices", "geometry", "prompts", "scale"},
    {"instances", "slide", "card", "signals", "files", "shared_files"},
    {"keeping"},
    {
        "admission",
        "arcs",
        "blend",
        "borders",
        "cells",
        "contenders",
        "contours",
        "crops",
        "drawings",
        "marks",
        "masks",
        "memory",
        "outlines",
        "pipeline",
        "stack",
        "stitch",
        "straighten",
    },
    {
        "earlier_results",
        "geojson",
        "geojson_parts",
        "journal",
        "network",
        "patch_codec",
        "prompt_files",
        "prompt_geojson",
        "prompt_table",
        "pyramid",
        "readers",
        "resample",
    },
    {"checkpoints", "features", "feature_geojson", "looks", "weights"},
    {"devices", "look_segmenter", "segmenter", "settings"},
    {"engine", "shelf"},
    {"jobs", "preview", "report", "traces"},
    {"run", "demo", "access", "open_slides", "problems", "recent", "segment_request", "turns"},
    {"answers", "gate", "service"},
    {"server"},
    {"cli", "cli_groups", "commands", "console", "convert", "dataset", "dataset_sources", "doctor", "models_view"},
)
EDGES = {"cli", "cli_groups", "commands", "convert", "dataset", "dataset_sources", "segment_request"}
"""Where the packages are wired together; a request names its image as QuPath does."""

FILES = [(package, path) for package, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))]


def imports(tree: ast.AST) -> list[tuple[ast.stmt, str]]:
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node, node.module))
    return found


def rank(module: str) -> int:
    (found,) = [index for index, layer in enumerate(LAYERS) if module in layer]
    return found


def ids(file: tuple[str, Path]) -> str:
    return str(file[1].relative_to(ROOT))


@pytest.mark.parametrize("file", [file for file in FILES if file[0] == "nuclick_wsi"], ids=ids)
def test_the_engine_imports_only_from_its_own_layer_and_those_below(file: tuple[str, Path]) -> None:
    _, path = file
    own = path.relative_to(PACKAGES["nuclick_wsi"]).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for _, module in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = module.split(".")
        if parts[0] == "nuclick_wsi" and len(parts) > 1:
            assert rank(parts[1]) <= rank(own), f"{own} imports {module}"
        assert parts[0] not in PACKAGES or parts[0] == "nuclick_wsi" or own in EDGES, f"{own} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_own_modules_are_imported_at_the_top_of_a_file(file: tuple[str, Path]) -> None:
    package, path = file
    if package == "nuclick_wsi" and path.name in ("cli.py", "cli_groups.py"):
        return  # so that --help answers without loading what only a run needs
    tree = ast.parse(path.read_text(encoding="utf-8"))
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
