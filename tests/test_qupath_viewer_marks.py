"""A real QuPath takes in what the viewer has saved into its project: once, and nothing of the user's changes."""

import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from scripted_qupath import ScriptedQuPath
from test_cli import nuclick, said
from test_qupath_exchange import HELP, told
from test_qupath_window import IN_THE_WINDOW, QuPathWindow, screen, window

from nuclick_wsi.demo import SLIDE
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.server.auth import STATE_VARIABLE
from nuclick_wsi.viewer.loading import load
from nuclick_wsi.viewer.marks import MarkObject
from nuclick_wsi.viewer.opened_slide import OpenedSlide, open_for_viewing
from nuclick_wsi.viewer.project_marks import ProjectMarks, SavedMarks
from qupath_extension.import_script import NAME as IMPORT_NAME
from qupath_extension.install import UserFolder
from qupath_extension.project import read_project
from qupath_extension.viewer_marks import viewer_marks_of

__all__ = ["screen", "window"]
NEW = [(300.25, 200.5), (310.5, 215.25), (320.0, 230.0)]
LINE = [[60.0, 300.0], [90.0, 320.0], [120.0, 318.0]]
TELL = "tell(getAnnotationObjects().findAll { it.getMeasurementList().containsKey('NuClick: Viewer mark') }.collect { [it.getID().toString(), it.getPathClass()?.toString(), it.getROI().getAllPoints().collect { p -> [p.x, p.y] }] })"  # noqa: E501 - Groovy


@pytest.fixture
def qupath(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedQuPath:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    (tmp_path / "user").mkdir()
    return ScriptedQuPath(tmp_path, UserFolder(tmp_path / "user"))


def marked(qupath: ScriptedQuPath, slide: OpenedSlide) -> list[dict[str, Any]]:
    """Return the marks with which the page begins."""
    return [mark.as_json() for mark in load(qupath.project, slide, MarkObject.NUCLEUS).marks]


def new_mark(strokes: list[list[Any]], object_: str = "nucleus", class_name: str | None = "Tumor") -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "object": object_, "class": class_name, "strokes": strokes}


def prompts(qupath: ScriptedQuPath) -> list[str]:
    """Return the ids of the prompts that a run has."""
    (image,) = read_project(qupath.project).images
    data = image.read_data()
    return [one.id for one in viewer_marks_of(image, data).prompts_among(data.objects, ObjectChoice.AUTO).prompts]


def test_marks_of_the_viewer_are_taken_in_once_and_what_the_user_does_with_them_counts(qupath: ScriptedQuPath) -> None:
    slide = open_for_viewing(qupath.project.parent / SLIDE, qupath.project, None)
    page = ProjectMarks(qupath.project, slide, MarkObject.NUCLEUS)
    begun = marked(qupath, slide)
    clicks = [new_mark([[list(place)]]) for place in NEW]
    added = [*clicks, new_mark([LINE, [[70.0, 310.0], [80.0, 330.0]]], "gland")]
    document = {"prompts": [*begun[1:], *added], "changed": [begun[0]["id"], *(one["id"] for one in added)]}
    early = page.save({"prompts": [*begun, clicks[0]], "changed": [clicks[0]["id"]]}, {})
    assert isinstance(early, SavedMarks)
    copy = early.path.with_name(f"{early.path.stem} copy.geojson")  # as sync programs make
    copy.write_bytes(early.path.read_bytes())
    saved = page.save(document, {"Tumor": (1, 2, 3)})
    assert isinstance(saved, SavedMarks)
    before = prompts(qupath)
    assert len(before) == len(set(before)) == len(begun) - 1 + len(added)

    text = qupath.run(qupath.project.parent / "scripts" / IMPORT_NAME)
    assert "4 marks of the viewer added, 0 removed" in text
    assert "1 of your own marks were moved, deleted" in text
    assert sorted(prompts(qupath)) == sorted(before)  # the same prompts, counted once

    # The user deletes one there and gives another one a class: neither comes back or changes.
    deleted, mine = clicks[0]["id"], clicks[1]["id"]
    again = f"""
    removeObject(getAnnotationObjects().find {{ it.getID().toString() == '{deleted}' }}, true)
    getAnnotationObjects().find {{ it.getID().toString() == '{mine}' }}.setPathClass(PathClass.fromString('Mine'))
    act('Take_in_viewer_marks.groovy')
    {TELL}
    """
    text = qupath.run(HELP + again)
    assert "was taken in before" in text
    (viewers,) = told(text)
    assert {one[0]: one[1] for one in viewers} == {  # type: ignore[attr-defined]
        mine: "Mine",
        clicks[2]["id"]: "Tumor",
        added[3]["id"]: "Tumor",
    }
    assert len(prompts(qupath)) == len(before) - 1

    # The page moves the one that is still the viewer's, deletes the one that is the user's by now, and adds one.
    now = marked(qupath, slide)
    gone = [mark for mark in now if mark["source"] in (mine, clicks[2]["id"])]
    assert len(gone) == 2
    more = [new_mark([[[321.0, 231.0]]]), new_mark([[[50.0, 50.0]]])]
    document = {
        "prompts": [*(mark for mark in now if mark not in gone), *more],
        "changed": [mark["id"] for mark in (*gone, *more)],
    }
    assert isinstance(page.save(document, {}), SavedMarks)
    wanted = prompts(qupath)
    undone = [one["id"] for one in more]
    again = f"""
    act('Take_in_viewer_marks.groovy')
    // As undo would leave it.
    removeObjects(getAnnotationObjects().findAll {{ {undone}.contains(it.getID().toString()) }}, true)
    act('Take_in_viewer_marks.groovy')
    {TELL}
    """
    text = qupath.run(HELP + again)
    assert "2 marks of the viewer added, 1 removed" in text
    assert "2 marks of the viewer added, 0 removed" in text
    assert "2 of your own marks" in text
    (viewers,) = told(text)
    assert {one[0] for one in viewers} == {mine, added[3]["id"], *(one["id"] for one in more)}  # type: ignore[attr-defined]
    assert sorted(prompts(qupath)) == sorted(wanted)


def test_a_run_into_the_hierarchy_outlines_marks_of_the_viewer_and_leaves_them_where_it_was_not_asked(
    qupath: ScriptedQuPath,
) -> None:
    pytest.importorskip("paquo", reason='needs paquo: pip install "nuclick-wsi[qupath]"')
    if not os.environ.get("PAQUO_QUPATH_DIR"):
        pytest.skip("needs a QuPath installation, named by PAQUO_QUPATH_DIR")
    slide = open_for_viewing(qupath.project.parent / SLIDE, qupath.project, None)
    page = ProjectMarks(qupath.project, slide, MarkObject.NUCLEUS)
    begun = marked(qupath, slide)
    mark = new_mark([[[440.0, 60.0]]])
    page.save({"prompts": [*begun[1:], mark], "changed": [begun[0]["id"], mark["id"]]}, {})
    first = nuclick("run", qupath.project, "--project-access", "paquo", "--device", "cpu", qupath=True)
    assert first.returncode == 0, said(first)
    assert "marks of the viewer: 1 added, 1 of QuPath's left out" in " ".join(first.stdout.split())
    (new,) = (one for one in prompts(qupath) if one not in {known["id"] for known in begun})
    outlines = qupath.outlines()
    assert new in outlines
    assert begun[0]["id"] not in outlines
    glands = nuclick(
        "run", qupath.project, "--project-access", "paquo", "--device", "cpu", "--object", "gland", qupath=True
    )
    assert glands.returncode == 0, said(glands)
    assert qupath.outlines().keys() == outlines.keys()


COUNT = "fx { gui.getImageData().getHierarchy().getAnnotationObjects().size() }"


@IN_THE_WINDOW
def test_taking_in_is_one_step_to_undo_and_can_be_done_again_after_that(window: QuPathWindow, tmp_path: Path) -> None:
    project = tmp_path / "demo" / "project.qpproj"
    slide = open_for_viewing(tmp_path / "demo" / SLIDE, project, None)
    begun = [mark.as_json() for mark in load(project, slide, MarkObject.NUCLEUS).marks]
    added = [new_mark([[list(place)]]) for place in NEW]
    ProjectMarks(project, slide, MarkObject.NUCLEUS).save(
        {"prompts": [*begun, *added], "changed": [one["id"] for one in added]}, {}
    )
    before = window.run(COUNT)
    assert isinstance(before, int)
    for _ in range(2):
        window.run("choose('Take in viewer marks'); true")
        assert window.run(COUNT) == before + len(NEW)
        window.run("fx { gui.getUndoRedoManager().undoOnce() }; true")
        assert window.run(COUNT) == before
