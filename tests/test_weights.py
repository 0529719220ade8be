"""Model files keep weights and card together; damaged and foreign files are refused in words that help."""

import dataclasses
import json
import re
import shutil
import struct
from datetime import date
from pathlib import Path

import pytest
import torch
from public_nuclick import public_forward, random_public_checkpoint
from rich.console import Console
from safetensors.torch import load_file

from nuclick_wsi.cli import models_view
from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import (
    DEFAULTS,
    METADATA_KEY,
    DataSource,
    ModelCard,
    Score,
    default_model,
    find_model,
    read_card,
    shipped_models,
)
from nuclick_wsi.models.checkpoints import import_checkpoint
from nuclick_wsi.models.network import NuClick, NuClickConfig, build
from nuclick_wsi.models.weights import load_model, replace_card, save_model
from nuclick_wsi.prompts import ObjectKind

WIDTH = 1 / 8  # every channel count of the paper divides evenly
CARD = ModelCard(
    name="tiny",
    kind=ObjectKind.NUCLEUS,
    architecture="nuclick",
    config={"width": WIDTH},
    crop_size=64,
    mpp=0.25,
    threshold=0.4,
    smallest_um2=3.0,
    fill_holes_um2=8.0,
    data=(DataSource("made up", "CC0"),),
    terms="anything",
    split="none",
    limits="everything",
    created=date(2026, 1, 2),
    settings={"seed": 0},
    scores=(Score("made up", "AJI", 0.5, "none"),),
)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "tiny.safetensors", NuClick(NuClickConfig(WIDTH)), CARD)
    return tmp_path / "tiny.safetensors"


def tampered(path: Path, change) -> Path:
    """The file with another header."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return path


def test_a_card_comes_back_as_it_was_written(model_file):
    assert read_card(model_file) == CARD
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_a_model_comes_back_ready_to_predict(model_file):
    torch.manual_seed(0)
    saved = NuClick(NuClickConfig(WIDTH)).eval()
    model = load_model(model_file)
    assert not model.network.training
    assert len(model.sha256) == 64
    crops = torch.rand(1, 5, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model.network(crops), saved(crops))


def test_half_precision_on_disk_is_full_precision_in_memory(tmp_path, model_file):
    torch.manual_seed(0)
    save_model(tmp_path / "half.safetensors", NuClick(NuClickConfig(WIDTH)), CARD, half=True)
    half = load_model(tmp_path / "half.safetensors")
    assert {p.dtype for p in half.network.parameters()} == {torch.float32}
    assert half.path.stat().st_size < 0.7 * model_file.stat().st_size


def test_a_weight_that_is_not_finite_is_never_written(tmp_path):
    network = NuClick(NuClickConfig(WIDTH))
    network.head.bias.data.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"head\.bias"):
        save_model(tmp_path / "bad.safetensors", network, CARD)
    assert not list(tmp_path.iterdir())


def test_a_missing_model_is_refused_with_the_shipped_names():
    with pytest.raises(ModelError, match="neither a file nor a shipped model"):
        find_model("nothing-of-the-kind")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 something else, longer than a length", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is not a safetensors file"):
        load_model(path)


@pytest.mark.parametrize("kept", [40, 3000, -1])
def test_a_truncated_file_is_refused(model_file, kept):
    model_file.write_bytes(model_file.read_bytes()[:kept])
    with pytest.raises(ModelError, match="cut short"):
        load_model(model_file)


def test_a_file_without_a_card_is_refused(model_file):
    tampered(model_file, lambda header: header.pop("__metadata__"))
    with pytest.raises(ModelError, match="without a card"):
        load_model(model_file)


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("architecture", "transformer", "'transformer' is unknown"),
        ("kind", "mitosis", "mitosis"),
        ("crop_size", 100, "multiple of 32"),
        ("mpp", 0, "mpp must be above 0"),
        ("threshold", 1.5, "between 0 and 1"),
        ("novelty", 1, "novelty"),
    ],
)
def test_a_card_that_cannot_be_used_is_refused(model_file, entry, value, said):
    changed = json.dumps(json.loads(CARD.to_json()) | {entry: value})
    tampered(model_file, lambda header: header.update({"__metadata__": {METADATA_KEY: changed}}))
    with pytest.raises(ModelError, match=said):
        load_model(model_file)


def test_weights_of_another_width_are_refused_naming_the_first_entry(model_file):
    card = dataclasses.replace(CARD, config={"width": 2 * WIDTH})
    tampered(model_file, lambda header: header.update({"__metadata__": {METADATA_KEY: card.to_json()}}))
    with pytest.raises(
        ModelError, match=r"entry encode1\.0\.conv\.weight has shape \[8, 5, 7, 7\], not \[16, 5, 7, 7\]"
    ):
        load_model(model_file)


# ---------------------------------------------------------------------------------------- other people's weights


def assert_imported_predicts_the_same(tmp_path: Path, width: float) -> None:
    tensors = random_public_checkpoint(width)
    torch.save(tensors, tmp_path / "public.pth")
    card = import_checkpoint(
        tmp_path / "public.pth", tmp_path / "ours.safetensors", ObjectKind.NUCLEUS, NuClickConfig(width)
    )
    assert card == read_card(tmp_path / "ours.safetensors")
    network = load_model(tmp_path / "ours.safetensors").network
    crops = torch.rand(1, 5, 64, 64)
    with torch.inference_mode():
        expected = public_forward(tensors, crops)
        assert expected.std() > 1e-3
        assert torch.allclose(network(crops), expected, atol=1e-4)
        tensors["residual_block_9.conv_block_2.conv_bn_relu.1.weight"] += 0.1
        assert not torch.allclose(network(crops), public_forward(tensors, crops), atol=1e-4)


def test_an_imported_checkpoint_predicts_the_same(tmp_path):
    assert_imported_predicts_the_same(tmp_path, WIDTH)


@pytest.mark.slow
def test_an_imported_checkpoint_of_full_width_predicts_the_same(tmp_path):
    assert_imported_predicts_the_same(tmp_path, 1.0)


def test_the_public_layout_has_an_entry_for_every_entry_of_ours():
    assert len(random_public_checkpoint(WIDTH)) == 360


def test_a_checkpoint_under_state_dict_and_module_is_unwrapped(tmp_path):
    tensors = {f"module.{name}": tensor for name, tensor in random_public_checkpoint(WIDTH).items()}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "public.pth")
    import_checkpoint(tmp_path / "public.pth", tmp_path / "o.safetensors", ObjectKind.CELL, NuClickConfig(WIDTH))
    assert load_model(tmp_path / "o.safetensors").card.crop_size == 256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("residual_block_2.conv_block_1.conv_bn_relu.0.weight"), "is missing and should be"),
        (
            lambda t: t.update({"conv_transpose_3.weight": torch.zeros(32, 8, 2, 2)}),
            "conv_transpose_3.weight is [32, 8, 2, 2] and should be [32, 16, 2, 2]",
        ),
        (lambda t: t.update({"more.weight": torch.zeros(3)}), "more.weight is [3] and should be absent"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_naming_the_first_entry(tmp_path, change, said):
    tensors = random_public_checkpoint(WIDTH)
    change(tensors)
    torch.save(tensors, tmp_path / "public.pth")
    with pytest.raises(ModelError, match=re.escape(said)):
        import_checkpoint(tmp_path / "public.pth", tmp_path / "o.safetensors", ObjectKind.CELL, NuClickConfig(WIDTH))
    assert not (tmp_path / "o.safetensors").exists()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"upcat_4.upsample.deconv.weight": torch.zeros(2, 2)}, "MONAI's BasicUNet"),
        ({"encoder.weight": torch.zeros(1_360_000)}, "nuclick_light"),
        ({f"layer{i}.weight": torch.zeros(135_000) for i in range(128)}, "U-Net of nuclick_torch"),
    ],
)
def test_other_published_networks_are_recognised(tmp_path, tensors, said):
    torch.save(tensors, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=said):
        import_checkpoint(tmp_path / "other.pth", tmp_path / "o.safetensors", ObjectKind.NUCLEUS)


class Stranger:
    """Something that only a full unpickling could read."""


@pytest.mark.parametrize(
    ("content", "said"),
    [(Stranger(), "could execute code"), ({"epoch": 3}, "no named tensors"), ([1, 2], "no named tensors")],
)
def test_a_pickle_of_anything_but_tensors_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "strange.pth")
    with pytest.raises(ModelError, match=said):
        import_checkpoint(tmp_path / "strange.pth", tmp_path / "o.safetensors", ObjectKind.NUCLEUS)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)])
def test_a_checkpoint_that_is_not_one_is_refused(tmp_path, content):
    (tmp_path / "broken.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.pth"):
        import_checkpoint(tmp_path / "broken.pth", tmp_path / "o.safetensors", ObjectKind.NUCLEUS)


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        import_checkpoint(tmp_path / "none.pth", tmp_path / "o.safetensors", ObjectKind.NUCLEUS)


# ------------------------------------------------------------------------------------------------ shipped models


@pytest.mark.parametrize("name", shipped_models() or [None])
def test_every_shipped_model_loads_and_says_what_it_is(name):
    if name is None:
        pytest.skip("no model is shipped yet")
    model = load_model(name)
    assert model.card.name == name
    assert model.card.terms
    assert model.card.limits
    assert model.card.scores
    assert all(source.licence for source in model.card.data)
    assert model.path.stat().st_size < 20e6
    assert isinstance(model.network, type(build(model.card.architecture, model.card.config)))


def test_every_shipped_model_is_in_the_stated_order_of_its_kind():
    for name, path in shipped_models().items():
        assert name in DEFAULTS[read_card(path).kind]


def test_a_card_without_an_entry_for_open_terms_says_no(model_file):
    old = json.loads(CARD.to_json())
    del old["open_terms"]
    tampered(model_file, lambda header: header.update({"__metadata__": {METADATA_KEY: json.dumps(old)}}))
    assert not load_model(model_file).card.open_terms


def test_a_model_that_gets_another_card_keeps_its_weights_bit_by_bit(tmp_path):
    path = tmp_path / "copy.safetensors"
    shutil.copy(shipped_models()["nuclei"], path)
    before = load_file(path)
    replace_card(path, dataclasses.replace(read_card(path), limits="none"))
    after = load_file(path)
    assert read_card(path).limits == "none"
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype and torch.equal(before[name], after[name]) for name in before)


def test_the_list_of_models_says_first_what_each_may_be_used_for():
    console = Console(record=True, width=250)
    models_view.print_models(console)
    lines = console.export_text().splitlines()
    assert re.search(r"name .* may be used for .* terms .* object", lines[1])
    assert any(re.search(r"nuclei \(default\).*limited use.*research use", line) for line in lines)
    assert any(re.search(r"\(default for --terms open\) .* anything", line) for line in lines)


def test_a_card_is_shown_with_its_reason_and_with_the_parent_s_name_alone(tmp_path):
    path = tmp_path / "child.safetensors"
    model = load_model("nuclei")
    parent = {"name": "mother", "created": "2026-01-02", "sha256": 64 * "a", "scores": [{"metric": "AJI"}]}
    card = dataclasses.replace(model.card, settings={"steps": 3, "parent": parent}, choice="it won")
    save_model(path, model.network, card, half=True)
    console = Console(record=True, width=200)
    models_view.print_card(console, str(path))
    text = console.export_text()
    assert "steps 3, parent mother of 2026-01-02 (SHA-256 aaaaaaaaaaaa)" in text
    assert "it won" in text


def test_a_model_beside_another_of_its_name_is_not_the_default(monkeypatch, tmp_path):
    for name in ("nuclei-open", "nuclei"):
        shutil.copy(shipped_models()["nuclei"], tmp_path / f"{name}.safetensors")
    monkeypatch.setattr("nuclick_wsi.models.card.MODELS", tmp_path)
    assert default_model(ObjectKind.NUCLEUS).stem == "nuclei"
    assert find_model("nuclei-open").stem == "nuclei-open"


def test_a_kind_without_a_shipped_model_is_refused_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr("nuclick_wsi.models.card.MODELS", tmp_path)
    with pytest.raises(ModelError, match="--model"):
        default_model(ObjectKind.CELL)
