"""Training by its commands: settings in layers, one's own data, several processes, nothing beyond a stock image."""

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_pictures import folder_of, picture

from nuclick_training import experiments
from nuclick_training.__main__ import main
from nuclick_training.datasets.split_assignment import SplitAssignment
from nuclick_training.datasets.store_values import StoredPatch, StoredSlide, Terms
from nuclick_training.datasets.store_writer import StoreWriter
from nuclick_training.fitting.calibrate import Evidence
from nuclick_training.fitting.own_data import on_data
from nuclick_training.fitting.recipe import TrainingSource
from nuclick_training.fitting.recipes import RECIPES
from nuclick_training.fitting.run import CHECKPOINT
from nuclick_training.fitting.run_folder import SETTINGS
from nuclick_training.fitting.settings import FitSettings, preset, read_settings, settled
from nuclick_wsi.cli import app as cli
from nuclick_wsi.errors import DeviceError, SettingsError
from nuclick_wsi.models.weights import load_model, replace_card
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window

TINY = ["--config", json.dumps({"width": 1 / 16}), "--batch", "2", "--device", "cpu", "--threads", "1"]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """A folder of five pictures: three train, one validates, one tests."""
    folder_of([picture(name=name) for name in "abcde"], tmp_path / "discs")
    return tmp_path / "discs"


def fit_discs(discs: Path, out: Path, *more: str) -> None:
    main(["fit", "nuclei-crops", "--data", str(discs), "--mpp", "0.25", "--out", str(out), *TINY, *more])


# ------------------------------------------------------------------------------------------------------- settings


def test_flags_overrule_the_file_and_the_file_overrules_the_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "paper"\nrate = 1e-3\nbatch = 8\n[network]\narchitecture = "unet"\nwidth = 0.25\n')
    told = read_settings(file)
    assert (told.preset, told.architecture, told.config) == ("paper", "unet", {"width": 0.25})
    settings = settled(FitSettings(), [preset("paper", ObjectKind.NUCLEUS), told.fit, {"batch": 4, "minutes": 2.0}])
    assert (settings.decay, settings.optimizer, settings.rate, settings.batch) == (5e-5, "adam", 1e-3, 4)
    assert (settings.epochs, settings.minutes) == (0, 2.0)  # the later end counts


@pytest.mark.parametrize(("kind", "batch"), [(ObjectKind.NUCLEUS, 256), (ObjectKind.CELL, 64), (ObjectKind.GLAND, 16)])
def test_the_paper_s_preset_is_section_iv_b(kind, batch):
    settings = settled(FitSettings(), [preset("paper", kind)])
    assert (settings.optimizer, settings.rate, settings.decay) == ("adam", 3e-3, 5e-5)
    assert (settings.epochs, settings.batch, settings.largest_alpha) == (200, batch, 0)
    assert {settings.rate_at(progress) for progress in (0, 0.5, 1)} == {3e-3}
    assert settings.counted(objects=1000, prompts_per_step=batch).steps == -(-200 * 1000 // batch)
    assert preset("paper", kind, prompts_per_draw=16)["batch"] == batch // 16


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = 0.1", "lr is no setting. Accepted are preset, minutes, .*rate"),
        ('rate = "fast"', "rate is a number, not 'fast'"),
        ("batch = 2.5", "batch is a whole number, not 2.5"),
        ("rate = -1", "rate is a number from 1e-09 to 10, not -1"),
        ('optimizer = "sgd"', "optimizer is one of adamw, adam, not 'sgd'"),
        ("steps = 5\nepochs = 2", "one end, not steps and epochs"),
        ('preset = "old"', "preset is one of modern, paper, not 'old'"),
        ("network = 3", r"\[network\] is a table"),
        ("rate = ", "cannot be read as TOML"),
        ("[network]\nwidht = 1", "does not fit architecture 'nuclick'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_accepted(tmp_path, discs, text, said):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        fit_discs(discs, tmp_path / "run", "--settings", str(tmp_path / "mine.toml"))
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_a_device_that_is_not_there_is_named(tmp_path, discs):
    with pytest.raises(DeviceError, match="cuda:99"):
        fit_discs(discs, tmp_path / "run", "--device", "cuda:99")


# ------------------------------------------------------------------------------------------------------- own data


def store_of(path: Path, kind: ObjectKind = ObjectKind.NUCLEUS, seed: int = 0) -> Path:
    terms = Terms(kind, 0.25, 128)
    with StoreWriter(path, terms) as writer:
        for name in "abc":
            item = picture(size=128)
            known = np.ones(item.labels.shape, bool)
            known[:, 100:] = False
            patch = StoredPatch(0, Window(0, 0, 128, 128), item.image, np.where(known, item.labels, 0), known)
            slide = StoredSlide(name, "made up", name, name, name, "full", 1.0, 0.25, 128, 128)
            writer.add(slide, [patch], [None] * int(item.labels.max()))
        writer.finish(SplitAssignment(seed=seed), {})
    return path


def test_a_folder_of_one_s_own_is_trained_on_and_becomes_a_model(tmp_path, discs, capsys):
    fit_discs(discs, tmp_path / "run", "--steps", "2", "--terms", "ours alone")
    told = json.loads((tmp_path / "run" / SETTINGS).read_text())
    assert (told["recipe"], told["steps"], told["config"]) == ("nuclei-crops", 2, {"width": 1 / 16})
    out = tmp_path / "mine.safetensors"
    arguments = ["finish", "nuclei-crops", "--data", str(discs), "--mpp", "0.25", "--terms", "ours alone"]
    main([*arguments, "--out", str(tmp_path / "run"), "--model", str(out)])
    card = load_model(out).card
    assert [(source.name, source.licence) for source in card.data] == [("discs", "ours alone")]
    assert card.terms == "those of discs: ours alone"
    assert card.config == {"width": 1 / 16}
    assert card.scores[0].value > 0
    assert str(out) in capsys.readouterr().out


def test_a_store_is_trained_on_with_what_is_unknown_left_out(tmp_path):
    store = store_of(tmp_path / "mine.zarr")
    recipe, data = on_data(RECIPES["nuclei-crops"], store, None, None)
    parts = {part: recipe.pictures(data, recipe.sources[0], part) for part in ("train", "validation", "test")}
    assert {part: len(found) for part, found in parts.items()} == {"train": 1, "validation": 1, "test": 1}
    (trains,) = parts["train"]
    assert trains.known is not None
    assert not trains.known[:, 100:].any()
    main(["fit", "nuclei-crops", "--data", str(store), "--out", str(tmp_path / "run"), *TINY, "--steps", "2"])
    assert (tmp_path / "run" / CHECKPOINT).exists()


def test_data_that_does_not_suit_is_named(tmp_path, discs):
    with pytest.raises(SettingsError, match=r"pixel size of .*discs is not known"):
        on_data(RECIPES["nuclei"], discs, None, None)
    with pytest.raises(SettingsError, match="holds neither a store, nor images/ and labels/, nor monuseg"):
        on_data(RECIPES["nuclei"], tmp_path, None, None)
    with pytest.raises(SettingsError, match="is no folder"):
        on_data(RECIPES["nuclei"], tmp_path / "nowhere", None, None)
    with pytest.raises(SettingsError, match="store for models of a gland, and nuclei is one of a nucleus"):
        on_data(RECIPES["nuclei"], store_of(tmp_path / "glands.zarr", ObjectKind.GLAND), None, None)
    folder_of([picture(name="only")], tmp_path / "one")
    recipe, data = on_data(RECIPES["nuclei-crops"], tmp_path / "one", 0.25, None)
    assert recipe.validation(data) == []
    with pytest.raises(SettingsError, match="patience needs objects"):
        fit_discs(tmp_path / "one", tmp_path / "run", "--patience", "3")


def test_a_picture_s_part_does_not_depend_on_the_others_around_it_twice(discs):
    recipe, data = on_data(RECIPES["nuclei-crops"], discs, 0.25, None)
    names = [
        [item.name for item in recipe.pictures(data, recipe.sources[0], part)]
        for part in ("train", "validation", "test")
    ]
    assert sorted(itertools.chain(*names)) == list("abcde")
    assert [len(part) for part in names] == [3, 1, 1]


# ----------------------------------------------------------------------------------------------- folders of runs


def test_a_run_is_neither_begun_over_nor_gone_on_with_as_another(tmp_path, discs):
    fit_discs(discs, tmp_path / "run", "--steps", "2")
    with pytest.raises(SettingsError, match="holds a run already"):
        fit_discs(discs, tmp_path / "run", "--steps", "2")
    with pytest.raises(SettingsError, match=r"was begun with nuclick .*not with nuclick"):
        fit_discs(discs, tmp_path / "run", "--resume", "--config", '{"width": 0.125}')
    with pytest.raises(SettingsError, match="was begun as nuclei-crops, not as glands"):
        main(["fit", "glands", "--data", str(discs), "--mpp", "1.24", "--out", str(tmp_path / "run"), "--resume"])
    with pytest.raises(SettingsError, match="is not the folder of a run"):
        fit_discs(discs, tmp_path / "other", "--resume")


def test_resuming_goes_on_with_the_settings_that_a_run_was_begun_with(tmp_path, discs):
    fit_discs(discs, tmp_path / "run", "--steps", "2", "--rate", "1e-4")
    arguments = ["fit", "nuclei-crops", "--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "run")]
    main([*arguments, "--resume", "--steps", "3"])
    told = json.loads((tmp_path / "run" / SETTINGS).read_text())
    assert (told["rate"], told["batch"], told["steps"], told["config"]) == (1e-4, 2, 3, {"width": 1 / 16})
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == 3


def test_table_i_s_networks_are_trained_by_configuration(tmp_path, discs):
    fit_discs(discs, tmp_path / "none", "--steps", "1", "--config", '{"width": 0.0625, "multi_scale": []}')
    assert not [name for name in state_of(tmp_path / "none") if "branches" in name]
    fit_discs(discs, tmp_path / "unet", "--steps", "1", "--architecture", "unet")
    assert "bottom.0.conv.weight" in state_of(tmp_path / "unet")


def state_of(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / CHECKPOINT, weights_only=True)["network"]


def test_nuclick_wsi_train_is_the_same_command(tmp_path, discs, monkeypatch, capsys):
    def called(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["nuclick-wsi", "train", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    arguments = ["fit", "nuclei-crops", "--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "run"), *TINY]
    assert called(*arguments, "--steps", "1") == 0
    assert (tmp_path / "run" / CHECKPOINT).exists()
    capsys.readouterr()
    assert called(*arguments, "--rate", "77") == 2
    assert capsys.readouterr().err == "error: rate is a number from 1e-09 to 10, not 77.0.\n"
    assert called("fine-tune", "--help") == 0
    assert "nuclick-wsi train fine-tune" in capsys.readouterr().out


def test_two_networks_are_trained_alike_and_compared(tmp_path, discs, capsys):
    arguments = ["--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "runs"), "--width", str(1 / 16)]
    experiments.main(["networks", *arguments, *TINY[2:], "--steps", "2", "--check-steps", "1"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("nuclick ", "glance "))]
    assert [(row[0], row[-1]) for row in rows] == [("nuclick", "2"), ("glance", "2")]


def test_encoders_of_three_sizes_are_trained_alike_and_compared(tmp_path, discs, capsys):
    arguments = ["--recipe", "nuclei", "--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "runs")]
    experiments.main(["encoders", *arguments, *TINY[2:], "--random-start", "--steps", "1", "--check-steps", "1"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-3:]] == ["lite0", "lite1", "lite2"]
    checkpoints = [tmp_path / "runs" / size / CHECKPOINT for size in experiments.ENCODERS]
    networks = [torch.load(file, weights_only=True)["network"] for file in checkpoints]
    blocks = [sum("project" in name for name in network) for network in networks]
    assert blocks[0] < blocks[1] == blocks[2]


def test_the_network_that_looks_once_is_refused_for_squiggles(tmp_path, discs):
    arguments = ["--data", str(discs), "--mpp", "1.24", "--out", str(tmp_path / "run"), "--architecture", "glance"]
    with pytest.raises(SettingsError, match="train squiggle"):
        main(["fit", "glands", *arguments, "--config", "{}", "--steps", "1"])


# ---------------------------------------------------------------------------------------------------- fine-tuning


def test_a_fine_tuned_model_says_whose_child_it_is(tmp_path, discs, capsys):
    fit_discs(discs, tmp_path / "run", "--steps", "2")
    parent, out = tmp_path / "parent.safetensors", tmp_path / "tuned"
    arguments = ["--data", str(discs), "--mpp", "0.25"]
    main(["finish", "nuclei-crops", *arguments, "--out", str(tmp_path / "run"), "--model", str(parent)])
    folder_of([picture(name=name) for name in "vwxyz"], tmp_path / "mine")
    arguments = ["--data", str(tmp_path / "mine"), "--mpp", "0.25", "--out", str(out), "--terms", "mine"]
    main(["fine-tune", str(parent), *arguments, "--steps", "3", "--averaging", "0.5", "--corrections", "0", *TINY[2:]])
    mother, child = load_model(parent), load_model(out / "tuned.safetensors")
    assert child.card.name == "tuned"
    assert [source.name for source in child.card.data] == ["discs", "mine"]
    assert child.card.terms == f"{mother.card.terms}; and those of mine: mine"
    assert not child.card.open_terms
    assert child.card.settings["parent"]["sha256"] == mother.sha256
    before, after = child.card.scores
    assert (before.data, after.data) == ("test objects of mine, by the parent", "test objects of mine")
    assert child.card.threshold == mother.card.threshold, "one image is too few to choose another on"
    weights = zip(mother.network.parameters(), child.network.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in weights)
    said = re.search(r"mean Dice of test objects: (\S+) before, (\S+) after", capsys.readouterr().out)
    assert said is not None
    assert [float(value) for value in said.groups()] == pytest.approx([before.value, after.value], abs=6e-4)


def test_a_model_that_goes_on_on_its_own_data_keeps_its_terms_once(tmp_path, discs):
    fit_discs(discs, tmp_path / "run", "--steps", "1")
    parent, out = tmp_path / "parent.safetensors", tmp_path / "tuned"
    arguments = ["--data", str(discs), "--mpp", "0.25"]
    main(["finish", "nuclei-crops", *arguments, "--out", str(tmp_path / "run"), "--model", str(parent)])
    main(["fine-tune", str(parent), *arguments, "--out", str(out), "--steps", "1", *TINY[2:]])
    mother, child = load_model(parent).card, load_model(out / "tuned.safetensors").card
    assert (child.data, child.terms, child.split) == (mother.data, mother.terms, mother.split)


def test_a_fine_tuned_model_is_for_any_use_only_where_parent_and_data_are(tmp_path, discs, monkeypatch):
    fit_discs(discs, tmp_path / "run", "--steps", "1")
    parent = tmp_path / "nuclei-open.safetensors"
    main(["finish", "nuclei-crops", "--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "run"),
          "--model", str(parent)])  # fmt: skip
    source = TrainingSource("discs", "CC0-1.0", mpp=0.25)
    is_open = dataclasses.replace(RECIPES["nuclei-open"], sources=(source,))
    monkeypatch.setitem(RECIPES, "nuclei-open", is_open)
    for number, (may, data, expected) in enumerate(
        ((True, discs.parent, True), (False, discs.parent, False), (True, discs, False))
    ):
        card = dataclasses.replace(load_model(parent).card, name="nuclei-open", open_terms=may)
        replace_card(parent, card)
        more = [] if data == discs.parent else ["--mpp", "0.25", "--terms", "any use, CC0-1.0"]
        out = tmp_path / str(number)
        main(["fine-tune", str(parent), "--data", str(data), *more, "--out", str(out), "--steps", "1", *TINY[2:]])
        assert load_model(out / f"{number}.safetensors").card.open_terms is expected


def test_without_held_out_objects_fine_tuning_keeps_the_threshold_and_says_so(tmp_path, discs, capsys):
    fit_discs(discs, tmp_path / "run", "--steps", "1")
    parent = tmp_path / "parent.safetensors"
    arguments = ["--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "run"), "--model", str(parent)]
    main(["finish", "nuclei-crops", *arguments, "--threshold", "0.35"])
    folder_of([picture(name="only")], tmp_path / "one")
    arguments = ["--data", str(tmp_path / "one"), "--mpp", "0.25", "--out", str(tmp_path / "tuned")]
    main(["fine-tune", str(parent), *arguments, "--steps", "1", *TINY[2:], "--name", "mine"])
    assert load_model(tmp_path / "tuned" / "mine.safetensors").card.threshold == 0.35
    assert "No object was held out" in capsys.readouterr().out
    main(["fine-tune", str(parent), *arguments, "--resume", "--name", "mine", "--steps", "2", "--threads", "1"])
    child = load_model(tmp_path / "tuned" / "mine.safetensors").card
    assert (child.settings["steps"], child.settings["batch"]) == (2, 2)


def test_one_validation_image_chooses_no_threshold(tmp_path, discs, capsys):
    fit_discs(discs, tmp_path / "run", "--steps", "1")
    parent = tmp_path / "parent.safetensors"
    arguments = ["--data", str(discs), "--mpp", "0.25"]
    finish = ["finish", "nuclei-crops", *arguments, "--out", str(tmp_path / "run")]
    main([*finish, "--model", str(tmp_path / "other.safetensors")])
    assert "17 objects of 1 validation image are few to choose a threshold on" in capsys.readouterr().out
    main([*finish, "--model", str(parent), "--threshold", "0.35"])
    main(["fine-tune", str(parent), *arguments, "--out", str(tmp_path / "tuned"), "--steps", "8", *TINY[2:]])
    said = capsys.readouterr().out
    tuned = load_model(tmp_path / "tuned" / "tuned.safetensors").card
    assert tuned.threshold == 0.35
    assert "threshold 0.35, that of nuclei-crops: 17 objects of 1 validation image are too few" in said
    assert "which chose the threshold" not in said
    assert len((tmp_path / "tuned" / "log.csv").read_text().splitlines()) == 2, "a run of eight steps is checked once"


@pytest.mark.parametrize(("objects", "images", "enough"), [(100, 3, True), (99, 9, False), (5000, 2, False)])
def test_a_threshold_needs_many_objects_of_several_images(objects, images, enough):
    assert Evidence(objects, images).is_enough is enough


def test_what_a_threshold_is_chosen_on_is_counted(tmp_path):
    folder_of([picture(name=f"{number:02}") for number in range(15)], tmp_path / "mine")
    recipe, data = on_data(RECIPES["nuclei-crops"], tmp_path / "mine", 0.25, None)
    assert str(Evidence.of(recipe, data)) == "51 objects of 3 validation images"


def test_fine_tuning_says_its_own_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["fine-tune", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in ("--rate RATE default: 0.0005", "--steps STEPS default: 200", "MINUTES instead of --steps"):
        assert words in said


@pytest.mark.slow
def test_fifty_corrected_objects_help_on_others(tmp_path, shared_data, capsys):
    arguments = ["--data", str(shared_data / "wbc_jtsc"), "--only", "2", "--from-each", "1", "--out", str(tmp_path)]
    experiments.main(["corrected", "nuclei", *arguments, "--steps", "100", "--check-steps", "20", *TINY[4:]])
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("before", "after"))]
    before, calibrated, after = (float(row[-3]) for row in rows)
    assert rows[0][-1] == "67"
    assert after > max(before, calibrated) + 0.03


# ------------------------------------------------------------------------------------- several processes, and nodes


STOCK = """
import sys

ours = {"torch", "numpy", "scipy", "skimage", "PIL", "safetensors", "nuclick_wsi", "nuclick_training"}
theirs = {"torchgen", "functorch", "lazy_loader", "typing_extensions", "packaging", "sympy", "mpmath", "networkx"}
found_before = sys.meta_path[:]

class Stock:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ours | theirs | sys.stdlib_module_names and not top.startswith("_"):
            return None
        specs = (finder.find_spec(name, path, target) for finder in found_before)
        return next((spec for spec in specs if spec is not None), None)

sys.meta_path[:] = [Stock()]
"""


def test_fitting_and_finishing_need_nothing_that_a_gpu_node_has_not(tmp_path, discs):
    # Whatever else is installed is not found here, but for what those packages themselves are made of.
    arguments = ["--data", str(discs), "--mpp", "0.25", "--out", str(tmp_path / "run")]
    fitting = ["fit", "nuclei-crops", *arguments, *TINY, "--steps", "2"]
    finishing = ["finish", "nuclei-crops", *arguments, "--model", str(tmp_path / "m.safetensors")]
    code = f"{STOCK}\nfrom nuclick_training.__main__ import main\nmain({fitting})\nmain({finishing})\n"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    assert (tmp_path / "m.safetensors").exists()


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path, discs):
    script = tmp_path / "wrapped.py"
    script.write_text(
        "import sys, torch\n"
        "from nuclick_training import commands\n"
        "from nuclick_training.fitting import fit\n"
        "from nuclick_training.__main__ import main\n"
        "def wrapped(run, batches, validation, settings, folder, process):\n"
        "    fit.fit(run, batches, validation, settings, folder, process)\n"
        "    torch.save(dict(run.network.named_parameters()), folder / f'rank{process.rank}.pt')\n"
        "commands.fit = wrapped\n"
        "main(sys.argv[1:])\n"
    )
    out = tmp_path / "run"
    arguments = ["fit", "nuclei-crops", "--data", str(discs), "--mpp", "0.25", "--out", str(out), *TINY]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    subprocess.run(
        [*launch, *arguments, "--steps", "12", "--rate", "0.01", "--check-steps", "1"],
        check=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    first, second = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    rows = (out / "log.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(step) for step in range(1, 13)]  # one process writes
    losses = [float(row.split(",")[2]) for row in rows]
    assert sum(losses[-4:]) < sum(losses[:4])
    alone = tmp_path / "alone"
    fit_discs(discs, alone, "--steps", "12", "--rate", "0.01")
    assert any(not torch.equal(tensor, state_of(alone)[name]) for name, tensor in state_of(out).items())
