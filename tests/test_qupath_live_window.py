"""Live mode and review in QuPath's window: outlines follow clicks, undo, moves and deletions, and outlive the server.

Runs where `test_qupath_window.py` does. Changes are made as QuPath's tools make them, on its own thread; the pointer
itself is not tried.
"""

import statistics

from test_qupath_window import IN_THE_WINDOW, QuPathWindow, screen, window

__all__ = ["screen", "window"]

START = """
import qupath.lib.geom.Point2
import qupath.lib.objects.PathObjects
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
waitFor { gui.getImageData() != null }
def actions = { System.getProperties().get('nuclick.loaded')?.actions }
def hierarchy = fx { gui.getImageData().getHierarchy() }
// What the demo has drawn is out of the way, but for the places of its nuclei.
def drawn = fx { hierarchy.getAnnotationObjects().findAll { it.getROI().isPoint() || it.getROI().isLine() } }
def places = drawn.findAll { it.getROI().isPoint() }.collectMany { it.getROI().getAllPoints() }.collect { new Point2(it.getX(), it.getY()) }
fx { hierarchy.removeObjects(drawn, true) }
Thread.startDaemon { javafx.application.Platform.runLater { menu('Live').fire() } }
waitFor { actions()?.live?.session?.asker?.crops }
def session = fx { actions().live.session }
def idle = { waitFor { session.isIdle() && session.@since.isEmpty() }; Thread.sleep(200); waitFor { session.isIdle() } }
idle()
def clicks = PathObjects.createAnnotationObject(ROIs.createPointsROI([places[0]], ImagePlane.getDefaultPlane()))
def found = { hierarchy.getAnnotationObjects().find { it.getROI().isPoint() } }
def set = { List points -> fx { def one = found(); one.setROI(ROIs.createPointsROI(points, ImagePlane.getDefaultPlane())); hierarchy.updateObject(one, false) }; idle() }
def points = { found().getROI().getAllPoints() }
def count = { fx { [found()?.getROI()?.getNumPoints() ?: 0, outlines().size()] } }
fx { hierarchy.addObject(clicks) }
idle()
"""  # noqa: E501 - Groovy

FOLLOW = """
def said = [one: count()]
set(points() + places[10])
said.two = count()
fx { gui.getUndoRedoManager().undoOnce() }; idle()
said.undone = count()
fx { gui.getUndoRedoManager().redoOnce() }; idle()
said.redone = count()
def before = fx { outlines() }
set([points()[0], places[20]])
said.moved = count()
said.stayed = fx { outlines().keySet().intersect(before.keySet()).size() }
set([places[20]])
said.deleted = count()
fx { gui.getUndoRedoManager().undoOnce() }; idle()
said.restored = count()
def server = System.getProperties().get('nuclick.server').process
server.destroyForcibly().waitFor()
set(points() + places[30])
said.killed = count()
said.again = System.getProperties().get('nuclick.server').process.isAlive()
fx { hierarchy.getDetectionObjects().each { it.setLocked(true) } }
set([places[30]])
said.locked = count()
fx { gui.getImageData().setChanged(false); gui.openImageEntry(gui.getProject().getImageList()[1]) }
waitFor { gui.getProject().getEntry(gui.getImageData()).getImageName() == 'second.svs' }
said.ended = fx { [session.isOn(), actions().live.isOn(), actions().toolbar.button.isSelected()] }
said
"""

REVIEW = """
(10..<16).each { set(points() + places[it]) }
def review = fx { actions().review }
def state = { fx { [count(), hierarchy.getDetectionObjects().count { it.isLocked() }].flatten() } }
def surenesses = { fx { review.waiting().collect { actions().sureness.sureness(it) } } }
fx { actions().reviewing('open') }
def said = [order: surenesses(), first: fx { review.place[0] }, begun: state()]
fx { actions().reviewing('accept') }
said.accepted = state()
fx { actions().reviewing('reject') }; idle()
said.rejected = state()
def current = fx { review.current }
def middle = fx { def roi = hierarchy.getDetectionObjects().find { it.getID().toString() == review.current }.getROI(); new Point2(roi.getCentroidX() + 1, roi.getCentroidY()) }
set(points() + middle)
said.corrected = state()
said.follows = fx { review.current != current && !outlines().containsKey(current) }
said
"""  # noqa: E501 - Groovy

TIMES = """
(1..40).each { set(points() + places[2 * it]) }
session.seconds.drop(10)
"""


@IN_THE_WINDOW
def test_in_live_mode_outlines_follow_their_clicks_and_end_with_the_image(window: QuPathWindow) -> None:
    assert window.run(START + FOLLOW) == {
        "one": [1, 1],
        "two": [2, 2],
        "undone": [1, 1],
        "redone": [2, 2],
        "moved": [2, 2],
        "stayed": 1,
        "deleted": [1, 1],
        "restored": [2, 2],
        "killed": [3, 3],
        "again": True,
        "locked": [1, 3],
        "ended": [False, False, False],
    }


@IN_THE_WINDOW
def test_a_review_goes_from_the_least_sure_and_locks_removes_or_corrects(window: QuPathWindow) -> None:
    said = window.run(START + REVIEW)
    assert isinstance(said, dict)
    clicks, outlines, _ = said["begun"]
    assert said["order"] == sorted(said["order"])
    assert said["first"] == said["order"][0]
    assert said["begun"][2] == 0
    assert said["accepted"] == [clicks, outlines, 1]
    assert said["rejected"] == [clicks - 1, outlines - 1, 1]
    assert said["corrected"][0] == clicks - 1
    assert said["follows"]


@IN_THE_WINDOW
def test_each_click_has_its_outline_soon(window: QuPathWindow) -> None:
    # 200 ms are meant, on an idle machine; a busy one is not to fail the tests.
    seconds = window.run(START + TIMES)
    assert isinstance(seconds, list)
    ordered = sorted(seconds)
    print(
        f"from click to outline: p50 {statistics.median(ordered):.3f} s, p95 {ordered[int(0.95 * len(ordered))]:.3f} s"
    )
    assert len(seconds) == 31
    assert statistics.median(seconds) < 5
