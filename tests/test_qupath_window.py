"""NuClick in QuPath's window, on a screen of its own: install, menu, outlines, a moved point.

Runs where PAQUO_QUPATH_DIR names a QuPath with its program, and Xvfb is there. Clicks are those of a menu item's own
`fire()`; the pointer itself is not tried.
"""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_qupath import DEMO_NUCLEI, DEMO_OUTLINES, demo_project, free_port, second_image
from test_cli import nuclick, said

from nuclick_wsi.demo import SLIDE
from nuclick_wsi.server.auth import STATE_VARIABLE

DRIVER = """
import javafx.application.Platform
import qupath.lib.gui.QuPathGUI
def gui = QuPathGUI.getInstance()
def fx = { Closure todo -> if (Platform.isFxApplicationThread()) return todo(); def task = new java.util.concurrent.FutureTask(todo as java.util.concurrent.Callable); Platform.runLater(task); task.get() }
def shown = {
    javafx.stage.Window.getWindows().findAll { it.isShowing() }.collectMany { it.getScene().getRoot().lookupAll('.label') + it.getScene().getRoot().lookupAll('.text-area') }.collect { it.getText() }
}
def waitFor = { Closure condition ->
    def until = System.currentTimeMillis() + 200_000
    while (!fx(condition)) { if (System.currentTimeMillis() > until) throw new Exception('waited in vain; shown is ' + fx(shown)); Thread.sleep(50) }
}
def menu = { String name -> gui.getMenuBar().getMenus().find { it.getText() == 'Extensions' }.getItems().find { it.getText() == 'NuClick' }.getItems().find { it.getText() == name } }
def steps = { gui.getImageData().getHistoryWorkflow().getSteps().collect { it.getName() } }
def choose = { String name, Closure done = null ->
    def before = fx(steps).size()
    Platform.runLater { menu(name).fire() }
    waitFor(done ?: { steps().size() > before })
}
def outlines = { gui.getImageData().getHierarchy().getDetectionObjects().collectEntries { [(it.getID().toString()): it.getROI().getGeometry().toText()] } }
Thread.startDaemon {
    while (true) {
        def asked = new File('@IO@').listFiles().findAll { it.name.endsWith('.groovy') }.sort()
        asked.each { file ->
            def answer
            try {
                def binding = new Binding(gui: gui, fx: fx, choose: choose, outlines: outlines, steps: steps, waitFor: waitFor, menu: menu)
                answer = new groovy.json.JsonBuilder([value: new GroovyShell(QuPathGUI.classLoader, binding).evaluate(file)]).toString()
            } catch (Throwable problem) {
                answer = new groovy.json.JsonBuilder([failed: org.codehaus.groovy.runtime.StackTraceUtils.sanitize(problem).toString()]).toString()
            }
            file.delete()
            def part = new File(file.path + '.part')
            part.setText(answer, 'UTF-8')
            part.renameTo(new File(file.path + '.json'))
        }
        Thread.sleep(50)
    }
}
"""  # noqa: E501 - Groovy
"""The user's own startup script: it does what it finds in a folder, and answers there. NuClick's calls it."""


class QuPathWindow:
    """A QuPath that shows the demo."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._process = process

    def run(self, script: str) -> object:
        """Return what a script says, as JSON has it."""
        path = self._folder / f"{uuid.uuid4()}.groovy"
        path.with_suffix(".part").write_text(script, encoding="utf-8")
        path.with_suffix(".part").rename(path)
        answer = Path(f"{path}.json")
        until = time.monotonic() + 480
        while not answer.exists():
            assert self._process.poll() is None, "QuPath has ended"
            assert time.monotonic() < until, f"no answer to {script}"
            time.sleep(0.05)
        said = json.loads(answer.read_text(encoding="utf-8"))
        assert "failed" not in said, said
        return said["value"]

    def outlines(self) -> dict[str, str]:
        """Return the shape of each outline by its id."""
        found = self.run("fx { outlines() }")
        assert isinstance(found, dict)
        return found


@pytest.fixture
def screen() -> Iterator[str]:
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb")
    read, write = os.pipe()
    command = [program, "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as numbers:
        display = f":{numbers.readline().strip()}"
    yield display
    process.terminate()
    process.wait()


@pytest.fixture
def window(screen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QuPathWindow]:
    program = Path(os.environ["PAQUO_QUPATH_DIR"], "bin", "QuPath")
    for name in ("user", "io", "preferences"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Djava.util.prefs.userRoot={tmp_path / 'preferences'}")
    project = demo_project(tmp_path / "demo")
    second_image(project)
    (tmp_path / "user" / "startup.groovy").write_text(DRIVER.replace("@IO@", str(tmp_path / "io")), encoding="utf-8")
    installed = nuclick("qupath", "install", "--user-dir", tmp_path / "user", "--qupath", program, qupath=True)
    assert "QuPath starts with" in said(installed)
    settings = tmp_path / "user" / "nuclick" / "settings.json"
    changed = json.loads(settings.read_text(encoding="utf-8")) | {"port": free_port(), "device": "cpu"}
    settings.write_text(json.dumps(changed), encoding="utf-8")
    with (tmp_path / "qupath.log").open("wb") as log:
        command = [str(program), "-q", "-p", str(project), "-i", SLIDE.name]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        yield QuPathWindow(tmp_path / "io", process)
        process.terminate()
        process.wait()


MOVE = """
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
fx {
    def hierarchy = gui.getImageData().getHierarchy()
    def clicks = hierarchy.getAnnotationObjects().find { it.getROI().isPoint() && it.getPathClass().toString() == 'Stroma' }
    def points = clicks.getROI().getAllPoints()
    def x = points.collect { it.x } as double[]
    x[0] += 4
    clicks.setROI(ROIs.createPointsROI(x, points.collect { it.y } as double[], ImagePlane.getDefaultPlane()))
    hierarchy.fireObjectsChangedEvent(this, [clicks])
    hierarchy.getSelectionModel().clearSelection()
}
true
"""  # noqa: E501 - Groovy

DRAWN = """
import qupath.lib.objects.PathObjects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
def drawn = PathObjects.createAnnotationObject(ROIs.createRectangleROI(10, 10, 50, 50, ImagePlane.getDefaultPlane()))
fx { gui.getImageData().getHierarchy().addObject(drawn) }
"""

SWITCH = """
import javafx.application.Platform
import javafx.scene.control.ButtonType
import javafx.stage.Stage
waitFor { gui.getImageData() != null }
def (first, second) = gui.getProject().getImageList()
def asking = { Stage.getWindows().find { it instanceof Stage && it.getTitle() == 'Save changes' } }
fx { gui.getImageData().setChanged(true) }
Platform.runLater { menu('Re-run changed').fire(); gui.openImageEntry(second) }
waitFor { asking() != null }
Thread.sleep(5000)      // outlines that come by now wait for the answer
fx { asking().getScene().getRoot().lookupButton(ButtonType.NO).fire() }
def saved = { first.readImageData().getHierarchy().getDetectionObjects().size() }
waitFor { gui.getProject().getEntry(gui.getImageData()) == second && saved() > 0 }
[fx { gui.getProject().getEntry(gui.getImageData()).getImageName() }, saved(), fx { outlines().size() }]
"""

STROKES = """
import org.locationtech.jts.geom.Geometry
import qupath.lib.objects.PathObjects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.GeometryTools
fx {
    def hierarchy = gui.getImageData().getHierarchy()
    def (one, other) = hierarchy.getAnnotationObjects().findAll { it.getROI().isLine() }.take(2)
    def both = one.getROI().getGeometry().union(other.getROI().getGeometry())
    def merged = PathObjects.createAnnotationObject(GeometryTools.geometryToROI(both, ImagePlane.getDefaultPlane()), one.getPathClass())
    hierarchy.removeObjects([one, other], true)
    hierarchy.addObject(merged)
    both.getNumGeometries()
}
"""  # noqa: E501 - Groovy


SETTINGS = """
import javafx.application.Platform
import javafx.scene.control.ButtonType
import javafx.scene.control.Label
import javafx.stage.Stage
waitFor { gui.getImageData() != null }
choose('Segment clicks')
def server = { System.getProperties().get('nuclick.server')?.process?.toHandle() }
def options = { server().info().arguments().get() as List }
def before = [server().pid(), options().contains('--tta')]
Platform.runLater { menu('Settings').fire() }
def dialog = { Stage.getWindows().find { it instanceof Stage && it.getTitle() == 'NuClick: Settings' } }
waitFor { dialog() != null }
fx {
    def pane = dialog().getScene().getRoot()
    def cells = pane.getContent().getChildren()
    cells[cells.findIndexOf { it instanceof Label && it.getText() == 'Mean of eight turns and flips (slower)' } + 1].setSelected(true)
    pane.lookupButton(ButtonType.OK).fire()
}
Platform.runLater { menu('Restart server').fire() }
waitFor { server() != null && server().pid() != before[0] }
[before[1], options().contains('--tta')]
"""  # noqa: E501 - Groovy


IN_THE_WINDOW = pytest.mark.skipif(
    not Path(os.environ.get("PAQUO_QUPATH_DIR") or "no such folder", "bin", "QuPath").exists(),
    reason="needs a QuPath with a window, named by PAQUO_QUPATH_DIR",
)


@IN_THE_WINDOW
def test_in_the_window_clicks_become_outlines_and_a_moved_point_moves_only_its_own(window: QuPathWindow) -> None:
    window.run("waitFor { gui.getImageData() != null }; choose('Segment clicks'); true")
    first = window.outlines()
    assert len(first) == DEMO_NUCLEI
    window.run("fx { gui.getUndoRedoManager().undoOnce() }")
    assert window.outlines() == {}
    window.run("fx { gui.getUndoRedoManager().redoOnce() }")
    assert window.outlines() == first
    window.run(DRAWN)
    window.run("fx { gui.getUndoRedoManager().undoOnce() }")
    assert window.outlines() == first
    begun = time.monotonic()
    window.run("choose('Segment clicks'); true")
    assert time.monotonic() - begun < 20
    assert window.outlines() == first

    window.run(MOVE)
    window.run("choose('Segment clicks'); true")
    second = window.outlines()
    assert len(set(first) - set(second)) == len(set(second) - set(first)) == 1
    # Neighbours see where the point is, and may give or take a pixel; all the others are the very same.
    assert sum(second[one] != first[one] for one in set(first) & set(second)) < 10

    assert window.run(STROKES) == 2
    window.run("choose('Segment squiggles'); true")
    third = window.outlines()
    assert len(third) == DEMO_NUCLEI + 3
    assert {one: third[one] for one in second} == second

    steps = window.run("fx { steps() }")
    assert isinstance(steps, list)
    assert [step for step in steps if "NuClick" in step] == [
        *["NuClick: Segment clicks"] * 3,
        "NuClick: Segment squiggles",
    ]
    window.run("choose('Remove NuClick objects') { outlines().isEmpty() }; true")
    assert window.outlines() == {}
    window.run("fx { gui.getUndoRedoManager().undoOnce() }")
    assert window.outlines() == third


@IN_THE_WINDOW
def test_outlines_of_an_image_that_is_switched_without_saving_are_saved_in_its_entry(window: QuPathWindow) -> None:
    assert window.run(SWITCH) == ["second.svs", DEMO_OUTLINES, 0]


@IN_THE_WINDOW
def test_the_next_server_gets_what_is_ticked_in_the_settings(window: QuPathWindow, tmp_path: Path) -> None:
    assert window.run(SETTINGS) == [False, True]
    kept = json.loads((tmp_path / "user" / "nuclick" / "settings.json").read_text(encoding="utf-8"))
    assert kept["tta"] is True
