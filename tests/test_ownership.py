"""A file is replaced only where we made it, from the same input, and nobody has edited it since."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from in_the_way import IN_THE_WAY, contents
from PIL import Image as Picture
from projects import Image, write_project

from nuclick_wsi import files
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.files import back_up
from nuclick_wsi.formats.geojson import write_results
from nuclick_wsi.models.checkpoints import import_checkpoint
from nuclick_wsi.ownership import require_free
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import Results
from qupath_extension.access import FileAccess
from qupath_extension.import_script import NAME
from qupath_extension.project import read_project
from qupath_extension.result_files import image_stem, results_of

WANTED = "Präparat.geojson"


@pytest.mark.parametrize("put", IN_THE_WAY)
def test_results_leave_what_is_in_the_way_and_say_so(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / WANTED)
    before = contents(tmp_path)
    for _ in range(2):
        place = write_results(tmp_path / WANTED, (), ObjectType.DETECTION, {}, "clicks")
        assert place.path.name == "Präparat 2.geojson"
        assert "Präparat 2.geojson" in place.remarks[0]
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("put", IN_THE_WAY)
def test_a_named_target_that_is_there_is_refused(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / WANTED)
    with pytest.raises(SettingsError, match="is there already"):
        require_free(tmp_path / WANTED, b"new")


def test_an_edited_result_is_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    write_results(path, (), ObjectType.DETECTION, {}, "clicks")
    edited = path.read_bytes().replace(b'"features":[]', b'"features": []')
    path.write_bytes(edited)
    place = write_results(path, (), ObjectType.DETECTION, {}, "clicks")
    assert place.path == path
    assert "a.geojson.backup" in place.remarks[0]
    assert (tmp_path / "a.geojson.backup").read_bytes() == edited
    assert write_results(path, (), ObjectType.DETECTION, {}, "clicks").remarks == ()


def test_results_of_an_older_version_keep_their_name_and_are_copied_once(tmp_path: Path) -> None:
    path = tmp_path / "1 a.svs.geojson"
    old = b'{"type":"FeatureCollection","generator":"nuclick-wsi","features":[]}'
    path.write_bytes(old)
    for _ in range(2):
        assert write_results(path, (), ObjectType.DETECTION, {}, "project").path == path
    assert {name for name in contents(tmp_path) if "backup" in name} == {"1 a.svs.geojson.backup"}
    assert (tmp_path / "1 a.svs.geojson.backup").read_bytes() == old


def test_results_of_another_input_are_not_replaced(tmp_path: Path) -> None:
    first = write_results(tmp_path / "a.geojson", (), ObjectType.DETECTION, {}, "one").path
    assert write_results(tmp_path / "a.geojson", (), ObjectType.DETECTION, {}, "two").path != first


def test_results_of_a_project_that_had_to_take_another_name_are_found(tmp_path: Path) -> None:
    (image,) = read_project(write_project(tmp_path, Image("a.svs"))).images
    taken = tmp_path / "nuclick" / "1 a.svs.geojson"
    taken.parent.mkdir()
    taken.write_text('{"type":"FeatureCollection","features":[]}')
    assert results_of(image) == taken
    sink = FileAccess(taken.parent, ObjectType.DETECTION, "").entry(image, image_stem(image))
    sink.write(Results((), {}, (), {}))
    assert results_of(image).name == "1 a.svs 2.geojson"
    assert (tmp_path / "scripts" / NAME).exists()


def slide_and_clicks(folder: Path, name: str = "slide.csv") -> tuple[Path, Path]:
    slide, clicks = folder / "slide.png", folder / name
    Picture.fromarray(np.full((128, 128, 3), 220, np.uint8)).save(slide)
    clicks.write_text("x,y\n60,60\n")
    return slide, clicks


def test_a_run_into_the_folder_of_its_inputs_leaves_them_and_a_second_changes_nothing(tmp_path: Path) -> None:
    slide, clicks = slide_and_clicks(tmp_path)
    before = contents(tmp_path)
    request = RunRequest(clicks, slide=slide, mpp=0.25, device="cpu", out=tmp_path, preview=True)
    run_target(request)
    results = {path.name: path.read_bytes() for path in tmp_path.glob("*slide*")}
    assert before.items() <= results.items()
    assert {name for name in set(results) - set(before) if " - " not in name} == {
        f"slide.csv slide.png.{ending}" for ending in ("geojson", "png", "html")
    }
    run_target(request)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*slide*")} == results


def test_a_table_of_tabs_and_another_slide_have_results_of_their_own(tmp_path: Path) -> None:
    slide, clicks = slide_and_clicks(tmp_path, "c.csv")
    tabs, other = tmp_path / "c.tsv", tmp_path / "other.png"
    tabs.write_text("x\ty\n60\t60\n")
    other.write_bytes(slide.read_bytes())
    for prompts, of in ((clicks, slide), (tabs, slide), (clicks, other)):
        run_target(RunRequest(prompts, slide=of, mpp=0.25, device="cpu", out=tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("*.geojson"))) == 3


def test_an_import_of_weights_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_text("mine")
    with pytest.raises(SettingsError, match="is there already"):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "mine.safetensors", ObjectKind.NUCLEUS)


def test_backups_are_on_disk_with_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    (tmp_path / "a.xml").write_text("mine")
    copy = back_up(tmp_path / "a.xml").path
    assert synced == [copy.stat().st_ino, tmp_path.stat().st_ino]
