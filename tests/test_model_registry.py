"""A registry serves each kind of object with one model, and loads it when it is first needed."""

from collections.abc import Mapping

import pytest

import nuclick_wsi as nw
from nuclick_wsi.choices import ModelTerms
from nuclick_wsi.errors import ModelError, SettingsError
from nuclick_wsi.models.card import read_card, shipped_models
from nuclick_wsi.segmentation.context_keys import context_keys
from nuclick_wsi.slides.slide import Frame


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


def test_results_in_half_precision_are_not_taken_for_others() -> None:
    keys = [
        context_keys(
            nw.ModelRegistry(device="cpu", precision=one), [nw.ObjectKind.NUCLEUS], "slide", "reader", Frame.FULL
        )
        for one in ("single", "half")
    ]
    assert keys[0] != keys[1]
    with pytest.raises(SettingsError, match="accepted are 'single', 'half'"):
        nw.ModelRegistry(device="cpu", precision="double")


def test_two_models_for_one_kind_are_refused() -> None:
    with pytest.raises(ModelError, match="name one model for each kind"):
        nw.ModelRegistry(["nuclei", "nuclei-open"], device="cpu")


def test_only_models_for_any_use_are_taken_where_they_are_asked_for() -> None:
    registry = nw.ModelRegistry(device="cpu", terms=ModelTerms.OPEN)
    assert registry.card(nw.ObjectKind.NUCLEUS).open_terms
    assert not nw.ModelRegistry(device="cpu").card(nw.ObjectKind.NUCLEUS).open_terms


def test_a_kind_without_a_model_for_any_use_is_refused_with_those_that_have_one_and_the_way_out() -> None:
    with pytest.raises(ModelError, match=r"model for a gland .* There is one for a .*nucleus.*--model.*--object"):
        nw.ModelRegistry(device="cpu", terms=ModelTerms.OPEN).path(nw.ObjectKind.GLAND)


def test_a_named_model_of_other_terms_is_refused_with_its_terms() -> None:
    with pytest.raises(ModelError, match=r"glands .*GlaS.*drop --terms open"):
        nw.ModelRegistry(["glands"], device="cpu", terms=ModelTerms.OPEN)


def test_which_shipped_models_are_for_any_use_is_what_their_terms_say() -> None:
    cards = [read_card(path) for path in shipped_models().values()]
    assert {card.open_terms for card in cards} == {True, False}
    for card in cards:
        restricted = "research" in card.terms or any("NC" in source.licence for source in card.data)
        assert card.open_terms is not restricted, card.name


def test_its_name_of_version_0_1_still_works_and_it_is_no_mapping() -> None:
    assert nw.Shelf is nw.ModelRegistry
    assert not isinstance(nw.ModelRegistry(device="cpu"), Mapping)
