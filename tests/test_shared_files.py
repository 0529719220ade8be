"""Files that other programs save too: whatever is saved in the middle of a write of ours is what is there after it."""

import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nuclick_wsi import shared_files
from nuclick_wsi.errors import FileChangedError, ResultError
from nuclick_wsi.files import temporary_beside
from nuclick_wsi.leftovers import remove_leftovers, swap_name
from nuclick_wsi.shared_files import Stamp, put_if_unchanged, replace_if_unchanged

OURS = b"ours " * 4000


def save_into(path: Path, content: bytes) -> None:
    """Empty a file and write it anew, as ASAP does, with a moment between two pieces."""
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), 8192):
            time.sleep(0)
            file.write(content[start : start + 8192])


def save_beside(path: Path, content: bytes) -> None:
    """Write another file and give it the name."""
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)


def save_after_moving(path: Path, content: bytes) -> None:
    """Move the file away and write a new one, as QuPath does."""
    if path.exists():
        path.replace(path.with_name("moved"))
    save_into(path, content)


SAVES = [save_into, save_beside, save_after_moving]


@pytest.fixture(params=["in one step", "in two steps"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which two files change names: in one step where the system can, else by a second name."""
    if request.param == "in two steps":
        monkeypatch.setattr(shared_files, "_exchange", lambda *_: False)
    return str(request.param)


@pytest.mark.usefixtures("swap")
def test_a_file_that_is_as_it_was_read_is_replaced_with_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "slide.xml"
    path.write_bytes(b"read")
    path.chmod(0o640)
    replace_if_unchanged(path, OURS, Stamp.of(b"read"))
    assert path.read_bytes() == OURS
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_saved_or_made_or_taken_away_since_it_was_read_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "slide.xml"
    replace_if_unchanged(path, b"made", None)
    assert path.read_bytes() == b"made"
    for seen in (None, Stamp.of(b"read")):
        with pytest.raises(FileChangedError, match=r"slide\.xml has changed since it was read, .*run again"):
            replace_if_unchanged(path, OURS, seen)
        assert path.read_bytes() == b"made"
    path.unlink()
    with pytest.raises(FileChangedError, match="has changed"):
        replace_if_unchanged(path, OURS, Stamp.of(b"made"))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("swap")
@pytest.mark.parametrize("save", SAVES[:2])
@pytest.mark.parametrize("again", [False, True])
def test_a_save_between_the_last_look_and_the_swap_is_put_back(
    save: Callable[[Path, bytes], None], again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slide.xml"
    path.write_bytes(b"read")
    swap, saves = shared_files._swap, iter([b"saved", b"saved again"] if again else [b"saved"])

    def saved_first(one: Path, other: Path, aside: Path) -> None:
        for content in itertools.islice(saves, 1):
            save(other, content)
        swap(one, other, aside)

    monkeypatch.setattr(shared_files, "_swap", saved_first)
    with pytest.raises(FileChangedError):
        replace_if_unchanged(path, OURS, Stamp.of(b"read"))
    assert path.read_bytes() == (b"saved again" if again else b"saved")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResultError, match=r"slide\.xml: cannot be replaced"):
        replace_if_unchanged(tmp_path / "file" / "slide.xml", OURS, None)


@pytest.mark.parametrize("save", SAVES)
def test_no_save_of_hundreds_in_the_middle_of_a_write_is_lost(
    save: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    path, chance = tmp_path / "slide.xml", random.Random(1)
    path.write_bytes(b"start")
    replaced = refused = 0
    for number in range(300):
        content = b"save %d " % number * 3000
        moment = chance.uniform(0, 0.002)
        saving = threading.Thread(target=lambda: (time.sleep(moment), save(path, content)))  # noqa: B023
        seen = Stamp.of_file(path)
        with temporary_beside(path) as temporary:
            temporary.write_bytes(OURS)
            saving.start()
            try:
                put_if_unchanged(temporary, path, seen)
                replaced += 1
            except FileChangedError:
                refused += 1
            saving.join()
        # Where ours came last, it took the place of what had been read, and not of the save.
        assert path.read_bytes() == content
    assert replaced
    assert refused
    assert {one.name for one in tmp_path.iterdir()} <= {"slide.xml", "other", "moved"}


def left_by_a_killed_run(folder: Path, ours: bytes, theirs: bytes, content: bytes) -> Path:
    """Return a file as a run leaves it that is killed while two files change places."""
    name = swap_name(Stamp.of(ours).sha256, Stamp.of(theirs).sha256)
    path = folder / name.replace(f"-{os.getpid()}-", "-999999999-")
    path.write_bytes(content)
    return path


def test_of_two_files_that_changed_places_the_one_that_is_left_is_removed_unless_it_is_a_save(tmp_path: Path) -> None:
    for content in (b"ours", b"read"):
        left_by_a_killed_run(tmp_path, b"ours", b"read", content)
    saved = left_by_a_killed_run(tmp_path, b"ours", b"read", b"saved at that moment")
    running = tmp_path / swap_name(Stamp.of(b"ours").sha256, Stamp.of(b"read").sha256)
    running.write_bytes(b"ours")
    assert remove_leftovers(tmp_path) == [saved]
    assert {one.name for one in tmp_path.iterdir()} == {saved.name, running.name}
