"""The viewer without a mouse or eyes: contrast in light and dark, names, live regions, and all work by keys alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from axe_core import axe_script
from chromium import Tab
from test_viewer_page import (
    LINE,
    NUCLEI,
    PROGRAM,
    Start,
    browser,
    click_on,
    marks,
    on_screen,
    ready,
    settled,
    slide,
    start,
)

__all__ = ["browser", "slide", "start"]
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium that can be driven: NUCLICK_CHROMIUM names one")
SCHEMES = ["light", "dark"]

MEASURE = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


def in_scheme(tab: Tab, scheme: str) -> None:
    tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def shows_everything(tab: Tab) -> None:
    """Have all parts of the page there at once: a mark that is selected, messages, the legend, a menu."""
    click_on(tab, NUCLEI[0])
    tab.key("r")
    tab.key("u")
    tab.run("void import('/static/dialogs.js').then(({ tell, showProgress }) => { tell('A message'); tell('An error', "
            "{ wrong: true }); showProgress(1, 2, () => {}); })")  # fmt: skip
    tab.wait("document.querySelector('#messages .wrong') !== null")


def told_in(tab: Tab, scheme: str, size: tuple[int, int] | None = None) -> Any:
    in_scheme(tab, scheme)
    if size:
        tab.send("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    return tab.run(MEASURE)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_edges_and_focus_rings_stand_out(start: Start, slide: Path, scheme: str) -> None:
    tab = start(slide).open()
    shows_everything(tab)
    first = told_in(tab, scheme)
    assert first["faults"] == []
    assert first["texts"] > 40
    assert first["edges"] > 20
    tab.key("e")
    assert tab.run("!document.getElementById('export-menu').hidden")
    assert told_in(tab, scheme)["faults"] == []
    tab.key("Escape")
    tab.key("?")
    tab.wait("document.getElementById('help-dialog').open")
    assert told_in(tab, scheme)["faults"] == []
    tab.key("Escape")
    assert told_in(tab, scheme, (600, 700))["faults"] == []
    tab.close()


def test_a_faint_text_is_noticed(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    tab.run("document.getElementById('counts').style.color = 'rgb(150, 150, 150)'")
    tab.run("document.querySelector('#new-class input').style.borderColor = '#ddd'")
    faults = told_in(tab, "light")["faults"]
    assert [fault.split()[0] for fault in faults] == ["text", "edge"]
    tab.close()


def nodes(tab: Tab) -> list[dict[str, Any]]:
    """Return what a screen reader is told of the page."""
    found = tab.send("Accessibility.getFullAXTree")["nodes"]
    return [node for node in found if not node.get("ignored")]


def value(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", ""))


CONTROLS = {
    "button",
    "textbox",
    "checkbox",
    "spinbutton",
    "menuitem",
    "ColorWell",
    "application",
    "dialog",
    "progressbar",
}


def test_every_control_has_a_name_and_what_happens_is_told(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    shows_everything(tab)
    tab.key("e")
    tree = nodes(tab)
    controls = [node for node in tree if value(node, "role") in CONTROLS]
    assert len(controls) > 30
    assert [node for node in controls if not value(node, "name").strip()] == []
    names = [value(node, "name") for node in controls]
    assert {"Nucleus", "Accept", "Save results", "Zoom in", "Name of a new class"} <= set(names)
    live = {
        prop["value"]["value"]: node for node in tree for prop in node.get("properties", []) if prop["name"] == "live"
    }
    assert live.keys() >= {"polite", "assertive"}
    regions = tab.run("[...document.querySelectorAll('[role=status], [role=alert], [aria-live]')].map(one => one.id)")
    assert {"save-state", "hint", "counts", "review-state", "facts", "messages"} <= set(regions)
    assert tab.run("document.querySelector('#messages .wrong').getAttribute('role')") == "alert"
    headings = [value(node, "name") for node in tree if value(node, "role") == "heading"]
    assert headings[0] == "colon_ihc.svs"
    tab.close()


def test_the_focus_goes_from_the_head_to_the_tools_the_slide_and_the_side(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    click_on(tab, NUCLEI[0])
    click_on(tab, NUCLEI[1])
    tab.reload()  # after a click the focus would go on from the slide
    ready(tab)
    tab.key("r")
    order = []
    for _ in range(60):
        tab.key("Tab")
        order.append(tab.run("(e => e.id || e.dataset.tool || e.ariaLabel || e.textContent)(document.activeElement)"))
        if order[-1] == "delete":
            break
    assert order[0] == "load"  # and neither undo nor redo, which have nothing to do
    stops = [
        "load",
        "save-results",
        "help",
        "nucleus",
        "slide",
        "zoom-in",
        "by-class",
        "next",
        "accept",
        "delete",
    ]
    places = [order.index(name) for name in stops]
    assert places == sorted(places)
    assert order.count("nucleus") == 1
    assert not {"move", "cell", "gland"} & set(order)  # the toolbar is one stop; arrows go on from there
    assert len(set(order)) == len(order)
    tab.run("document.querySelector('[data-tool=nucleus]').focus()")
    tab.key("ArrowDown")
    assert tab.run("document.activeElement.dataset.tool") == "cell"
    tab.close()


def middle_to(tab: Tab, place: tuple[float, float]) -> None:
    """Bring a place of the slide into the middle by arrow keys, as exactly as they go."""
    for _ in range(200):
        at = tab.run("(p => [p.x, p.y, nuclick.osd.viewport.getBounds().width * 512])(nuclick.osd.world.getItemAt(0)"
                     ".viewportToImageCoordinates(nuclick.osd.viewport.getCenter()))")  # fmt: skip
        apart = [place[0] - at[0], place[1] - at[1]]
        far = max(apart, key=abs)
        if abs(far) < at[2] / 100:
            break
        key = ("ArrowRight" if far > 0 else "ArrowLeft") if far == apart[0] else "ArrowDown" if far > 0 else "ArrowUp"
        tab.key(key, shift=abs(far) < at[2] / 8)
    tab.wait("nuclick.osd.viewport.getCenter(true).minus(nuclick.osd.viewport.getCenter()).apply(Math.abs).x < 1e-5")
    tab.wait("nuclick.osd.viewport.getCenter(true).minus(nuclick.osd.viewport.getCenter()).apply(Math.abs).y < 1e-5")


def test_the_whole_work_is_done_with_keys_alone(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    tab.key("+")
    tab.key("+")
    tab.key("n")
    tab.key("1")
    for place in NUCLEI[:2]:
        middle_to(tab, place)
        tab.key("Enter")
        settled(tab)
    assert [mark["class"] for mark in marks(tab)] == ["Tumor", "Tumor"]
    assert "2 marks, 2 outlined" in tab.run("document.getElementById('counts').innerText")
    tab.key("g")
    for place in LINE[::2]:
        middle_to(tab, place)
        tab.key("Enter")
    assert len(marks(tab)) == 2
    tab.key("Enter")  # at the same place: the line ends
    settled(tab)
    assert marks(tab)[2]["object"] == "gland"
    assert len(marks(tab)[2]["strokes"][0]) == 3
    # A line that is dropped leaves nothing.
    tab.key("Enter")
    tab.key("Escape")
    assert len(marks(tab)) == 3

    tab.key("r")
    assert "Nucleus" in tab.run("document.getElementById('facts').innerText") or tab.run("nuclick.sheet.look.selected")
    tab.key("a")
    tab.key("s")
    middle_to(tab, NUCLEI[1])
    tab.key("Enter")
    tab.key("2")
    settled(tab)
    assert "Stroma" in [mark["class"] for mark in marks(tab)]
    tab.key("f")
    middle_to(tab, (300.0, 250.0))
    tab.key("Enter")  # moves it
    settled(tab)
    assert pytest.approx(marks(tab)[1]["strokes"][0][0], abs=4) == [300, 250]
    folder = tab.browser._folder
    tab.key("e")
    tab.key("ArrowDown")
    assert tab.run("document.activeElement.dataset.as") == "prompts"
    tab.key("Enter")
    path = folder / "colon_ihc.prompts.geojson"
    for _ in range(600):
        if path.exists():
            break
        tab.run("new Promise(done => setTimeout(done, 50))")
    assert len(json.loads(path.read_bytes())["features"]) == 3
    path.unlink()
    assert tab.run("document.activeElement.id") == "export"
    tab.key("s", control=True)
    tab.wait("document.getElementById('messages').innerText.includes('outlines:')")
    tab.close()


def test_a_gland_gets_one_more_line_by_keys(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    tab.key("g")
    tab.drag([on_screen(tab, *place) for place in LINE])
    settled(tab)
    tab.key("+")
    tab.run(f"nuclick.panels.select({json.dumps(marks(tab)[0]['id'])})")
    tab.key("f")
    middle_to(tab, (300.0, 20.0))
    tab.key("Enter")
    for place in LINE[1:4:2]:
        middle_to(tab, (place[0], place[1] + 8))
        tab.key("Enter")
    tab.key("Enter")
    settled(tab)
    assert [len(mark["strokes"]) for mark in marks(tab)] == [2]
    tab.close()


def test_keys_without_control_can_be_kept_to_the_slide(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    tab.key("?")
    tab.press_on("#keys-everywhere")
    tab.key("Escape")
    tab.reload()
    ready(tab)
    tab.run("document.getElementById('help').focus()")
    tab.key("g")
    assert tab.run("nuclick.tools.tool") == "nucleus"
    tab.run("document.getElementById('slide').focus()")
    tab.key("g")
    assert tab.run("nuclick.tools.tool") == "gland"
    tab.run("localStorage.clear()")
    tab.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(start: Start, slide: Path, scheme: str) -> None:
    script = axe_script()
    viewer = start(slide)

    def faults(tab: Tab) -> list[Any]:
        tab.run(f"{script}; void 0")
        in_scheme(tab, scheme)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = tab.run(
            f"axe.run(document, {{ runOnly: {json.dumps(tags)} }}).then((found) => found.violations.map((one) =>"
            " [one.id, one.impact, ...one.nodes.map((node) => `${node.html.slice(0, 120)} ${node.failureSummary}`)]))"
        )
        assert isinstance(found, list)
        return found

    tab = viewer.browser.open(viewer.address)
    tab.wait("document.getElementById('token-dialog').open")
    assert faults(tab) == []
    tab.close()
    tab = viewer.open()
    shows_everything(tab)
    assert faults(tab) == []
    tab.key("e")
    assert faults(tab) == []
    tab.key("Escape")
    tab.key("?")
    tab.wait("document.getElementById('help-dialog').open")
    assert faults(tab) == []
    tab.key("Escape")
    tab.send("Emulation.setDeviceMetricsOverride", width=600, height=700, deviceScaleFactor=1, mobile=False)
    assert faults(tab) == []
    tab.close()
