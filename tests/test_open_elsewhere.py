"""Whether a project seems to be open in QuPath: by programs that run, and by what was saved a moment ago."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from projects import Image, write_project

from qupath_extension.open_elsewhere import RECENT_S, signs_of_use
from qupath_extension.project import Project, read_project

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, by which programs are known on Linux")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose files were all saved an hour ago."""
    read = read_project(write_project(tmp_path / "project", Image("a.svs", has_slide=False)))
    for path in (read.path, read.images[0].data_path):
        aged(path, 3600)
    return read


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def saves(project: Project, last_run: Path) -> list[str]:
    return [sign for sign in signs_of_use(project, last_run) if "was saved" in sign]


@contextmanager
def program(name: str, *arguments: Path) -> Iterator[int]:
    """Run a program under a name of our choice that has its arguments open as files, where they are such."""
    code = "import sys, time; f = [open(p) for p in sys.argv[1:] if '.' in p]; print('up', flush=True); time.sleep(60)"
    command = [name, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        try:
            yield running.pid
        finally:
            running.kill()


def test_a_save_of_a_moment_ago_is_a_sign_and_an_old_one_or_one_of_the_last_run_is_none(
    project: Project, tmp_path: Path
) -> None:
    journal, data = tmp_path / "journal.sqlite", project.images[0].data_path
    assert saves(project, journal) == []
    aged(data, 130)
    assert saves(project, journal) == ["a.svs (1/data.qpdata) was saved 2 min ago: QuPath may still have it open."]
    assert "File > Reload data" in signs_of_use(project, journal)[-1]
    journal.touch()
    assert saves(project, journal) == []
    aged(journal, RECENT_S)
    aged(project.path, 1)
    assert [sign.split(" was ")[0] for sign in saves(project, journal)] == [str(project.path), "a.svs (1/data.qpdata)"]


@on_linux
def test_a_qupath_that_names_the_project_or_has_a_file_of_it_open_is_a_sign(project: Project, tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    link = tmp_path / "link.qpproj"
    link.symlink_to(project.path)
    for name, argument in (("QuPath-0.5", project.path), ("QuPath-0.5", project.folder), ("QuPath", link)):
        with program(name, argument) as number:
            assert f"QuPath (process {number}) has the project {project.path} open." in signs_of_use(project, journal)
    assert not any(f"process {number})" in sign for sign in signs_of_use(project, journal))


@on_linux
def test_a_qupath_of_which_nothing_is_known_is_told_as_such_and_other_programs_are_none(
    project: Project, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.sqlite"
    beside = tmp_path / "project2"
    with program("java", beside / "qupath-core-0") as number, program("qview", project.path) as other:
        signs = signs_of_use(project, journal)
        assert f"QuPath is running (process {number}), perhaps with the project {project.path} open." in signs
        assert not any(f"process {other})" in sign for sign in signs)
