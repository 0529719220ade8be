import os
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.lookup import NOWHERE, SlideFolders
from qupath_extension.uris import find_slide, path_of_uri


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/home/a/b.svs", PurePosixPath("/home/a/b.svs")),
        ("file:///home/a/b.svs", PurePosixPath("/home/a/b.svs")),
        ("file://localhost/home/a/b.svs", PurePosixPath("/home/a/b.svs")),
        ("FILE:/home/a/nothing%20to%20do.svs", PurePosixPath("/home/a/nothing to do.svs")),
        ("file:/home/%C5%9EUBAT/%E2%9C%93.svs", PurePosixPath("/home/ŞUBAT/✓.svs")),
        ("file:/home/ŞUBAT/a+b%23c.svs", PurePosixPath("/home/ŞUBAT/a+b#c.svs")),
        ("file:/C:/slides/a.svs", PureWindowsPath("C:/slides/a.svs")),
        ("file:///c:/slides/a%20b.svs", PureWindowsPath("c:/slides/a b.svs")),
        ("file://server/share/a.svs", PureWindowsPath("//server/share/a.svs")),
        ("file:////server/share/a.svs", PureWindowsPath("//server/share/a.svs")),
        ("C:\\slides\\a.svs", PureWindowsPath("C:/slides/a.svs")),
        ("\\\\server\\share\\a.svs", PureWindowsPath("//server/share/a.svs")),
        ("/home/a/100%25.svs", PurePosixPath("/home/a/100%25.svs")),
        ("slides/a.svs", PurePosixPath("slides/a.svs")),
    ],
)
def test_uris_of_files_are_understood_as_the_paths_they_were(uri: str, path: PurePath) -> None:
    found = path_of_uri(uri)
    assert found == path
    assert type(found) is type(path)


@pytest.mark.parametrize(
    "uri", ["http://host/a.svs", "https://omero.org/webclient/?show=image-1", "omero:/1", "s3://b/a"]
)
def test_what_is_no_file_is_refused(uri: str, tmp_path: Path) -> None:
    assert path_of_uri(uri) is None
    with pytest.raises(SlideError, match="is not a file: download the slide"):
        find_slide(uri, tmp_path / "p.qpproj", None, NOWHERE)


def test_a_slide_in_its_place_is_found(tmp_path: Path) -> None:
    slide = touch(tmp_path / "elsewhere" / "a b.svs")
    assert find_slide(slide.as_uri(), tmp_path / "p" / "p.qpproj", None, NOWHERE) == slide


def test_its_own_place_comes_before_the_relative_one(tmp_path: Path) -> None:
    slide = touch(tmp_path / "old" / "slides" / "a.svs")
    touch(tmp_path / "new" / "slides" / "a.svs")
    previous = (tmp_path / "old" / "p.qpproj").as_uri()
    assert find_slide(slide.as_uri(), tmp_path / "new" / "p.qpproj", previous, NOWHERE) == slide


@pytest.mark.parametrize(
    ("uri", "previous"),
    [
        ("file:/old/study/project/slides/a%20b.svs", "file:/old/study/project/project.qpproj"),
        ("file:/C:/study/project/slides/a%20b.svs", "file:/C:/study/project/project.qpproj"),
        ("file:/C:/study/project/slides/a%20b.svs", "file:/c:/Study/Project/project.qpproj"),
        ("file://server/share/project/slides/a%20b.svs", "file:////server/share/project/project.qpproj"),
        ("slides/a b.svs", "file:/anywhere/project.qpproj"),
    ],
)
def test_a_slide_below_a_moved_project_is_found(uri: str, previous: str, tmp_path: Path) -> None:
    slide = touch(tmp_path / "moved" / "slides" / "a b.svs")
    assert find_slide(uri, tmp_path / "moved" / "project.qpproj", previous, NOWHERE) == slide


def test_a_slide_beside_a_moved_project_is_found(tmp_path: Path) -> None:
    slide = touch(tmp_path / "data" / "a.svs")
    found = find_slide("file:/C:/git/data/a.svs", tmp_path / "p" / "p.qpproj", "file:/C:/git/qupath/p.qpproj", NOWHERE)
    assert found == slide


@pytest.mark.parametrize(
    "previous", [None, "file:/D:/p/p.qpproj", "file:/home/p/p.qpproj", "http://host/p.qpproj", "p"]
)
def test_without_a_comparable_previous_place_only_the_place_itself_is_tried(
    previous: str | None, tmp_path: Path
) -> None:
    touch(tmp_path / "slides" / "a.svs")
    with pytest.raises(SlideError, match=r"a\.svs was not found"):
        find_slide("file:/C:/p/slides/a.svs", tmp_path / "p.qpproj", previous, NOWHERE)


def test_folders_are_searched_by_name_with_all_below(tmp_path: Path) -> None:
    slide = touch(tmp_path / "slides" / "2024" / "batch 1" / "a.svs")
    folders = SlideFolders([tmp_path / "slides"])
    assert find_slide("file:/I:/far/a.svs", tmp_path / "p.qpproj", None, folders) == slide


def test_a_folder_given_twice_is_no_ambiguity(tmp_path: Path) -> None:
    slide = touch(tmp_path / "slides" / "a.svs")
    folders = SlideFolders([tmp_path / "slides", tmp_path / "slides"])
    assert find_slide("file:/I:/far/a.svs", tmp_path / "p.qpproj", None, folders) == slide


def test_of_equal_names_the_longest_common_tail_wins(tmp_path: Path) -> None:
    touch(tmp_path / "slides" / "patient 1" / "he" / "a.svs")
    slide = touch(tmp_path / "slides" / "patient 2" / "he" / "a.svs")
    folders = SlideFolders([tmp_path / "slides"])
    assert find_slide("file:/I:/x/patient%202/he/a.svs", tmp_path / "p.qpproj", None, folders) == slide


def test_an_ambiguous_name_is_an_error_with_the_candidates(tmp_path: Path) -> None:
    slides = [touch(tmp_path / "slides" / name / "a.svs") for name in ("1", "2")]
    with pytest.raises(SlideError) as caught:
        find_slide("file:/I:/x/a.svs", tmp_path / "p.qpproj", None, SlideFolders([tmp_path / "slides"]))
    assert all(str(slide) in str(caught.value) for slide in slides)


def test_decomposed_and_composed_names_are_the_same(tmp_path: Path) -> None:
    slide = touch(tmp_path / "slides" / "Mu\u0308ller.svs")
    folders = SlideFolders([tmp_path / "slides"])
    assert find_slide("file:/I:/M%C3%BCller.svs", tmp_path / "p.qpproj", None, folders) == slide


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_links_that_go_in_circles_are_walked_once(tmp_path: Path) -> None:
    slide = touch(tmp_path / "slides" / "a.svs")
    (tmp_path / "slides" / "again").symlink_to(tmp_path / "slides", target_is_directory=True)
    folders = SlideFolders([tmp_path / "slides"])
    assert find_slide("file:/I:/a.svs", tmp_path / "p.qpproj", None, folders) == slide


def test_the_error_names_all_places_and_what_to_do(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    uri = "file:/old/p/slides/a.svs"
    with pytest.raises(SlideError) as caught:
        find_slide(uri, tmp_path / "p.qpproj", "file:/old/p/p.qpproj", SlideFolders([other]))
    expected = [uri, Path("/old/p/slides/a.svs"), tmp_path / "slides" / "a.svs", other, "--slides"]
    assert all(str(part) in str(caught.value) for part in expected)
