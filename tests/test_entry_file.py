"""The data of an image in a project, which QuPath saves too: its save is what stays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nuclick_wsi import shared_files
from nuclick_wsi.errors import FileChangedError
from qupath_extension import entry_file
from qupath_extension.entry_file import correct_summary, put_in_place, stamp_of, update_summary


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.qpdata"
    path.write_bytes(b"read")
    return path


def saved_by_qupath(path: Path) -> None:
    """Move the file away, write a new one and delete the old one, as QuPath does."""
    path.replace(path.with_name("data.qpdata.bkp"))
    path.write_bytes(b"saved")
    path.with_name("data.qpdata.bkp").unlink()


def between(step: Callable[[], None], module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen right before a function of a module does its work."""
    function = getattr(module, name)

    def after_it(*arguments: Any) -> Any:
        step()
        return function(*arguments)

    monkeypatch.setattr(module, name, after_it)


@pytest.mark.parametrize("moment", ["put_if_unchanged", "_swap"])
def test_what_qupath_saves_at_the_last_moment_stays_and_the_copy_of_what_was_there_too(
    moment: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, temporary = stamp_of(data), data.with_name(".new.part")
    temporary.write_bytes(b"ours")
    saves = iter([saved_by_qupath])
    module = shared_files if moment == "_swap" else entry_file
    between(lambda: next(saves, lambda _: None)(data), module, moment, monkeypatch)
    with pytest.raises(FileChangedError, match=r"data\.qpdata has changed .* probably open in QuPath\. Save and close"):
        put_in_place(temporary, data, read, first=True)
    assert data.read_bytes() == b"saved"
    assert data.with_name("data.qpdata.backup").read_bytes() == b"read"


def test_the_counts_of_a_save_by_qupath_are_not_replaced_by_ours(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = data.with_name("summary.json")
    summary.write_text(json.dumps({"hierarchy": {"nObjects": 3}}), encoding="utf-8")
    update_summary(data, ())
    assert json.loads(summary.read_text(encoding="utf-8"))["hierarchy"]["nObjects"] == 1
    between(lambda: summary.write_text("{}") and None, entry_file, "replace_if_unchanged", monkeypatch)
    update_summary(data, ())
    assert summary.read_text(encoding="utf-8") == "{}"


def test_counts_that_a_killed_run_has_left_are_corrected_and_right_ones_are_not_touched(data: Path) -> None:
    summary = data.with_name("summary.json")
    correct_summary(data, ())
    assert not summary.exists()
    summary.write_text(json.dumps({"imageType": "OTHER", "hierarchy": {"nObjects": 3}}), encoding="utf-8")
    correct_summary(data, ())
    corrected = summary.read_text(encoding="utf-8")
    assert json.loads(corrected)["hierarchy"]["nObjects"] == 1
    assert json.loads(corrected)["imageType"] == "OTHER"
    data.write_bytes(b"saved later")
    correct_summary(data, ())
    assert summary.read_text(encoding="utf-8") == corrected
    summary.write_text("damaged", encoding="utf-8")
    correct_summary(data, ())
    assert summary.read_text(encoding="utf-8") == "damaged"
