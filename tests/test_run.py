"""A run over a project, from the user's side: real models, real files, real messages."""

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import geojson
import pytest
from projects import Image, write_project
from qpdata_writer import Drawn, PathClass, points, polygon, polyline, qpdata
from scripted_qupath import DEMO_OUTLINES
from test_cli import nuclick, said

from nuclick_wsi.choices import ProjectAccess
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.demo import make_demo
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.runs.jobs import file_stem
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.slides.readers.framed import FramedSlide
from qupath_extension.project import read_project

FILES = ProjectAccess.FILES
TUMOR = PathClass("Tumör ✓: 陽性")
NUCLEI = ((149.5, 62.0), (123.0, 38.5), (241.5, 50.0), (233.0, 83.5))
"""Places on the tissue; what is there matters to no test."""


def clicks(*places: tuple[float, float], path_class: PathClass | None = None) -> Drawn:
    return Drawn(points(*places), path_class=path_class, id=f"00000000-0000-4000-8000-{len(places):012d}")


def results(project: Path) -> dict[str, dict]:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (project.parent / "nuclick").glob("*.geojson")
    }


def record(project: Path) -> dict:
    (path,) = (project.parent / "nuclick" / "runs").glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_prompt_of_a_project_is_accounted_for_in_its_results_and_record(tmp_path: Path) -> None:
    drawn = [
        clicks(*NUCLEI, path_class=TUMOR),
        clicks((700, 20)),
        clicks(),
        Drawn(polyline((20, 40), (60, 120))),
        Drawn(polygon((0, 0), (50, 0), (50, 50))),
        Drawn(polygon((60, 0), (70, 0), (70, 9)), type="PathDetectionObject"),
    ]
    project = write_project(tmp_path / "a project – ü", Image("tissue 1.svs", drawn))
    assert run_target(RunRequest(project, device="cpu", project_access=FILES, preview=True)) == 0
    (image,) = record(project)["images"]
    assert image["prompts"] == {"nucleus": 5, "gland": 1}
    assert image["left_alone"] == {"region": 1, "detection": 1}
    assert image["rejections_by_reason"]["outside the slide"] == 1
    assert image["rejections_by_reason"]["no points in the annotation"] == 1
    features = results(project)["1 tissue 1.svs"]["features"]
    assert len(features) == image["instances"]
    assert len(features) + len(image["rejections"]) == 5 + 1 + 1
    assert not {feature["id"] for feature in features} & {rejection["prompt"] for rejection in image["rejections"]}
    assert geojson.loads(json.dumps({"type": "FeatureCollection", "features": features})).is_valid
    assert {f["properties"].get("classification", {}).get("name") for f in features} >= {"Tumör ✓: 陽性"}
    outside = next(r for r in image["rejections"] if r["reason"] == "outside the slide")
    assert outside["position"] == [700.0, 20.0]
    assert Path(image["preview"]).read_bytes().startswith(b"\x89PNG")
    assert {model["kind"] for model in record(project)["models"]} == {"nucleus", "gland"}


def test_running_twice_changes_no_result_and_nothing_else_of_the_project(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    result = tmp_path / "nuclick" / "1 a.svs.geojson"
    first = (result.read_bytes(), result.stat().st_mtime_ns)
    run_target(RunRequest(project, device="cpu", project_access=FILES, batch_size=3))
    assert (result.read_bytes(), result.stat().st_mtime_ns) == first
    assert {path: path.read_bytes() for path in before} == before


def test_a_project_gets_the_script_that_imports_its_results_unless_the_user_has_one_of_that_name(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(NUCLEI[0])]))
    run_target(RunRequest(project, device="cpu", project_access=FILES, out=tmp_path / "elsewhere"))
    assert not (tmp_path / "scripts").exists()
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    (script,) = (tmp_path / "scripts").iterdir()
    assert "PathIO.readObjects" in script.read_text(encoding="utf-8")
    script.write_text("// mine")
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    assert script.read_text() == "// mine"


def test_results_of_prompts_that_are_gone_are_taken_out_told_and_kept_as_a_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    written = (tmp_path / "nuclick" / "1 a.svs.geojson").read_bytes()
    (tmp_path / "data" / "1" / "data.qpdata").write_bytes(qpdata())
    for told in ("outlines of earlier runs were taken out of", ""):
        capsys.readouterr()
        run_target(RunRequest(project, device="cpu", project_access=FILES))
        assert told in capsys.readouterr().out
        assert results(project)["1 a.svs"]["features"] == []
        assert [path.name for path in (tmp_path / "nuclick").glob("*.backup*")] == ["1 a.svs.geojson.backup"]
    assert (tmp_path / "nuclick" / "1 a.svs.geojson.backup").read_bytes() == written


def test_results_have_names_that_file_systems_take() -> None:
    long = file_stem("核" * 120 + ".svs")
    assert len(f"{long} 2.geojson.backup2".encode()) < 255
    assert long == "核" * (len(long))
    assert file_stem("a" * 130) == "a" * 120


@pytest.mark.parametrize("lost", ["data", "data/1", "data/1/data.qpdata"])
def test_an_image_whose_data_was_not_copied_fails_by_name_and_its_results_stay(
    lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]), Image("b.svs"))
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    before = results(project)
    assert before["1 a.svs"]["features"]
    if (tmp_path / lost).is_dir():
        shutil.rmtree(tmp_path / lost)
    else:
        (tmp_path / lost).unlink()
    capsys.readouterr()
    assert run_target(RunRequest(project, device="cpu", project_access=FILES)) == 1
    assert results(project) == before
    said = " ".join(capsys.readouterr().out.split())
    assert f"a.svs: {tmp_path / 'data' / '1' / 'data.qpdata'} is not there, and" in said
    assert "Copy the folder data/1 from where the project came" in said


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_image_without_its_folder_is_incomplete_whether_or_not_anything_was_drawn(
    dry_run: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]), Image("b.svs"))
    shutil.rmtree(tmp_path / "data" / "2")
    assert run_target(RunRequest(project, device="cpu", project_access=FILES, dry_run=dry_run)) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"b.svs: {tmp_path / 'data' / '2' / 'data.qpdata'} is not there, and the project has no folder data/2" in said
    )
    assert "save it if nothing is drawn there" in said
    assert said.count("failed") == 1


def test_a_bad_image_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    images = [
        Image("missing.svs", [clicks(*NUCLEI)], has_slide=False),
        Image("cut.svs", [clicks(*NUCLEI)]),
        Image("no size.svs", [clicks(*NUCLEI)], mpp=None),
        Image(
            "rotated.svs", [clicks(*NUCLEI)], builder={"builderType": "rotated", "rotation": "ROTATE_90", "builder": {}}
        ),
        Image("other.svs", [clicks(*NUCLEI)], builder={"metadata": {"width": 99, "height": 99}}),
        Image("damaged.svs", [clicks(*NUCLEI)]),
        Image("empty.svs"),
        Image("good.svs", [clicks(*NUCLEI)]),
    ]
    project = write_project(tmp_path, *images)
    cut = tmp_path / "slides" / "cut.svs"
    cut.write_bytes(cut.read_bytes()[:5000])
    data = tmp_path / "data" / "6" / "data.qpdata"
    data.write_bytes(data.read_bytes()[:300])
    result = nuclick("run", project, "--device", "cpu")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for words in (
        "missing.svs: file:/never/there/slides/missing.svs was not found",
        "cut.svs: the file is cut short or damaged: it has 5,000 bytes, and one of its tiles or strips alone",
        "no pixel size is known. Give it in one of three ways",
        "rotated (ROTATE_90)",
        "256 x 256 px as openslide reads it; the project drew on a slide of 99 x 99 px",
        "data.qpdata",
    ):
        assert words in said(result)
    assert {image["name"]: image["status"] for image in record(project)["images"]} == {
        **dict.fromkeys(("missing.svs", "cut.svs", "no size.svs", "rotated.svs", "other.svs", "damaged.svs"), "failed"),
        "empty.svs": "no prompts",
        "good.svs": "done",
    }
    assert set(results(project)) == {"8 good.svs"}


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    result = nuclick("run", tmp_path, "--dry-run")
    assert result.returncode == 0
    assert "4 nucleus" in said(result)
    assert "downsample 0.500" in said(result)
    assert not (project.parent / "nuclick").exists()


def test_only_the_images_that_are_named_are_done(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]), Image("b.svs", [clicks(*NUCLEI)]))
    assert nuclick("run", project, "--image", "b.svs", "--device", "cpu").returncode == 0
    assert set(results(project)) == {"2 b.svs"}
    refused = nuclick("run", project, "--image", "c.svs")
    assert refused.returncode == 2
    assert "No image is named 'c.svs'. The project has a.svs, b.svs" in said(refused)


def test_a_file_of_prompts_gives_the_same_outlines_as_the_project(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", Image("a.svs", [clicks(*NUCLEI)]))
    run_target(RunRequest(project, device="cpu", out=tmp_path / "one"))
    table = tmp_path / "clicks.csv"
    table.write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in NUCLEI))
    slide = project.parent / "slides" / "a.svs"
    run_target(RunRequest(table, slide=slide, device="cpu", out=tmp_path / "other"))
    run_target(RunRequest(table, slide=slide, device="cpu"))

    def outlines(path: Path) -> list[str]:
        return sorted(json.dumps(f["geometry"]) for f in json.loads(path.read_text(encoding="utf-8"))["features"])

    name = "clicks.csv a.svs.geojson"
    assert outlines(tmp_path / "one" / "1 a.svs.geojson") == outlines(tmp_path / "other" / name)
    assert outlines(tmp_path / "nuclick" / name) == outlines(tmp_path / "other" / name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nowhere.safetensors"], "neither a file nor a shipped model (cells, cells-open, glands, nuclei"),
        (["--model", "{csv}"], "is not a safetensors file"),
        (["--model", "nuclei", "--model", "nuclei"], "are both for a nucleus"),
        (["--device", "cuda:99"], "is not on this machine"),
        (["--device", "tpu"], "Accepted are auto, cpu, cuda"),
    ],
)
def test_a_model_or_device_that_is_not_there_is_named_before_anything_is_done(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    (tmp_path / "clicks.csv").write_text("x,y\n")
    result = nuclick("run", project, *(argument.format(csv=tmp_path / "clicks.csv") for argument in arguments))
    assert result.returncode == 2
    assert words in said(result)
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "nuclick").exists()


def test_results_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    (tmp_path / "nuclick").write_text("a file of the user's")
    result = nuclick("run", project, "--device", "cpu")
    assert result.returncode == 1
    assert "choose another with --out" in said(result)
    assert (tmp_path / "nuclick").read_text() == "a file of the user's"


def test_the_demo_is_a_project_that_can_be_run_where_it_lies(tmp_path: Path) -> None:
    project = make_demo(tmp_path / "demo")
    (image,) = read_project(project).images
    assert image.find_slide() == tmp_path / "demo" / "slides" / "colon_ihc.svs"
    assert make_demo(tmp_path / "demo") == project


def test_nearly_all_of_the_demo_is_outlined(tmp_path: Path) -> None:
    project = make_demo(tmp_path / "demo")
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    (image,) = record(project)["images"]
    assert image["instances"] == DEMO_OUTLINES
    assert sum(image["prompts"].values()) == 108


@pytest.mark.parametrize(
    ("given", "size", "source", "words"),
    [
        ({"mpp": 0.25}, 0.5, "its project", "--mpp 0.25 is not used, because its project says"),
        ({"force_mpp": 0.25}, 0.25, "--force-mpp", "--force-mpp makes a pixel 0.25 x 0.25 um, though its project says"),
        ({"mpp": 0.5}, 0.5, "its project", None),
    ],
)
def test_the_record_says_whose_pixel_size_was_used_and_the_run_whose_was_not(
    given: dict[str, float],
    size: float,
    source: str,
    words: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    run_target(RunRequest(project, device="cpu", project_access=FILES, **given))
    kept = record(project)
    (image,) = kept["images"]
    assert (image["pixel_size_um"], image["pixel_size_from"]) == ([size, size], source)
    assert {key: kept["settings"][key] for key in given} == given
    said = " ".join(capsys.readouterr().out.split())
    assert words in said if words is not None else "mpp" not in said


def test_an_image_is_chosen_by_its_name_in_any_unicode_form_and_case(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("é.svs", [clicks(*NUCLEI)]), Image("b.svs", [clicks(*NUCLEI)]))
    run_target(RunRequest(project, device="cpu", project_access=FILES, images=[unicodedata.normalize("NFD", "É.svs")]))
    assert [image["name"] for image in record(project)["images"]] == ["é.svs"]
    with pytest.raises(SettingsError, match=r"No image is named 'c.svs'. The project has b.svs, é.svs"):
        run_target(RunRequest(project, device="cpu", project_access=FILES, images=["c.svs"]))


def test_a_slide_that_is_changed_while_it_is_read_fails_and_nothing_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    slide = tmp_path / "slides" / "a.svs"
    read = FramedSlide.read

    def changed_meanwhile(*given: Any) -> Any:
        slide.write_bytes(slide.read_bytes())
        return read(*given)

    with monkeypatch.context() as patched:
        patched.setattr(FramedSlide, "read", changed_meanwhile)
        assert run_target(RunRequest(project, device="cpu", project_access=FILES)) == 1
    assert "was changed while it was read" in record(project)["images"][0]["error"]
    assert not results(project)
    with Journal(project.parent / "nuclick" / "journal.sqlite") as journal:
        assert journal.kept() == {}
