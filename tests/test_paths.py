import unicodedata
from pathlib import Path, PurePosixPath

import pytest

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.ownership import require_free
from nuclick_wsi.paths import closest, existing, told_apart
from nuclick_wsi.server.auth import AllowedFolders
from nuclick_wsi.slides.lookup import SlideFolders, find_slide_of
from qupath_extension.uris import find_slide

NAME = "Größe é.svs"
NFC, NFD = (unicodedata.normalize(form, NAME) for form in ("NFC", "NFD"))
SPELLINGS = [NFC, NFD, NFC.upper(), NFD.upper().replace("SVS", "svs")]


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def same(one: Path, other: Path) -> bool:
    return one.samefile(other)


@pytest.mark.parametrize("there", [NFC, NFD])
@pytest.mark.parametrize("written", SPELLINGS)
def test_a_path_that_is_written_otherwise_is_found(there: str, written: str, tmp_path: Path) -> None:
    slide = touch(tmp_path / unicodedata.normalize("NFD", "ordner ü") / there)
    wanted = tmp_path / "Ordner Ü" / written
    assert same(existing(wanted), slide)


def test_a_path_with_backslashes_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = touch(tmp_path / "a" / "b.svs")
    monkeypatch.chdir(tmp_path)
    assert same(existing(Path("a\\B.svs")), slide)


def test_a_relative_path_stays_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a" / "b.svs")
    (tmp_path / "c").mkdir()
    monkeypatch.chdir(tmp_path / "c")
    assert same(existing(Path("../A/b.svs")), tmp_path / "a" / "b.svs")
    assert not existing(Path("../A/b.svs")).is_absolute()


def test_what_is_nowhere_and_what_could_be_several_stays_as_it_is_written(tmp_path: Path) -> None:
    assert existing(tmp_path / "no" / "a.svs") == tmp_path / "no" / "a.svs"
    touch(tmp_path / "a.svs")
    if not (tmp_path / "A.svs").exists():  # a file system that tells case
        touch(tmp_path / "A.svs")
        assert existing(tmp_path / "a.SVS") == tmp_path / "a.SVS"
        assert existing(tmp_path / "A.svs") == tmp_path / "A.svs"


def test_the_same_spelling_comes_before_the_same_letters_and_these_before_another_case() -> None:
    assert closest(NFC, [NFD, NFC, NFC.upper()]) == [NFC]
    assert closest(NFC, [NFD, NFC.upper()]) == [NFD]
    assert closest(NFC, [NFC.upper(), "other"]) == [NFC.upper()]
    assert closest(NFC, ["other"]) == []


def test_names_that_look_alike_are_told_apart_and_others_left_as_they_are() -> None:
    assert told_apart([NFC, NFD, "other"]) == [
        f"{NFC} (accents composed with their letters, NFC)",
        f"{NFD} (accents after their letters, NFD)",
        "other",
    ]
    assert told_apart(["a.svs", "A.svs"]) == ["a.svs (in lower case)", "A.svs (with upper-case letters)"]
    assert told_apart(["a.svs", "a.svs", "b.svs"]) == ["a.svs", "a.svs", "b.svs"]


@pytest.mark.parametrize("there", [NFC, NFD])
@pytest.mark.parametrize("written", SPELLINGS)
def test_a_projects_slide_is_found_in_its_place_beside_the_project_and_below_folders(
    there: str, written: str, tmp_path: Path
) -> None:
    slide = touch(tmp_path / "p" / "slides" / there)
    project = tmp_path / "p" / "p.qpproj"
    moved = PurePosixPath("/far/p/slides") / written
    assert same(find_slide((slide.parent / written).as_uri(), project, None, SlideFolders()), slide)
    assert same(find_slide(f"file:{moved}", project, "file:/far/p/p.qpproj", SlideFolders()), slide)
    assert same(find_slide(f"file:/x/{written}", project, None, SlideFolders([tmp_path])), slide)


@pytest.mark.parametrize("there", [NFC, NFD])
@pytest.mark.parametrize("written", SPELLINGS)
def test_a_slide_beside_its_marks_is_found(there: str, written: str, tmp_path: Path) -> None:
    slide = touch(tmp_path / "slides" / there)
    marks = touch((tmp_path / "marks" / written).with_suffix(".xml"))
    assert same(find_slide_of(slide.parent / marks.name), slide)
    assert same(find_slide_of(marks, SlideFolders([tmp_path])), slide)


def test_a_target_that_is_there_under_another_spelling_is_named_as_it_is(tmp_path: Path) -> None:
    touch(tmp_path / NFD)
    if (tmp_path / NFC).exists():
        pytest.skip("this file system takes both spellings for one")
    with pytest.raises(SettingsError, match=r"\(accents after their letters, NFD\) is there already"):
        require_free(tmp_path / NFC)


def test_the_server_knows_an_allowed_folder_by_its_other_spelling(tmp_path: Path) -> None:
    slide = touch(tmp_path / unicodedata.normalize("NFD", "é") / "a.svs")
    asked = tmp_path / unicodedata.normalize("NFC", "é") / "a.svs"
    assert same(AllowedFolders([slide.parent]).admit(asked), slide)
