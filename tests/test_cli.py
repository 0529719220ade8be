"""The command line as a user meets it: in a process of its own, by its exit code and its words."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nuclick_wsi.demo import SLIDE, make_demo


def nuclick(*arguments: str | Path, qupath: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command; it finds no QuPath unless it is to find one, wherever the tests run."""
    command = [sys.executable, "-c", "from nuclick_wsi.cli.app import main; main()", *map(str, arguments)]
    environment = os.environ if qupath else {**os.environ, "PAQUO_QUPATH_DIR": "no such folder"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def said(result: subprocess.CompletedProcess[str]) -> str:
    """All that was printed, with line breaks and the table's frames taken out."""
    return " ".join((result.stdout + result.stderr).replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["weights"],
        ["demo"],
        ["doctor"],
        ["evaluate"],
        ["serve"],
        ["qupath"],
        ["convert"],
        ["asap", "inspect"],
        ["dataset", "extract"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from nuclick_wsi.cli.app import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'scipy', 'skimage', 'shapely', 'zarr', 'openslide', 'tiffslide'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


UNNEEDED = {"matplotlib", "onnxruntime", "tifffile", "tiffslide", "zarr"}
"""Packages that a click on a slide that OpenSlide reads has no use for."""


def test_a_run_for_one_click_loads_only_what_it_needs(tmp_path: Path) -> None:
    """Its first outline is there in three seconds, half of which are torch's."""
    slide = make_demo(tmp_path / "demo").parent / SLIDE
    (tmp_path / "clicks.csv").write_text("x,y\n421.2,46.3\n", encoding="utf-8")
    script = (
        "import gc, sys\n"
        "whole, threshold = [], gc.get_threshold()\n"
        "gc.callbacks.append(lambda phase, about: whole.append(phase) if about['generation'] == 2 else None)\n"
        "from nuclick_wsi.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert (whole, gc.get_threshold()) == ([], threshold)\n"
        "import torch\n"
        "print(torch.get_num_threads(), *(name for name in sys.modules if '.' not in name))\n"
    )
    command = [sys.executable, "-c", script, "run", str(tmp_path / "clicks.csv"), "--slide", str(slide)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    threads, *loaded = result.stdout.splitlines()[-1].split()
    assert threads == "1", "threads inside of layers take half a second to load a model"
    assert "openslide" in loaded
    assert not (UNNEEDED | {"starlette", "uvicorn"}) & set(loaded)


def test_a_server_is_ready_without_what_no_request_needs_yet() -> None:
    script = "import sys, nuclick_wsi.server.server, qupath_extension.requested_image\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "uvicorn" in loaded
    assert not (UNNEEDED | {"openslide", "rich", "typer"}) & loaded


@pytest.mark.parametrize(
    "arguments", [["run", "--help"], ["run", "{project}", "--dry-run", "--project-access", "files"]]
)
def test_run_loads_no_module_of_training(arguments: list[str], tmp_path: Path) -> None:
    make_demo(tmp_path)
    script = (
        "import sys\n"
        "from nuclick_wsi.cli.app import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted(name for name in sys.modules if name.startswith('nuclick_training')))\n"
    )
    command = [sys.executable, "-c", script, *(argument.format(project=tmp_path) for argument in arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.qpproj"], "nowhere.qpproj does not exist"),
        (["run", "{csv}"], "add --slide FILE"),
        (["run", "{csv}", "--slide", "s.png", "--image", "a"], "--image is for a project"),
        (["run", "{folder}", "--slide", "s.png"], "--slide is for a file of prompts"),
        (["run", "{text}"], "Accepted are a QuPath project"),
        (["run", "{csv}", "--slide", "s.png", "--mpp", "0"], "--mpp is the width of a pixel"),
        (["run", "{csv}", "--slide", "s.png", "--threshold", "1.5"], "between 0 and 1"),
        (["run", "{csv}", "--slide", "s.png", "--smallest", "8"], "such as 8um2 or 50px"),
        (["run", "{csv}", "--object", "everything"], "Invalid value"),
        (["run"], "Missing argument"),
        (["fly"], "No such command"),
    ],
)
def test_wrong_use_is_named_and_ends_with_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("x,y\n1,1\n")
    (tmp_path / "notes.docx").write_text("")
    places = {"csv": tmp_path / "clicks.csv", "folder": tmp_path, "text": tmp_path / "notes.docx"}
    result = nuclick(*(argument.format(**places) for argument in arguments))
    assert result.returncode == 2
    assert words in said(result)
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_help_answers_in_under_half_a_second() -> None:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        assert nuclick("--help").returncode == 0
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.5
