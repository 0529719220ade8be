"""The viewer in Firefox: the main way through the page, and what it hands out, as in Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from firefox import Firefox, FirefoxTab, find_firefox
from test_viewer_page import (
    LINE,
    NUCLEI,
    Start,
    downloaded,
    marks,
    on_screen,
    ready,
    settled,
    slide,
    start,
    without_seal,
)

from nuclick_wsi.cli.run import RunRequest, run_target

__all__ = ["slide", "start"]
PROGRAM = find_firefox()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Firefox: NUCLICK_FIREFOX names one")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Take the place of Chromium, by the name by which `start` asks for a browser."""
    assert PROGRAM is not None
    firefox = Firefox(PROGRAM, tmp_path_factory.mktemp("firefox"))
    yield firefox
    firefox.close()


def click_on(tab: FirefoxTab, place: tuple[float, float]) -> None:
    tab.click(*on_screen(tab, *place))
    settled(tab)


def test_clicks_lines_keys_review_and_export_work_and_outlines_are_those_of_the_command_line(
    start: Start, slide: Path, tmp_path: Path
) -> None:
    tab = start(slide).open()
    assert tab.run("location.href").endswith("/")
    tab.key("1")
    for place in NUCLEI:
        click_on(tab, place)
    tab.key("0")
    tab.key("g")
    tab.drag([on_screen(tab, *place) for place in LINE])
    settled(tab)
    tab.key("i")
    click_on(tab, (418.0, 42.0))
    assert [mark["object"] for mark in marks(tab)] == ["nucleus"] * 3 + ["gland", "ignore"]
    assert [mark["class"] for mark in marks(tab)] == ["Tumor"] * 3 + [None, "Ignore*"]
    tab.key("z", control=True)
    settled(tab)
    assert len(marks(tab)) == 4
    tab.key("z", control=True, shift=True)
    settled(tab)
    tab.key("n")
    tab.key("ArrowRight")
    tab.wait("nuclick.osd.viewport.getCenter(true).x === nuclick.osd.viewport.getCenter().x")
    tab.key("Enter")  # marks the middle of the screen
    settled(tab)
    assert len(marks(tab)) == 6
    tab.key("z", control=True)
    settled(tab)
    tab.key("r")
    assert tab.run("nuclick.sheet.look.selected") is not None
    tab.key("Escape")
    tab.key("?")
    tab.wait("document.getElementById('help-dialog').open")
    tab.key("Escape")
    tab.wait("!document.getElementById('help-dialog').open")
    before = marks(tab)
    tab.reload()
    ready(tab)
    assert marks(tab) == before

    folder = tab.browser._folder
    outlines = downloaded(tab, folder, "outlines", "colon_ihc.outlines.geojson")
    prompts = tmp_path / "prompts.geojson"
    prompts.write_bytes(downloaded(tab, folder, "prompts", "colon_ihc.prompts.geojson"))
    assert run_target(RunRequest(prompts, slide=slide, device="cpu", out=tmp_path / "out")) == 0
    (by_command,) = (tmp_path / "out").glob("*.geojson")
    assert without_seal(outlines) == without_seal(by_command.read_bytes())
    assert json.loads(outlines)["features"]
    tab.picture(tmp_path / "firefox.png")
    assert tab.complaints() == []
    tab.close()
