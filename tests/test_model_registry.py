"""A registry serves each kind of object with one model, and loads it when it is first needed."""

from collections.abc import Mapping

import pytest

import nuclick_wsi as nw
from nuclick_wsi.errors import ModelError


def test_a_card_and_a_path_are_told_without_loading_weights() -> None:
    registry = nw.ModelRegistry(device="cpu")
    assert registry.card(nw.ObjectKind.NUCLEUS).kind is nw.ObjectKind.NUCLEUS
    assert registry.path(nw.ObjectKind.NUCLEUS).is_file()
    assert registry.loaded == ()


def test_a_model_is_loaded_once_and_runs_in_one_segmenter() -> None:
    registry = nw.ModelRegistry(device="cpu")
    segmenter = registry.segmenter(nw.ObjectKind.NUCLEUS)
    assert registry.segmenter(nw.ObjectKind.NUCLEUS) is segmenter
    assert registry.loaded == (registry.model(nw.ObjectKind.NUCLEUS),)
    assert segmenter.card == registry.card(nw.ObjectKind.NUCLEUS)


def test_two_models_for_one_kind_are_refused() -> None:
    with pytest.raises(ModelError, match="name one model for each kind"):
        nw.ModelRegistry(["nuclei", "nuclei-cc0"], device="cpu")


def test_its_name_of_version_0_1_still_works_and_it_is_no_mapping() -> None:
    assert nw.Shelf is nw.ModelRegistry
    assert not isinstance(nw.ModelRegistry(device="cpu"), Mapping)
