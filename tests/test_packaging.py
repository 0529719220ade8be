"""A real wheel holds every file of our packages under its import name and nothing else, and works when installed."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "nuclick_wsi": "nuclick_wsi",
    "qupath_extension": "qupath_extension",
    "asap_bridge": "asap_bridge",
    "nuclick_training": "training",
}
UNUSED = {"__pycache__"}


def test_the_pinned_versions_are_accepted_and_the_ones_that_the_tests_run_with() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    ranges = {one.name: one.specifier for one in map(Requirement, needed)}
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert ranges[pin.name].contains(exact.version)
        try:
            installed = Version(version(pin.name)).public  # 2.13.0+cpu is a build of 2.13.0
        except PackageNotFoundError:
            continue  # of an extra
        if installed != exact.version:
            pytest.skip(f"the tests run with {pin.name} {installed}, and not with the one that is pinned")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source") / "project"
    # A copy, so that a build folder left by an earlier version of the project adds nothing, and none is left here.
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout, so what belongs to the project cannot be told")
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment that holds the wheel, and sees this one's other packages.

    Without network: the dependencies are found on the path, where no editable install of the project is followed.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    variables = {"base": str(folder), "platbase": str(folder), "installed_base": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", variables))
    (site / "dependencies.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n", "utf-8"
    )
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--no-deps", "--no-index"]
    done = run(
        [*pip, "--ignore-installed", "--no-warn-script-location", "--disable-pip-version-check", str(wheel)], folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return programs


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program away from the checkout, and without its folders on the path."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def test_the_wheel_holds_every_file_of_our_packages_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    here = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not UNUSED & set(path.parts)
    }
    assert names == here


def test_every_folder_with_modules_is_a_package_that_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sorted(folders) == listed


def test_the_wheel_carries_models_types_scripts_and_the_demo(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name for name in names if name.startswith("nuclick_wsi/models/shipped/")}
    models = {Path(name).stem for name in shipped if name.endswith(".safetensors")}
    assert "nuclick_wsi/models/shipped/SHA256SUMS" in shipped
    assert models == {"nuclei", "nuclei-open", "cells", "cells-open", "glands"}
    assert {name for name in names if name.endswith("py.typed")} == {f"{package}/py.typed" for package in FOLDERS}
    assert "qupath_extension/project_scripts/Import_NuClick_results.groovy" in names
    assert "nuclick_wsi/demo_project/project.qpproj" in names
    assert "nuclick_wsi/viewer/static/vendor/openseadragon/LICENSE.txt" in names
    assert [name for name in names if name.startswith("qupath_extension/scripts/") and name.endswith(".groovy")]


def test_what_is_vendored_is_the_version_that_the_makefile_pins() -> None:
    (version,) = re.findall(r"^OSD := openseadragon-(.*)$", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    vendored = ROOT / "nuclick_wsi" / "viewer" / "static" / "vendor" / "openseadragon" / "openseadragon.min.js"
    assert vendored.read_text("utf-8").startswith(f"//! openseadragon {version}\n")


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        told = Parser().parsestr(content.read(metadata).decode())
        assert [name for name in content.namelist() if name.endswith("licenses/LICENSE")]
    assert (told["Name"], told["License-Expression"]) == ("nuclick-wsi", "Apache-2.0")
    assert told.get_payload().startswith("# nuclick-wsi")


def test_packages_come_from_the_installed_wheel(installed: Path) -> None:
    script = f"import {', '.join(FOLDERS)}\nfor package in ({', '.join(FOLDERS)}): print(package.__file__)"
    done = run([str(installed / "python"), "-c", script], installed)
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    assert len(files) == len(FOLDERS)
    assert all(file.is_relative_to(installed.parent) for file in files), files


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]], ids=" ".join)
def test_the_installed_command_line_answers(arguments: list[str], installed: Path) -> None:
    done = run([str(installed / "nuclick-wsi"), *arguments], installed)
    assert done.returncode == 0, done.stderr
    assert "Usage: nuclick-wsi" in done.stdout


def test_the_installed_command_line_finds_its_models(installed: Path) -> None:
    done = run([str(installed / "nuclick-wsi"), "weights", "list"], installed)
    assert done.returncode == 0, done.stderr
    assert all(model in done.stdout for model in ("nuclei", "nuclei-open", "cells", "cells-open", "glands"))


def test_the_installed_command_line_brings_its_scripts_to_qupath(installed: Path, tmp_path: Path) -> None:
    done = run([str(installed / "nuclick-wsi"), "qupath", "install", "--user-dir", str(tmp_path)], installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "nuclick" / "Segment_clicks.groovy").is_file()


def test_the_citation_names_the_version_and_the_paper() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: (.*)$", citation, flags=re.MULTILINE) == [project["version"]]
    (doi,) = re.findall(r"^ +doi: (.*)$", citation, flags=re.MULTILINE)
    assert project["urls"]["Paper"] == f"https://doi.org/{doi}"


@pytest.mark.parametrize("package", FOLDERS)
def test_a_package_imports_from_the_editable_install(package: str, tmp_path: Path) -> None:
    script = f"import {package}; print({package}.__file__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).resolve().parent == ROOT / FOLDERS[package]
