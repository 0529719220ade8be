"""Folders of results: whole or not at all, and nothing replaced that is not ours or was edited."""

from pathlib import Path

import pytest

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.owned_folders import FolderState, replaced_folder, state_of


def write(target: Path, content: str, source: str = "clicks.csv") -> list[str]:
    with replaced_folder(target, source) as (folder, remarks):
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text(content)
    return remarks


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_of_ours_is_replaced_as_a_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "out.zarr"
    assert write(target, "one") == []
    (before,) = [path.stat().st_mtime_ns for path in target.glob("inner/a.txt")]
    write(target, "one")
    assert (target / "inner" / "a.txt").stat().st_mtime_ns == before
    write(target, "two")
    assert (target / "inner" / "a.txt").read_text() == "two"
    assert names(tmp_path) == ["out.zarr"]


@pytest.mark.parametrize("added", ["inner/a.txt", "inner/b.txt"])
def test_one_that_was_edited_since_is_kept_under_another_name(added: str, tmp_path: Path) -> None:
    target = tmp_path / "out.zarr"
    write(target, "one")
    (target / added).write_text("mine")
    (remark,) = write(target, "two")
    assert "kept as out.zarr.backup" in remark
    assert (tmp_path / "out.zarr.backup" / added).read_text() == "mine"
    assert (target / "inner" / "a.txt").read_text() == "two"
    assert state_of(target, "clicks.csv") is FolderState.OURS


def test_what_is_not_ours_is_refused_and_stays(tmp_path: Path) -> None:
    write(tmp_path / "of-another-input", "one", "other.csv")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "forged").mkdir()
    (tmp_path / "forged" / "nuclick-wsi.json").write_text("[1]")
    for name in ("of-another-input", "file", "full", "link", "forged"):
        with pytest.raises(SettingsError, match="is no result of the same input"):
            write(tmp_path / name, "two")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert names(tmp_path) == ["file", "forged", "full", "link", "of-another-input"]


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "one")
    assert (tmp_path / "out" / "inner" / "a.txt").read_text() == "one"


def test_work_that_fails_leaves_what_was_there_and_the_next_takes_the_place_of_what_a_killed_one_left(
    tmp_path: Path,
) -> None:
    target = tmp_path / "out"
    write(target, "one")

    def fail() -> None:
        with replaced_folder(target, "clicks.csv") as (folder, _):
            (folder / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == ["out"]
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "half").write_text("half")
    write(target, "two")
    assert names(tmp_path / "out") == ["inner", "nuclick-wsi.json"]
