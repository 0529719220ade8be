"""Whatever is in the way of a file that a command writes is there afterwards, bit for bit, under its own name."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from in_the_way import IN_THE_WAY, contents
from made_pictures import folder_of, picture
from PIL import Image
from test_train_command import store_of
from test_weights import CARD, WIDTH

from nuclick_training import curves
from nuclick_training.fitting.recipes import RECIPES
from nuclick_training.fitting.run_folder import begin, model_settings, note, require_own_or_free
from nuclick_training.fitting.settings import FitSettings
from nuclick_wsi.cli import app as cli
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.instances import Instance
from nuclick_wsi.models.network import NuClick, NuClickConfig
from nuclick_wsi.models.weights import save_model
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.preview.files import write_preview
from nuclick_wsi.runs.preview.pictured import Pictured
from nuclick_wsi.shared_files import Stamp
from nuclick_wsi.slides.readers import open_slide
from qupath_extension.import_script import NAME, offer_import_script
from qupath_extension.install import BEFORE, FOLDER, STARTUP, UserFolder

DISCS = "{inputs}/discs --mpp 0.25"
EVALUATE = f"evaluate {{inputs}}/m.safetensors {DISCS} --save {{here}}"
FIT = f"train fit nuclei-crops --data {DISCS} --out {{here}}"
TUNE = f"train fine-tune {{inputs}}/m.safetensors --data {DISCS} --out {{here}}"
COMMANDS = [
    ("Präparat.xml", "convert {inputs}/drawn.geojson {target}"),
    ("Präparat.safetensors", "weights import {inputs}/a.pth {target} --kind nucleus"),
    ("Präparat.png", "dataset show {inputs}/store.zarr --to {target}"),
    ("Präparat.zarr", f"dataset extract {DISCS} --to {{target}} --kind nucleus"),
    ("Präparat.zarr", f"dataset extract {DISCS} --to {{target}} --kind nucleus --overwrite"),
    ("Präparat.safetensors", f"train finish nuclei-crops --data {DISCS} --out {{inputs}}/run --model {{target}}"),
    ("Präparat.safetensors", TUNE + " --model {target}"),
    ("Präparat.safetensors", TUNE + " --name Präparat"),
    ("Präparat.safetensors", TUNE + " --name Präparat --resume"),
    ("Präparat.png", "train compose --data {inputs} --out {here}/new --sheet {target}"),
    *((name, FIT) for name in ("settings.json", "log.csv", "best.pt", "checkpoint.pt")),
    *((name, EVALUATE) for name in ("scores.csv", "scores.json", "worst.png", "aji_against_jitter.png")),
    *((name, "demo {here}") for name in ("project.qpproj", "slides", "data")),
]
"""What is in the way, and the command that would write it."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all that the commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "drawn.geojson").write_text('{"type":"FeatureCollection","features":[]}')
    folder_of([picture(name=name) for name in "abcde"], folder / "discs")
    store_of(folder / "store.zarr")
    save_model(folder / "m.safetensors", NuClick(NuClickConfig(WIDTH)), CARD)
    return folder


@pytest.mark.parametrize("put", IN_THE_WAY)
@pytest.mark.parametrize("case", COMMANDS, ids=" ".join)
def test_a_command_refuses_to_write_over_what_is_there(
    put: Callable[[Path], None],
    case: tuple[str, str],
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, command = case
    put(tmp_path / name)
    before = contents(tmp_path)
    words = [word.format(inputs=inputs, here=tmp_path, target=tmp_path / name) for word in command.split()]
    monkeypatch.setattr(sys, "argv", ["nuclick-wsi", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert "is there already" in said or "holds a run already" in said
    assert contents(tmp_path) == before


def test_going_on_with_a_run_replaces_a_model_of_this_run_alone(tmp_path: Path) -> None:
    for name in ("run", "other"):
        note(tmp_path / name, RECIPES["nuclei-crops"], FitSettings())
        card = replace(CARD, settings=model_settings(tmp_path / name, 3))
        save_model(tmp_path / f"{name}.safetensors", NuClick(NuClickConfig(WIDTH)), card)
    own = tmp_path / "run.safetensors"
    assert require_own_or_free(own, tmp_path / "run") == Stamp.of_file(own)
    with pytest.raises(SettingsError, match="is there already"):
        require_own_or_free(tmp_path / "other.safetensors", tmp_path / "run")
    (tmp_path / "link.safetensors").symlink_to(own)
    with pytest.raises(SettingsError, match="is there already"):
        require_own_or_free(tmp_path / "link.safetensors", tmp_path / "run")
    note(tmp_path / "run", RECIPES["nuclei-crops"], FitSettings(steps=9))
    assert require_own_or_free(own, tmp_path / "run") is not None, "it is the same run, whatever its settings"
    begin(tmp_path / "run")  # one that ended before its first checkpoint may begin again


@pytest.mark.parametrize("put", IN_THE_WAY)
def test_a_preview_goes_under_a_free_name_that_is_said(put: Callable[[Path], None], tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 220, np.uint8)).save(tmp_path / "a.png")
    outline = Instance("1", ObjectKind.NUCLEUS, shapely.box(9, 9, 30, 30), None, Plane(), 1.0, 0.9)
    names = ["Präparat.png", "Präparat - Least sure.png", "Präparat - No class.png", "Präparat.html"]
    for name in names:
        put(tmp_path / name)
    before = contents(tmp_path)
    free = [f"{Path(name).stem} 2{Path(name).suffix}" for name in names]
    for _ in range(2):
        with open_slide(tmp_path / "a.png") as slide:
            pictured = Pictured("a", slide, (), (outline,), (), (), {}, tmp_path / "a.geojson")
            made = write_preview(tmp_path, "Präparat", pictured)
        assert [path.name for path in (made.overview, *made.sheets, made.page)] == free
        assert all(name in " ".join(made.remarks) for name in free)
    after = contents(tmp_path)
    assert {name: after.pop(name) for name in before} == before
    assert set(after) == set(free)


@pytest.mark.parametrize("put", IN_THE_WAY)
def test_learning_curves_go_under_a_free_name_that_is_said(
    put: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text("step,minutes,loss,dice\n10,1.0,0.9,0.4\n20,2.0,0.5,0.7\n")
    put(tmp_path / "curves.png")
    before = contents(tmp_path)
    for _ in range(2):
        curves.main([str(tmp_path)])
        assert "written to curves 2.png" in capsys.readouterr().out
    after = contents(tmp_path)
    assert {name: after.pop(name) for name in before} == before
    assert list(after) == ["curves 2.png"]


@pytest.mark.parametrize("put", IN_THE_WAY)
def test_the_script_of_a_project_leaves_what_is_in_its_way(put: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    put(tmp_path / "scripts" / NAME)
    before = contents(tmp_path)
    offer_import_script(tmp_path)
    assert contents(tmp_path) == before


def test_an_edited_script_of_a_project_is_kept_and_said(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / NAME
    assert not offer_import_script(tmp_path)
    written = script.read_bytes()
    script.write_bytes(b"// mine\n" + written)
    assert f"{NAME}.backup" in offer_import_script(tmp_path)[0]
    assert script.read_bytes() == written
    assert script.with_name(f"{NAME}.backup").read_bytes() == b"// mine\n" + written
    assert not offer_import_script(tmp_path)


@pytest.mark.parametrize("put", IN_THE_WAY)
@pytest.mark.parametrize("name", [STARTUP, BEFORE, f"{FOLDER}/About.groovy", f"{FOLDER}/settings.json"])
def test_an_install_loses_nothing_of_what_is_in_its_way(put: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    put(tmp_path / name)
    before = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for _ in range(2):
        UserFolder(tmp_path).install()
        after = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert [content for content in before if content not in after] == []


def test_an_edited_script_of_the_menu_is_kept_and_said(tmp_path: Path) -> None:
    script = tmp_path / FOLDER / "About.groovy"
    assert UserFolder(tmp_path).install() == []
    written = script.read_bytes()
    script.write_bytes(b"// mine\n" + written)
    assert "About.groovy.backup" in UserFolder(tmp_path).install()[0]
    assert script.read_bytes() == written
    assert script.with_name("About.groovy.backup").read_bytes() == b"// mine\n" + written
    assert UserFolder(tmp_path).install() == []
