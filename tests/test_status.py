"""`status` says of each image where it stands, and `run --retry-failed` works on what could not be done."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from projects import Image, write_project
from test_journal import NOTHING, click
from test_run import FILES, NUCLEI, clicks

from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.cli.screen import Screen
from nuclick_wsi.cli.status import request_of, show_status
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.run_lock import RunLock
from qupath_extension.project import read_project


def status_of(target: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> dict[str, object]:
    capsysbinary.readouterr()
    show_status(request_of(target, None, None, None), Screen(as_json=True))
    return json.loads(capsysbinary.readouterr().out)


def states(said: dict[str, object]) -> Sequence[str]:
    images = said["images"]
    assert isinstance(images, list)
    return [f"{image['name']}: {image['state']}" for image in images]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(
        tmp_path, Image("a.svs", [clicks(*NUCLEI)]), Image("b.svs", [clicks(*NUCLEI)]), Image("c.svs", [])
    )


def slide_of(project: Path, name: str) -> Path:
    (found,) = project.parent.rglob(name)
    return found


def test_each_image_is_done_failed_with_a_reason_or_waiting(
    project: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    said = status_of(project, capsysbinary)
    assert states(said) == ["a.svs: waiting", "b.svs: waiting", "c.svs: waiting"]
    assert not (project.parent / "nuclick").exists()
    away = project.parent / "away"
    shutil.move(slide_of(project, "b.svs"), away)
    request = RunRequest(project, device="cpu", project_access=FILES)
    assert run_target(request) == 1
    said = status_of(project, capsysbinary)
    assert states(said) == ["a.svs: done", "b.svs: failed", "c.svs: done"]
    a, b, _ = said["images"]  # type: ignore[misc]
    assert (a["prompts"], a["kept"], a["reason"]) == ({"nucleus": len(NUCLEI)}, len(NUCLEI), "")
    assert "b.svs" in b["reason"]
    assert said["counts"] == {"done": 2, "incomplete": 0, "failed": 1, "waiting": 0}
    assert said["running"] is None


def test_only_what_failed_is_run_again(project: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    slide = slide_of(project, "b.svs")
    away = shutil.move(slide, project.parent / "away")
    request = RunRequest(project, device="cpu", project_access=FILES)
    run_target(request)
    shutil.move(away, slide)
    capsysbinary.readouterr()
    again = RunRequest(project, device="cpu", project_access=FILES, retry_failed=True)
    assert run_target(again, Screen(as_json=True)) == 0
    record = json.loads(capsysbinary.readouterr().out)
    assert [(image["name"], image["status"]) for image in record["images"]] == [("b.svs", "done")]
    assert "Of 3 images, 1 failed or were incomplete." in record["notes"]
    assert states(status_of(project, capsysbinary)) == ["a.svs: done", "b.svs: done", "c.svs: done"]
    assert run_target(again) == 0
    assert "Of 3 images, 0 failed" in capsysbinary.readouterr().out.decode()


def test_a_run_that_is_at_work_and_one_that_was_stopped_are_seen(
    project: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = project.parent / "nuclick"
    with RunLock(folder), Journal(folder / "journal.sqlite") as journal:
        image = read_project(project).images[0]
        cache = journal.image(image.identity, {ObjectKind.NUCLEUS: b"about"})
        cache.remember(click(1, 1), b"digest", NOTHING)
        journal.save()
        said = status_of(project, capsysbinary)
        running = said["running"]
        assert isinstance(running, dict)
        assert running.keys() == {"host", "process", "since"}
    capsysbinary.readouterr()
    show_status(request_of(project, None, None, None), Screen())
    assert "a run was stopped; 1 results are kept" in " ".join(capsysbinary.readouterr().out.decode().split())
