"""Exports of a run, from the user's side."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from projects import Image, write_project
from test_run import FILES, NUCLEI, TUMOR, clicks

from nuclick_wsi.choices import ExportFormat
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.exports.export import ExportChoice

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")


def test_a_run_exports_labels_tables_and_tiles_of_just_its_outlines_and_again_without_a_change(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", Image("a.svs", [clicks(*NUCLEI, path_class=TUMOR)]))
    exports = ExportChoice(tmp_path / "out.zarr", formats=tuple(ExportFormat))
    request = RunRequest(project, device="cpu", project_access=FILES, exports=exports)
    assert run_target(request) == 0
    (result,) = (tmp_path / "project" / "nuclick").glob("*.geojson")
    ids = {feature["id"] for feature in json.loads(result.read_bytes())["features"]}
    folder = tmp_path / "project" / "nuclick" / "export" / "1 a.svs"
    rows = list(csv.DictReader((folder / "csv" / "objects.csv").open(encoding="utf-8")))
    assert ids
    assert {row["prompt"] for row in rows} == ids
    assert all(row[column] for row in rows for column in row)
    assert {row["prompt"] for row in csv.DictReader((folder / "masks" / "objects.csv").open(encoding="utf-8"))} == ids
    assert {one["prompt"] for one in json.loads((folder / "coco" / "coco.json").read_bytes())["annotations"]} == ids
    labels = np.asarray(zarr.open_group(tmp_path / "out.zarr", mode="r")["labels/nuclei/0"])
    assert set(np.unique(labels)) == {0, *(int(row["label"]) for row in rows)}
    assert (tmp_path / "out.zarr" / "tables" / "objects.csv").read_bytes() == (folder / "csv/objects.csv").read_bytes()

    before = {path: path.stat().st_mtime_ns for path in (*folder.rglob("*"), *(tmp_path / "out.zarr").rglob("*"))}
    assert run_target(request) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_several_images_need_a_folder_of_stores(tmp_path: Path) -> None:
    images = [Image("a.svs", [clicks(NUCLEI[0])]), Image("b.svs", [clicks(NUCLEI[1])])]
    project = write_project(tmp_path / "project", *images)
    request = RunRequest(project, device="cpu", project_access=FILES, exports=ExportChoice(tmp_path / "out.zarr"))
    with pytest.raises(SettingsError, match="there are 2 images: name a folder"):
        run_target(request)
    request = RunRequest(project, device="cpu", project_access=FILES, exports=ExportChoice(tmp_path / "labels"))
    assert run_target(request) == 0
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["1 a.svs.zarr", "2 b.svs.zarr"]


def test_what_else_is_in_the_place_of_a_store_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", Image("a.svs", [clicks(NUCLEI[0])]))
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "zarr.json").write_text("{}")
    request = RunRequest(project, device="cpu", project_access=FILES, exports=ExportChoice(tmp_path / "mine.zarr"))
    with pytest.raises(SettingsError, match="is no result of the same input"):
        run_target(request)
    assert not (tmp_path / "project" / "nuclick").exists()


def test_labels_of_another_project_in_the_same_folder_are_not_replaced(tmp_path: Path) -> None:
    exports = ExportChoice(tmp_path / "labels")
    for name in ("one", "two"):
        project = write_project(tmp_path / name, Image("a.svs", [clicks(NUCLEI[0])]))
        request = RunRequest(project, device="cpu", project_access=FILES, exports=exports)
        if name == "one":
            assert run_target(request) == 0
        else:
            with pytest.raises(SettingsError, match=r"1 a\.svs\.zarr is not written"):
                run_target(request)
