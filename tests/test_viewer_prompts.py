"""Marks of the viewer in a QuPath project: what was drawn there stays, a run has both, no change is overlooked."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from projects import Image, write_project
from qpdata_writer import Drawn, PathClass, points, polyline, qpdata
from test_viewer import serve

from asap_bridge.document import read_document
from nuclick_wsi.choices import ProjectAccess
from nuclick_wsi.cli.convert import ConvertRequest, convert
from nuclick_wsi.cli.left_alone import counted
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.viewer import project_marks
from nuclick_wsi.viewer.file_changes import FileChanges, changes_since
from nuclick_wsi.viewer.loading import DrawnOn, Loaded, load, read_image
from nuclick_wsi.viewer.marks import MarkObject, key_of
from nuclick_wsi.viewer.opened_slide import OpenedSlide, image_of, open_for_viewing
from nuclick_wsi.viewer.project_marks import ProjectMarks, SavedMarks
from qupath_extension.project import ProjectImage, read_project
from qupath_extension.viewer_marks import TAKEN_IN, viewer_marks_of

Json = dict[str, Any]
NUCLEI = [(165.25, 46.25), (199.5, 66.75), (177.0, 250.0)]
ADDED = (184.0, 60.0)
TUMOR = PathClass("Tumor")
CLICKS = "00000000-0000-4000-8000-00000000c11c"


class Page:
    """What the page in the browser does with a project, without its looks."""

    def __init__(self, folder: Path, *drawn: Drawn) -> None:
        self.path = write_project(folder / "project", Image("a.svs", list(drawn) or [clicks(*NUCLEI)]))
        self.slide: OpenedSlide = open_for_viewing(folder / "project" / "slides" / "a.svs", self.path, None)
        self.project = ProjectMarks(self.path, self.slide, MarkObject.NUCLEUS)
        self.open()

    @property
    def image(self) -> ProjectImage:
        return read_project(self.path).images[0]

    @property
    def file(self) -> Path:
        return self.path.parent / "nuclick" / "1 a.svs.prompts.geojson"

    def open(self) -> None:
        """Begin with what the project has."""
        found = load(self.path, self.slide, MarkObject.NUCLEUS)
        self.marks = {mark.id: mark.as_json() for mark in found.marks}
        self.changed: set[str] = set()

    def at(self, place: tuple[float, float]) -> str:
        (found,) = (name for name, mark in self.marks.items() if tuple(mark["strokes"][0][0]) == place)
        return found

    def add(self, place: tuple[float, float], class_name: str | None = None) -> str:
        name = str(uuid.uuid4())
        self.marks[name] = {"id": name, "object": "nucleus", "class": class_name, "strokes": [[list(place)]]}
        self.changed.add(name)
        return name

    def delete(self, name: str) -> Json:
        self.changed.add(name)
        return self.marks.pop(name)

    def replace(self, name: str, **change: Any) -> str:
        mark = self.delete(name) | change
        again = self.add((0, 0))
        self.marks[again] = {key: value for key, value in mark.items() if key != "source"} | {"id": again}
        return again

    @property
    def document(self) -> Json:
        return {"prompts": list(self.marks.values()), "changed": sorted(self.changed)}

    def save(self) -> SavedMarks | FileChanges:
        saved = self.project.save(self.document, {"Tumor": (200, 0, 0)})
        if isinstance(saved, SavedMarks):
            self.changed = set()
        return saved

    def run_knows(self) -> dict[tuple[float, ...], str | None]:
        """Return the positions of the prompts that a run has, in one row each, with their classes."""
        data = self.image.read_data()
        found = viewer_marks_of(self.image, data).prompts_among(data.objects, ObjectChoice.AUTO)
        assert len({prompt.id for prompt in found.prompts}) == len(found.prompts)
        return {
            tuple(
                value for stroke in one.signal.strokes for point in stroke for value in (point.x, point.y)
            ): one.class_name
            for one in found.prompts
        }

    def draw(self, *drawn: Drawn, properties: dict[str, str] | None = None) -> None:
        """Save the image as QuPath does."""
        self.image.data_path.write_bytes(qpdata(*drawn, properties=properties))


def clicks(*places: tuple[float, float], name: str = CLICKS, path_class: PathClass | None = TUMOR) -> Drawn:
    return Drawn(points(*places), path_class=path_class, id=name)


def saved_by(page: Page) -> SavedMarks:
    found = page.save()
    assert isinstance(found, SavedMarks)
    return found


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def test_what_is_added_moved_deleted_and_reclassed_is_what_a_run_has_and_what_was_drawn_stays(page: Page) -> None:
    drawn = page.image.data_path.read_bytes()
    page.add(ADDED, "Tumor")
    page.replace(page.at(NUCLEI[0]), strokes=[[[150.0, 70.0]]])
    page.delete(page.at(NUCLEI[1]))
    page.replace(page.at(NUCLEI[2]), **{"class": "Stroma"})
    saved = page.save()
    assert isinstance(saved, SavedMarks)
    assert (saved.path, saved.added, saved.left_out) == (page.file, 3, 3)
    assert page.run_knows() == {ADDED: "Tumor", (150.0, 70.0): "Tumor", NUCLEI[2]: "Stroma"}
    assert page.image.data_path.read_bytes() == drawn
    assert (page.path.parent / "scripts" / "Import_NuClick_results.groovy").exists()
    # Another page, of another user with no kept work, begins with the same.
    before = {key_of(mark) for mark in load(page.path, page.slide, MarkObject.NUCLEUS).marks}
    page.open()
    assert len(page.marks) == 3
    assert {tuple(mark["strokes"][0][0]) for mark in page.marks.values()} == page.run_knows().keys()
    page.save()
    assert {key_of(mark) for mark in load(page.path, page.slide, MarkObject.NUCLEUS).marks} == before


def test_what_is_left_out_is_counted_in_words(page: Page) -> None:
    for place in NUCLEI[:2]:
        page.delete(page.at(place))
        page.save()
        data = page.image.read_data()
        left_alone = viewer_marks_of(page.image, data).prompts_among(data.objects, ObjectChoice.AUTO).left_alone
        several = place == NUCLEI[1]
        words = "2 clicks or lines" if several else "1 click or line"
        assert counted(left_alone) == [f"{words} left out in the viewer"]


def test_saving_twice_changes_nothing_and_nothing_makes_no_file(page: Page) -> None:
    page.save()
    assert not page.file.parent.exists()
    page.add(ADDED)
    page.save()
    first = page.file.read_bytes(), page.file.stat().st_mtime_ns
    page.save()
    page.open()
    page.save()
    assert (page.file.read_bytes(), page.file.stat().st_mtime_ns) == first
    assert [path.name for path in page.file.parent.iterdir()] == [page.file.name]


def test_marks_of_the_viewer_are_moved_and_deleted_by_it_and_a_copy_is_kept_of_the_last_ones(page: Page) -> None:
    name = page.add(ADDED)
    page.save()
    page.replace(name, strokes=[[[230.0, 80.0]]])
    page.save()
    assert page.run_knows().keys() == {*NUCLEI, (230.0, 80.0)}
    page.open()
    page.delete(page.at((230.0, 80.0)))
    page.save()
    assert page.run_knows().keys() == set(NUCLEI)
    (copy,) = page.file.parent.glob("*.backup")
    assert json.loads(copy.read_bytes())["features"][0]["geometry"]["coordinates"] == [230.0, 80.0]


def test_what_qupath_has_saved_since_is_noticed_and_nothing_is_written(page: Page) -> None:
    page.add(ADDED)
    page.draw(clicks(NUCLEI[0], (120.0, 40.0), NUCLEI[2]), Drawn(polyline((20, 40), (60, 120)), id=str(uuid.uuid4())))
    found = page.save()
    assert isinstance(found, FileChanges)
    assert [page.marks[name]["strokes"][0][0] for name in found.gone] == [NUCLEI[1]]
    assert sorted(mark.strokes[0][0] for mark in found.new) == [(20, 40), (120.0, 40.0)]
    assert not page.file.exists()
    for name in found.gone:
        page.marks.pop(name)
    page.marks.update({mark.id: mark.as_json() for mark in found.new})
    assert isinstance(page.save(), SavedMarks)
    assert len(page.run_knows()) == 5


def test_a_mark_that_both_have_changed_is_there_as_each_has_it(page: Page) -> None:
    page.replace(page.at(NUCLEI[1]), strokes=[[[125.0, 45.0]]])
    page.draw(clicks(NUCLEI[0], (120.0, 40.0), NUCLEI[2]))
    found = page.save()
    assert isinstance(found, FileChanges)
    assert found.gone == []
    page.marks.update({mark.id: mark.as_json() for mark in found.new})
    page.save()
    assert page.run_knows().keys() == {NUCLEI[0], NUCLEI[2], (120.0, 40.0), (125.0, 45.0)}


def test_another_class_in_qupath_is_noticed_too(page: Page) -> None:
    page.draw(clicks(*NUCLEI, path_class=PathClass("Stroma")))
    found = changes_since(page.document, load(page.path, page.slide, MarkObject.NUCLEUS))
    assert (len(found.new), sorted(found.gone)) == (3, sorted(page.marks))


def test_what_another_page_has_saved_meanwhile_is_taken_over_and_not_overwritten(page: Page) -> None:
    page.add(ADDED)
    here, there = dict(page.marks), set(page.changed)
    page.open()
    page.add((230.0, 80.0))
    page.save()
    page.marks, page.changed = here, there
    found = page.save()
    assert isinstance(found, FileChanges)
    assert [mark.strokes[0][0] for mark in found.new] == [(230.0, 80.0)]


def test_what_another_viewer_saves_while_this_one_saves_is_not_overwritten(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.add(ADDED)
    other = {"id": "other", "object": "nucleus", "class": None, "strokes": [[[230.0, 80.0]]]}
    document = {"prompts": [*page.document["prompts"], other], "changed": [*page.changed, "other"]}

    def read_before_the_other_saved(project: Path, slide: OpenedSlide) -> DrawnOn:
        found = read_image(project, slide)
        with monkeypatch.context() as of_the_other:
            of_the_other.setattr(project_marks, "read_image", read_image)
            ProjectMarks(page.path, page.slide, MarkObject.NUCLEUS).save(document, {})
        return found

    monkeypatch.setattr(project_marks, "read_image", read_before_the_other_saved)
    found = page.save()
    assert isinstance(found, FileChanges)
    assert [mark.strokes[0][0] for mark in found.new] == [(230.0, 80.0)]
    assert page.run_knows().keys() == {*NUCLEI, ADDED, (230.0, 80.0)}


def test_what_qupath_saves_while_the_page_saves_is_not_left_out(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_and_then_drawn(project: Path, slide: OpenedSlide) -> DrawnOn:
        found = read_image(project, slide)
        page.draw(clicks(*NUCLEI, (120.0, 40.0)))
        return found

    page.add(ADDED)
    monkeypatch.setattr(project_marks, "read_image", read_and_then_drawn)
    assert isinstance(page.save(), SavedMarks)
    assert page.run_knows().keys() == {*NUCLEI, ADDED, (120.0, 40.0)}


def test_documents_of_earlier_versions_lose_nothing(page: Page) -> None:
    document = page.document
    document.pop("changed")
    page.draw(clicks(NUCLEI[0], (120.0, 40.0)))
    found = changes_since(document, load(page.path, page.slide, MarkObject.NUCLEUS))
    assert found.gone == []
    assert [mark.strokes[0][0] for mark in found.new] == [(120.0, 40.0)]


def test_an_edited_file_is_kept_as_a_copy_and_one_of_somebody_else_stays(page: Page, tmp_path: Path) -> None:
    page.add(ADDED)
    page.save()
    edited = page.file.read_bytes().replace(b"184.0", b"185.0")
    page.file.write_bytes(edited)
    assert (185.0, 60.0) in page.run_knows()
    page.open()
    page.add((230.0, 80.0))
    saved = page.save()
    assert isinstance(saved, SavedMarks)
    assert "may have been edited" in str(saved.remarks)
    assert page.file.with_name(f"{page.file.name}.backup").read_bytes() == edited
    other = Page(tmp_path / "other")
    other.file.parent.mkdir()
    other.file.write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    other.add(ADDED)
    saved = other.save()
    assert isinstance(saved, SavedMarks)
    assert saved.path.name == "1 a.svs.prompts 2.geojson"
    assert ADDED in other.run_knows()


def test_a_damaged_file_is_named_by_the_viewer_and_the_run(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.add(ADDED)
    page.save()
    page.file.write_bytes(page.file.read_bytes()[:-20])
    with pytest.raises(
        NuclickError, match=r"prompts\.geojson has the marks that the viewer saved, and is damaged \(.*Put a copy"
    ):
        page.save()
    assert run_target(RunRequest(page.path, device="cpu", project_access=ProjectAccess.FILES)) == 1
    assert "and is damaged (" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("content", [b"", b'{"type": "FeatureCollection", "features": []}'])
def test_a_file_that_does_not_say_that_it_is_the_viewers_is_named_by_runs(page: Page, content: bytes) -> None:
    page.add(ADDED)
    page.save()
    assert "1 added" in str(viewer_marks_of(page.image, page.image.read_data()).remarks)
    page.file.write_bytes(content)
    found = viewer_marks_of(page.image, page.image.read_data())
    assert "prompts.geojson is not as the viewer writes it for this image" in str(found.remarks)
    page.open()
    assert not saved_by(page).remarks  # nothing to write, so nothing was written under another name
    assert [path.name for path in page.file.parent.glob("*.prompts*")] == [page.file.name]


def test_lines_and_what_is_to_be_ignored_go_the_same_way(tmp_path: Path) -> None:
    line = Drawn(polyline((20, 40), (60, 120)), id=str(uuid.uuid4()))
    ignored = clicks((30.0, 30.0), name=str(uuid.uuid4()), path_class=PathClass("Ignore*"))
    page = Page(tmp_path, clicks(*NUCLEI), line, ignored)
    for name in (page.at((20.0, 40.0)), page.at((30.0, 30.0))):
        page.delete(name)
    name = page.add((0, 0))
    strokes = [[[100.0, 100.0], [120.0, 130.0]], [[101.0, 90.0], [140.0, 95.0]]]
    page.marks[name] |= {"object": "gland", "strokes": strokes}
    also = page.add((40.0, 44.0), "Ignore*")
    page.marks[also] |= {"object": "ignore"}
    saved = page.save()
    assert isinstance(saved, SavedMarks)
    assert (saved.added, saved.left_out) == (2, 2)
    found = page.run_knows()
    assert found.keys() == {*NUCLEI, (100.0, 100.0, 120.0, 130.0, 101.0, 90.0, 140.0, 95.0), (40.0, 44.0)}
    page.open()
    assert {mark["object"] for mark in page.marks.values()} == {"nucleus", "gland", "ignore"}
    assert isinstance(page.save(), SavedMarks)
    assert page.run_knows() == found


def test_marks_stay_with_their_image_when_it_gets_another_name(page: Page) -> None:
    page.add(ADDED)
    page.save()
    content = json.loads(page.path.read_bytes())
    content["images"][0]["imageName"] = "another name.svs"
    page.path.write_text(json.dumps(content), encoding="utf-8")
    assert ADDED in page.run_knows()
    page.open()
    page.delete(page.at(ADDED))
    page.add((230.0, 80.0))
    page.save()
    assert page.run_knows().keys() == {*NUCLEI, (230.0, 80.0)}
    assert len(list(page.file.parent.glob("*.prompts.geojson"))) == 1


def test_marks_are_converted_for_asap_with_what_was_drawn(page: Page, tmp_path: Path) -> None:
    page.add(ADDED)
    page.save()
    assert convert(ConvertRequest(page.path, tmp_path / "asap")) == 0
    (path,) = (tmp_path / "asap").glob("*.xml")
    assert read_document(path).annotations[-1].points.tolist() == [list(ADDED)]
    assert len(read_document(path).annotations) == 4


# What QuPath has taken in is QuPath's.


def test_what_qupath_has_taken_in_counts_once_and_as_it_is_there(page: Page) -> None:
    name = page.add(ADDED)
    page.add((230.0, 80.0))
    page.save()
    taken = {TAKEN_IN: hashlib.sha256(page.file.read_bytes()).hexdigest()}
    own = clicks(ADDED, name=name, path_class=None)
    page.draw(clicks(*NUCLEI), own)  # taken in by hand: GeoJSON imported, and one of the two deleted
    assert page.run_knows().keys() == {*NUCLEI, ADDED, (230.0, 80.0)}
    page.draw(clicks(*NUCLEI), own, properties=taken)
    assert page.run_knows().keys() == {*NUCLEI, ADDED}
    page.draw(clicks(*NUCLEI), clicks((240.0, 90.0), name=name, path_class=None), properties=taken)
    assert page.run_knows().keys() == {*NUCLEI, (240.0, 90.0)}
    page.open()
    page.replace(page.at((240.0, 90.0)), strokes=[[[241.0, 91.0]]])
    page.save()
    assert page.run_knows().keys() == {*NUCLEI, (241.0, 91.0)}
    content = json.loads(page.file.read_bytes())
    assert [one["source"] for one in content["left_out"].values()] == [name]  # so that QuPath can remove it


def test_a_property_that_is_no_text_and_a_damaged_end_change_no_reading(page: Page) -> None:
    whole = qpdata(clicks(*NUCLEI), properties={"a": "b"})
    page.image.data_path.write_bytes(whole)
    assert page.image.read_data().properties == {"a": "b"}
    page.image.data_path.write_bytes(whole[:-12])
    assert len(page.image.read_data().objects) == 1


# In a run, and over the network.


def test_a_run_outlines_what_the_viewer_has_saved_and_says_so(
    page: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for viewer in serve(tmp_path, page.slide.path, page.path):
        assert viewer.ask("GET", "/view/info").json["saves_prompts"]
        page.add(ADDED)
        page.delete(page.at(NUCLEI[1]))
        loaded = viewer.ask("POST", "/view/load?name=a.csv", b"x,y\n230,80\n").json["prompts"]
        assert [mark["source"] == mark["id"] for mark in loaded] == [True]
        document = {**page.document, "classes": []}
        results = viewer.ask("POST", "/view/results", {"document": document})
        assert "does not know 2 changes" in str(results.json["remarks"])
        saved = viewer.ask("POST", "/view/prompts", {"document": document})
        assert (saved.json["added"], saved.json["left_out"]) == (1, 1)
        again = viewer.ask("POST", "/view/results", {"document": document}).json
        assert again["remarks"] == []
    by_page = orjson.loads(Path(again["path"]).read_bytes())
    assert run_target(RunRequest(page.path, device="cpu", project_access=ProjectAccess.FILES)) == 0
    assert "marks of the viewer: 1 added, 1 of QuPath's left out" in " ".join(capsys.readouterr().out.split())
    by_run = orjson.loads(Path(again["path"]).read_bytes())
    assert [one["id"] for one in by_run["features"]] == [one["id"] for one in by_page["features"]]
    assert len(by_run["features"]) == 3


def test_an_image_on_which_nothing_was_drawn_has_what_the_viewer_added_run_after_run(tmp_path: Path) -> None:
    page = Page(tmp_path)
    page.image.data_path.unlink()
    page.open()
    assert page.marks == {}
    page.add(NUCLEI[0])
    page.save()
    for _ in range(2):
        assert run_target(RunRequest(page.path, device="cpu", project_access=ProjectAccess.FILES)) == 0
        found = json.loads((page.file.parent / "1 a.svs.geojson").read_bytes())["features"]
        assert len(found) == 1


def test_without_a_project_there_is_nothing_to_save_prompts_into(page: Page, tmp_path: Path) -> None:
    for viewer in serve(tmp_path, page.slide.path):
        assert not viewer.ask("GET", "/view/info").json["saves_prompts"]
        answer = viewer.ask("POST", "/view/prompts", {"document": page.document})
        assert answer.status == 400
        assert "export the prompts" in answer.json["error"]


# Which image of a project.


def test_of_a_slide_that_is_there_twice_the_page_says_whose_marks_it_has(tmp_path: Path) -> None:
    page = Page(tmp_path)
    assert page.slide.remarks == ()
    content = json.loads(page.path.read_bytes())
    (entry,) = content["images"]
    content["images"] = [entry, {**entry, "entryID": 2, "imageName": "again"}]
    page.path.write_text(json.dumps(content), encoding="utf-8")
    told = open_for_viewing(page.slide.path, page.path, None).remarks
    assert told == ("the project has this slide more than once: the marks are those of a.svs, not of again",)
    rotated = {"builderType": "rotated", "builder": entry["serverBuilder"], "rotation": "ROTATE_90"}
    content["images"][0] = {**entry, "serverBuilder": rotated}
    page.path.write_text(json.dumps(content), encoding="utf-8")
    assert image_of(page.path, page.slide.path).name == "again"
    content["images"].pop()
    page.path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(NuclickError, match="Refused"):
        image_of(page.path, page.slide.path)


def test_a_slide_that_is_elsewhere_than_the_project_says_is_told_by_its_name(page: Page, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "a.svs"
    elsewhere.parent.mkdir()
    page.slide.path.rename(elsewhere)
    found = open_for_viewing(elsewhere, page.path, None)
    assert "found by its name" in str(found.remarks)
    assert len(load(page.path, found, MarkObject.NUCLEUS).marks) == 3
    with pytest.raises(NuclickError, match=r"no image on .*other\.svs.*Its images: a\.svs\. Name the slide"):
        image_of(page.path, elsewhere.rename(elsewhere.with_name("other.svs")))


def test_work_is_the_same_whether_the_project_was_named_or_its_folder(page: Page, tmp_path: Path) -> None:
    for viewer in serve(tmp_path, page.slide.path, page.path):
        put = {"document": page.document, "revision": 0}
        assert viewer.ask("PUT", "/view/document", put).status == 200
    for viewer in serve(tmp_path, page.slide.path, page.path.parent):
        assert viewer.ask("GET", "/view/document").json["revision"] == 1


def test_what_clicks_are_in_is_not_kept_and_the_user_is_told(page: Page) -> None:
    page.marks[page.add(ADDED)]["object"] = "cell"
    assert "(1 in cells, 3 in nuclei): a run takes all for what --object says" in str(saved_by(page).remarks)
    for name in list(page.marks):
        page.marks[name]["object"] = "cell"
    assert "run with --object cell" in str(saved_by(page).remarks)


# A file of prompts that has changed since the work on it began.


def test_what_has_changed_in_the_file_is_said_and_neither_is_lost(page: Page, tmp_path: Path) -> None:
    table = tmp_path / "clicks.csv"
    table.write_text("x,y,class\n165.25,46.25,Tumor\n123,38.5,Tumor\n", encoding="utf-8")
    for viewer in serve(tmp_path, page.slide.path, table):
        begun = viewer.ask("GET", "/view/document").json
        assert begun["changes"] is None
        marks = [*begun["file"]["prompts"], {"id": "own", "object": "nucleus", "class": None, "strokes": [[[9, 9]]]}]
        put = {"document": {"prompts": marks, "changed": ["own"]}, "revision": 0}
        assert viewer.ask("PUT", "/view/document", put).status == 200
        assert viewer.ask("GET", "/view/document").json["changes"] is None
        table.write_text("x,y,class\n165.25,46.25,Tumor\n123,39,Tumor\n50,50,New\n", encoding="utf-8")
        found = viewer.ask("GET", "/view/document").json
        assert found["document"] == put["document"]
        assert sorted(mark["strokes"][0][0] for mark in found["changes"]["new"]) == [[50.0, 50.0], [123.0, 39.0]]
        assert found["changes"]["gone"] == [marks[1]["id"]]
        assert "New" in found["changes"]["class_colors"]
        table.unlink()
        gone = viewer.ask("GET", "/view/document").json
        assert "clicks.csv" in gone["file_problem"]
        assert gone["changes"] is None
        assert len(gone["file"]["prompts"]) == 2
    # The next viewer finds the same work by the file's place, whatever is in it.
    table.write_text("x,y,class\n165.25,46.25,Tumor\n", encoding="utf-8")
    for viewer in serve(tmp_path, page.slide.path, table):
        found = viewer.ask("GET", "/view/document").json
        assert found["document"] == put["document"]
        assert found["changes"] == {"new": [], "gone": [marks[1]["id"]], "class_colors": found["file"]["class_colors"]}


@pytest.mark.parametrize("changed", ["x", [1], {}])
def test_what_is_no_list_of_changes_is_named(page: Page, changed: object) -> None:
    with pytest.raises(NuclickError, match="changed is"):
        changes_since({"prompts": [], "changed": changed}, Loaded(()))
