"""The mean of models that come from each other: their weights, what its card says, and what cannot be averaged."""

import dataclasses

import pytest
import torch

from nuclick_training.__main__ import main
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.weights import load_model, save_model


def test_the_mean_of_two_models_has_the_mean_of_their_weights(tmp_path, capsys) -> None:
    shipped, other = load_model("glands"), tmp_path / "other.safetensors"
    network = load_model("glands").network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    save_model(other, network, shipped.card)
    main(["average", "glands", str(other), "--model", str(tmp_path / "mean.safetensors")])
    mean = load_model(tmp_path / "mean.safetensors")
    for own, before in zip(mean.network.parameters(), shipped.network.parameters(), strict=True):
        assert torch.allclose(own, 2 * before, rtol=2e-3, atol=1e-6)
    assert mean.card.threshold == shipped.card.threshold
    assert mean.card.settings["average of"] == [shipped.sha256, load_model(other).sha256]
    assert (mean.card.scores, mean.card.calibration) == ((), ())
    assert "calibrate" in capsys.readouterr().out


def test_the_mean_has_the_terms_of_all_and_repeats_none(tmp_path) -> None:
    shipped, files = load_model("glands"), []
    for name, terms in (("tuned", f"{shipped.card.terms}; and my institute only"), ("other", "teaching only")):
        files.append(tmp_path / f"{name}.safetensors")
        save_model(files[-1], shipped.network, dataclasses.replace(shipped.card, terms=terms))
    main(["average", "glands", *map(str, files), "--model", str(tmp_path / "mean.safetensors")])
    terms = load_model(tmp_path / "mean.safetensors").card.terms
    assert terms == f"{shipped.card.terms}; and my institute only; and teaching only"


def test_models_of_different_kinds_and_one_alone_are_refused(tmp_path) -> None:
    with pytest.raises(
        SettingsError, match=r"nuclei\.safetensors and .*glands\.safetensors cannot be averaged: kind is"
    ):
        main(["average", "nuclei", "glands", "--model", str(tmp_path / "mean.safetensors")])
    with pytest.raises(SettingsError, match="one model alone"):
        main(["average", "nuclei", "--model", str(tmp_path / "mean.safetensors")])
    assert not list(tmp_path.iterdir())


def test_a_model_of_free_terms_is_not_mixed_with_one_of_others(tmp_path) -> None:
    with pytest.raises(SettingsError, match="open_terms is"):
        main(["average", "nuclei-open", "nuclei", "--model", str(tmp_path / "mean.safetensors")])
