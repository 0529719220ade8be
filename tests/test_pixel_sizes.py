from pathlib import Path

import pytest

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import PixelSizeError, SettingsError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize, resolve_pixel_size
from nuclick_wsi.slides.slide import Level, SlideInfo


def square(mpp: float) -> PixelSize:
    return PixelSize(mpp, mpp)


PROJECT, FILE = square(0.2), square(0.3)
USER, FORCED = GivenPixelSize(square(0.4)), GivenPixelSize(square(0.5), is_forced=True)
IMPLAUSIBLE = [square(352.78), square(0.025), square(250)]


def info(pixel_size: PixelSize | None = None, refused: PixelSize | None = None) -> SlideInfo:
    size = Size(100, 80)
    return SlideInfo(Path("s.svs"), ReaderChoice.IMAGE, size, (Level(1, size),), pixel_size, refused)


@pytest.mark.parametrize(
    ("project", "file", "given", "expected", "source"),
    [
        (PROJECT, FILE, USER, PROJECT, "its project"),
        (None, FILE, USER, FILE, "its file"),
        (None, None, USER, USER.size, "--mpp"),
        (square(352.78), FILE, USER, FILE, "its file"),
        (square(352.78), None, USER, USER.size, "--mpp"),
        (PROJECT, FILE, FORCED, FORCED.size, "--force-mpp"),
        (None, FILE, FORCED, FORCED.size, "--force-mpp"),
        (None, None, FORCED, FORCED.size, "--force-mpp"),
    ],
)
def test_the_pixel_size_is_the_projects_then_the_files_then_the_users_unless_it_is_forced(
    project, file, given, expected, source
):
    resolved = resolve_pixel_size(info(file), project, given)
    assert (resolved.size, resolved.source) == (expected, source)


@pytest.mark.parametrize(("project", "source"), [(PROJECT, "its project"), (None, "its file")])
def test_a_size_that_the_user_gives_in_vain_is_told_with_what_is_used_and_how_to_force_it(project, source):
    (remark,) = resolve_pixel_size(info(FILE), project, USER).remarks
    used = project or FILE
    assert f"--mpp 0.4 is not used, because {source} says that a pixel is {used.x_um} x {used.y_um} um" in remark
    assert "--force-mpp 0.4" in remark


def test_a_forced_size_tells_what_it_was_put_before():
    remarks = resolve_pixel_size(info(FILE), PROJECT, FORCED).remarks
    assert [remark.rpartition("though ")[2] for remark in remarks] == [
        "its project says 0.2 x 0.2 um",
        "its file says 0.3 x 0.3 um",
    ]


@pytest.mark.parametrize(
    "given", [None, GivenPixelSize(FILE), GivenPixelSize(square(0.30001)), GivenPixelSize(FILE, True)]
)
def test_where_all_agree_there_is_nothing_to_tell(given):
    assert resolve_pixel_size(info(FILE), FILE, given).remarks == ()


@pytest.mark.parametrize("said", IMPLAUSIBLE)
@pytest.mark.parametrize(("file", "given"), [(FILE, None), (None, USER), (FILE, FORCED)])
def test_a_size_of_the_project_that_no_microscope_gives_is_not_passed_over_in_silence(said, file, given):
    resolved = resolve_pixel_size(info(file), said, given)
    assert any(f"{said.x_um:g} x {said.y_um:g} um" in remark for remark in resolved.remarks)


def test_without_a_pixel_size_the_error_names_the_three_ways_to_give_one():
    with pytest.raises(PixelSizeError, match=r"s\.svs.*QuPath project.*metadata.*--mpp"):
        resolve_pixel_size(info())


@pytest.mark.parametrize("said", IMPLAUSIBLE)
@pytest.mark.parametrize("by_project", [True, False])
def test_a_pixel_size_that_no_microscope_gives_is_named_in_the_error(said, by_project):
    with pytest.raises(PixelSizeError, match=rf"{said.x_um:g} x {said.y_um:g} um"):
        resolve_pixel_size(info(refused=said), said if by_project else None)


@pytest.mark.parametrize("said", IMPLAUSIBLE)
@pytest.mark.parametrize("is_forced", [True, False])
def test_a_pixel_size_of_the_user_that_no_microscope_gives_is_refused(said, is_forced):
    with pytest.raises(PixelSizeError, match=r"mpp takes microns per pixel from 0\.05 to 20"):
        resolve_pixel_size(info(FILE), None, GivenPixelSize(said, is_forced))


@pytest.mark.parametrize(
    "given",
    [
        {"from_project": PixelSize(0.25, 0.3)},
        {"given": GivenPixelSize(PixelSize(0.3, 0.25))},
        {"given": GivenPixelSize(PixelSize(0.3, 0.25), is_forced=True)},
        {"file": PixelSize(1, 2)},
    ],
)
def test_pixels_that_are_not_square_are_refused(given):
    file = given.pop("file", None)
    with pytest.raises(PixelSizeError, match="square"):
        resolve_pixel_size(info(file), **given)


def test_pixels_that_are_not_square_can_be_forced_to_be():
    assert resolve_pixel_size(info(PixelSize(1, 2)), None, FORCED).size == FORCED.size


def test_pixels_that_are_square_to_a_few_percent_are_taken():
    assert resolve_pixel_size(info(PixelSize(0.25, 0.27))).size == PixelSize(0.25, 0.27)


@pytest.mark.parametrize(
    ("mpp", "force_mpp", "expected"),
    [(None, None, None), (0.4, None, USER), (None, 0.5, FORCED)],
)
def test_the_options_give_a_size(mpp, force_mpp, expected):
    assert GivenPixelSize.of_options(mpp, force_mpp) == expected


@pytest.mark.parametrize(
    ("mpp", "force_mpp", "words"),
    [(0.4, 0.4, "give one of them"), (0.025, None, "--mpp is the width"), (None, 250, "--force-mpp is the width")],
)
def test_options_that_give_no_size_are_refused(mpp, force_mpp, words):
    with pytest.raises(SettingsError, match=words):
        GivenPixelSize.of_options(mpp, force_mpp)
