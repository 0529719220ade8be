"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from nuclick_wsi import files
from nuclick_wsi.errors import ResultError
from nuclick_wsi.files import back_up, write_atomically


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "results.json"
    assert write_atomically(path, b"one")
    before = path.stat().st_mtime_ns
    assert not write_atomically(path, b"one")
    assert path.stat().st_mtime_ns == before
    assert write_atomically(path, b"two")
    assert path.read_bytes() == b"two"


def test_a_write_that_is_killed_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_atomically(path, b"old")

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ResultError, match="--out"):
        write_atomically(tmp_path / "results.json", b"")


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "nuclick").write_text("mine")
    with pytest.raises(ResultError, match=r"nuclick.*--out"):
        write_atomically(tmp_path / "nuclick" / "results.json", b"")


def test_backups_never_overwrite_each_other(tmp_path: Path) -> None:
    path = tmp_path / "data.xml"
    for content in ("one", "two", "three"):
        path.write_text(content)
        back_up(path)
    assert {copy.name: copy.read_text() for copy in tmp_path.glob("*.backup*")} == {
        "data.xml.backup": "one",
        "data.xml.backup2": "two",
        "data.xml.backup3": "three",
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows itself refuses to sync what is open for reading only")
def test_a_read_only_file_is_backed_up_through_a_copy_that_is_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl  # noqa: PLC0415 - Windows has none

    modes: list[int] = []
    monkeypatch.setattr(files.os, "fsync", lambda number: modes.append(fcntl.fcntl(number, fcntl.F_GETFL)))
    path = tmp_path / "data.xml"
    path.write_text("mine")
    path.chmod(0o400)
    copy = back_up(path).path
    assert modes[0] & os.O_ACCMODE == os.O_RDWR
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("mine", 0o400)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_backup_leaves_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "data.xml").write_text("mine")
    (tmp_path / "data.xml.backup").symlink_to(tmp_path / "unplugged")
    assert back_up(tmp_path / "data.xml").path.name == "data.xml.backup2"
    assert (tmp_path / "data.xml.backup").is_symlink()


def test_a_copy_that_a_killed_run_made_is_taken_and_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "data.xml").write_text("mine")
    first = back_up(tmp_path / "data.xml")
    again = back_up(tmp_path / "data.xml")
    assert (again.path, first.is_new, again.is_new) == (first.path, True, False)
    assert {one.name for one in tmp_path.iterdir()} == {"data.xml", "data.xml.backup"}
