"""What becomes of the user's own work where NuClick's menu puts outlines: a real QuPath without its window."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from scripted_qupath import DEMO_NUCLEI, DEMO_OUTLINES, ScriptedQuPath, free_port, second_image
from test_cli import nuclick, said
from test_server import serving

from nuclick_wsi.demo import SLIDE
from nuclick_wsi.server.auth import STATE_VARIABLE
from qupath_extension.import_script import NAME as IMPORT_NAME
from qupath_extension.install import UserFolder
from qupath_extension.project import read_project
from qupath_extension.qpdata.hierarchy import PathObjectType

HELP = """
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
hierarchy = getCurrentHierarchy()
act = { evaluate(new File('@HOME@', it)) }
ours = { getAllObjects(false).findAll { it.getMeasurementList().containsKey('NuClick: Mean probability') }.sort { it.getID() } }
tell = { println 'TOLD ' + new groovy.json.JsonBuilder(it) }
movePoint = {
    def clicks = getAnnotationObjects().find { it.getROI().isPoint() && it.getROI().getNumPoints() > 10 }
    def points = clicks.getROI().getAllPoints()
    def x = points.collect { it.x } as double[]
    x[0] += 3
    clicks.setROI(ROIs.createPointsROI(x, points.collect { it.y } as double[], ImagePlane.getDefaultPlane()))
}
"""  # noqa: E501 - Groovy


def told(text: str) -> list[object]:
    return [json.loads(line) for line in re.findall(r"^TOLD (.*)$", text, re.MULTILINE)]


@pytest.fixture
def qupath(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedQuPath:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    (tmp_path / "user").mkdir()
    return ScriptedQuPath(tmp_path, UserFolder(tmp_path / "user"))


UNDO = """
def changes = []
hierarchy.addListener({ if (!it.isChanging()) changes << it.getChangedObjects().size() } as PathObjectHierarchyListener)
def copy = {
    def bytes = new ByteArrayOutputStream()
    new ObjectOutputStream(bytes).writeObject(hierarchy)
    PathIO.createObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())).readObject()
}
act('Segment_clicks.groovy')
tell(changes)
def before = copy()
movePoint()
act('Re-run_changed.groovy')
tell(changes)
hierarchy.setHierarchy(before)
changes.clear()
act('Segment_clicks.groovy')
tell(changes)
"""


def test_one_action_is_one_change_that_names_its_objects_and_marks_go_back_with_what_undo_restores(
    qupath: ScriptedQuPath,
) -> None:
    # The undo of 0.4 and 0.5 takes no notice of a change that names no object; that of 0.6 and 0.7 counts every one.
    text = qupath.run(HELP + UNDO)
    assert told(text) == [[DEMO_NUCLEI], [DEMO_NUCLEI, 6], []]
    assert "kept as they are" not in text
    assert f"0 outlines new or changed, {DEMO_NUCLEI} as they were, 0 removed" in text


EDIT = """
act('Segment_clicks.groovy')
def edited = ours()[0]
def roi = edited.getROI()
edited.setROI(ROIs.createRectangleROI(roi.getBoundsX(), roi.getBoundsY(), 40, 40, ImagePlane.getDefaultPlane()))
movePoint()
act('Re-run_changed.groovy')
tell([edited.getID().toString()])
"""


def test_an_outline_that_was_edited_by_hand_is_kept_and_never_doubled(qupath: ScriptedQuPath) -> None:
    qupath.set(**{"as": "annotation"})
    text = qupath.run(HELP + EDIT)
    ((edited,),) = told(text)
    assert "1 kept as they are: given another outline." in text
    (image,) = read_project(qupath.project).images
    found = [one for one in image.read_data().objects if one.id == edited]
    assert len(found) == 1
    assert found[0].roi is not None
    assert np.ptp(found[0].roi.vertices, axis=0).tolist() == [40, 40]


RECLASSIFY = """
def one = ours().find { it.getPathClass() != null }
one.setPathClass(PathClass.fromString('Mine'))
tell(one.getID().toString())
"""


@pytest.mark.parametrize("access", ["files", "paquo"])
def test_a_class_that_the_user_gave_stays_whichever_way_the_outline_came(access: str, qupath: ScriptedQuPath) -> None:
    if access == "paquo":
        pytest.importorskip("paquo", reason='needs paquo: pip install "nuclick-wsi[qupath]"')
        if not os.environ.get("PAQUO_QUPATH_DIR"):
            pytest.skip("needs a QuPath installation, named by PAQUO_QUPATH_DIR")
    run = nuclick("run", qupath.project, "--project-access", access, "--device", "cpu", qupath=True)
    assert run.returncode == 0, said(run)
    importer = qupath.project.parent / "scripts" / IMPORT_NAME
    if access == "files":
        assert f"{DEMO_OUTLINES} objects" in qupath.run(importer)
    (mine,) = told(qupath.run(HELP + RECLASSIFY))
    if access == "files":
        text = qupath.run(importer)
        assert "0 objects" in text
        assert f"{DEMO_OUTLINES - 1} as they were" in text
        assert "1 kept as they are: given another class" in text
    text = qupath.run(HELP + "movePoint()\nact('Re-run_changed.groovy')")
    assert "1 kept as they are: given another class" in text
    assert "1 removed" in text
    assert qupath.objects()[str(mine)].class_name == "Mine"


REGION = """
def region = PathObjects.createAnnotationObject(ROIs.createRectangleROI(0, 0, 300, 512, ImagePlane.getDefaultPlane()))
def inner = PathObjects.createAnnotationObject(ROIs.createRectangleROI(0, 0, 120, 512, ImagePlane.getDefaultPlane()))
hierarchy.addObjects([region, inner])
act('Segment_clicks.groovy')
def own = PathObjects.createDetectionObject(ROIs.createRectangleROI(5, 5, 4, 4, ImagePlane.getDefaultPlane()))
hierarchy.addObject(own)
def count = {
    def made = ours() as Set
    [region, inner].collect { one -> one.getChildObjects().count { made.contains(it) } }
}
def first = count()
movePoint()
act('Re-run_changed.groovy')
tell([first, count(), own.getParent() == hierarchy.getRootObject(), inner.getParent() == hierarchy.getRootObject()])
hierarchy.resolveHierarchy()
hierarchy.insertPathObjects(ours().findAll { it.isDetection() })
tell(count())
"""


def test_outlines_lie_in_the_smallest_region_around_them_and_nothing_of_the_users_moves(qupath: ScriptedQuPath) -> None:
    (first, again, own_stays, region_stays), resolved = told(qupath.run(HELP + REGION))  # type: ignore[misc]
    assert own_stays
    assert region_stays
    assert min(first) > 5
    # The moved point may take its outline over an edge, out of one and into the other; all others are where they were.
    assert sum(abs(one - other) for one, other in zip(first, again, strict=True)) <= 2
    assert resolved == again  # where QuPath itself puts them


INSIDE = """
def box = ROIs.createRectangleROI(100, 100, 250, 250, ImagePlane.getDefaultPlane())
def region = PathObjects.createAnnotationObject(box)
hierarchy.addObject(region)
hierarchy.getSelectionModel().setSelectedObject(region)
act('Segment_selected.groovy')
def clicks = getAnnotationObjects().findAll { it.getROI().isPoint() }.collectMany { it.getROI().getAllPoints() }
tell([ours().size(), clicks.count { region.getROI().contains(it.x, it.y) }])
hierarchy.getSelectionModel().clearSelection()
try { act('Segment_selected.groovy') } catch (RuntimeException problem) { tell(problem.message) }
"""


def test_what_is_selected_or_lies_in_a_selected_region_is_outlined_and_nothing_else(qupath: ScriptedQuPath) -> None:
    (outlines, clicks), refused = told(qupath.run(HELP + INSIDE))  # type: ignore[misc]
    assert 5 < outlines <= clicks < DEMO_NUCLEI
    assert "Select annotations of points or of lines first" in str(refused)


USED = """
act('Segment_clicks.groovy')
def left = getAnnotationObjects().findAll { it.getROI().isPoint() }.sum(0) { it.getROI().getNumPoints() }
tell([ours().size(), ours().count { it.isLocked() }, left])
act('Segment_squiggles.groovy')
tell([ours().size(), getAnnotationObjects().findAll { it.getROI().isLine() }.size()])
"""


def test_clicks_that_were_used_can_be_removed_and_leave_locked_outlines(qupath: ScriptedQuPath) -> None:
    qupath.set(remove_prompts=True)
    clicks, squiggles = told(qupath.run(HELP + USED))
    assert clicks == [DEMO_NUCLEI, DEMO_NUCLEI, 104 - DEMO_NUCLEI]
    assert squiggles == [DEMO_OUTLINES, 0]


def test_without_an_image_named_the_whole_project_is_done_once_and_each_image_has_its_step(
    qupath: ScriptedQuPath,
) -> None:
    second_image(qupath.project)
    text = qupath.run(qupath.user.home / "Segment_whole_project.groovy", image=None)
    for name in (SLIDE.name, "second.svs"):
        assert f"{name}: {DEMO_OUTLINES} outlines new or changed" in text
    assert f"{DEMO_OUTLINES} as they were" not in text
    assert text.count("The whole project is done, with its first image.") == 1
    for image in (0, 1):
        assert sum(one.type is PathObjectType.DETECTION for one in qupath.objects(image).values()) == DEMO_OUTLINES


STEPS = """
tell(getCurrentImageData().getHistoryWorkflow().getSteps().findAll { it.getName().startsWith('NuClick') }.collect { [it.getName(), it.getParameterMap(), it.getScript()] })
"""  # noqa: E501 - Groovy


def test_each_action_leaves_a_step_that_does_the_same_again(qupath: ScriptedQuPath) -> None:
    qupath.set(gland_mode="tiled")
    qupath.run(HELP + "act('Segment_squiggles.groovy')\nact('Remove_NuClick_objects.groovy')")
    ((first, removed),) = told(qupath.run(HELP + STEPS))  # type: ignore[misc]
    assert first[0] == "NuClick: Segment squiggles"
    assert first[1] == {
        "object": "squiggles",
        "models": "glands",
        "clicks": "nucleus",
        "as": "detection",
        "gland_mode": "tiled",
    }
    assert removed[0] == "NuClick: Remove NuClick objects"
    qupath.set(**{"gland_mode": "crop", "as": "annotation"})
    qupath.run(first[2])
    assert len(qupath.outlines()) == 4
    qupath.run(removed[2])
    assert not qupath.outlines()


# The server


ANOTHER_SERVER = """
act('Segment_squiggles.groovy')
def settings = new File('@HOME@', 'settings.json')
settings.setText(settings.getText('UTF-8').replace('"port": @OURS@', '"port": @THEIRS@'), 'UTF-8')
['Segment_squiggles.groovy', 'Restart_server.groovy'].each { name ->
    try { act(name) } catch (RuntimeException problem) { tell(problem.message) }
}
tell(System.getProperties().get('nuclick.server').process.isAlive())
"""


def test_a_server_of_the_users_own_that_refuses_is_neither_ended_nor_replaced(
    qupath: ScriptedQuPath, tmp_path: Path
) -> None:
    ours = json.loads((qupath.user.home / "settings.json").read_text(encoding="utf-8"))["port"]
    theirs = free_port()
    with serving("--port", str(theirs), "--device", "cpu", state=tmp_path / "state") as process:
        assert process.stdout is not None
        process.stdout.readline()
        script = ANOTHER_SERVER.replace("@OURS@", str(ours)).replace("@THEIRS@", str(theirs))
        refused, restart, alive = told(qupath.run(HELP + script))
        assert process.poll() is None
        process.terminate()
    assert "--allow" in str(refused)
    assert "was not started by this QuPath" in str(restart)
    assert alive


def test_a_token_file_that_is_gone_is_made_again_and_nobody_else_is_blamed(
    qupath: ScriptedQuPath, tmp_path: Path
) -> None:
    token = tmp_path / "state" / "token"
    script = f"act('Segment_squiggles.groovy')\nnew File('{token.as_posix()}').delete()\nact('About.groovy')"
    assert "nuclick-wsi 0" in qupath.run(HELP + script)
    assert token.exists()
