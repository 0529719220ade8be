"""A TOML file of options for `run`, as the command line takes it."""

from pathlib import Path
from typing import Any

import pytest

from nuclick_wsi.choices import ObjectType, ReaderChoice
from nuclick_wsi.cli.app import main
from nuclick_wsi.cli.run import RunRequest
from nuclick_wsi.prompts import ObjectChoice


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs the command and gives what it asks for, without doing it."""

    def asked(*arguments: str | Path) -> RunRequest:
        caught: list[RunRequest] = []
        monkeypatch.setattr("nuclick_wsi.cli.run.run_target", lambda request, _: caught.append(request) or 0)
        monkeypatch.setattr("sys.argv", ["nuclick-wsi", "run", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return caught[0]

    return asked


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.toml"
    path.write_text(text, encoding="utf-8")
    return path


WHOLE = """
# everything has a key of its option's name
target = "data/clicks.csv"
slide = "data/s.svs"
slides = "data"
out = "out"
object = "cell+nucleus"
model = ["nuclei", "mine.safetensors"]
force-mpp = 0.3
reader = "tiffslide"
batch-size = 4
as = "annotation"
smallest = "8um2"
tolerance = 0
preview = true
image = "a"
"""


@pytest.mark.parametrize("way", ["target", "config"])
def test_the_keys_of_a_file_are_the_options_and_its_paths_are_as_seen_from_it(
    way: str, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = write(tmp_path / "jobs", WHOLE)
    (job.parent / "mine.safetensors").touch()
    asked = run(job) if way == "target" else run("--config", job)
    assert asked.target == job.parent / "data" / "clicks.csv"
    assert (asked.slide, asked.slides) == (job.parent / "data" / "s.svs", job.parent / "data")
    assert asked.out == job.parent / "out"
    assert asked.objects is ObjectChoice.CELL_AND_NUCLEUS
    assert tuple(map(str, asked.models)) == ("nuclei", str(job.parent / "mine.safetensors"))
    assert (asked.mpp, asked.force_mpp, asked.batch_size) == (None, 0.3, 4)
    assert (asked.reader, asked.as_type) == (ReaderChoice.TIFFSLIDE, ObjectType.ANNOTATION)
    assert asked.masks.smallest is not None
    assert (asked.outlines.tolerance, asked.preview, asked.dry_run) == (0, True, False)
    assert tuple(asked.images) == ("a",)


def test_the_command_line_counts_before_the_file(run: Any, tmp_path: Path) -> None:
    job = write(tmp_path, WHOLE)
    asked = run("--config", job, "other.csv", "--force-mpp", "0.5", "--image", "b", "--image", "c", "--object", "gland")
    assert (asked.target, asked.force_mpp) == (Path("other.csv"), 0.5)
    assert tuple(asked.images) == ("b", "c")
    assert asked.objects is ObjectChoice.GLAND
    assert run("--out", "here", job).out == Path("here")


def test_absolute_paths_and_underscores_are_taken(run: Any, tmp_path: Path) -> None:
    job = write(tmp_path, f"target = {str(tmp_path / 'a.csv')!r}\nbatch_size = 2\n")
    asked = run(job)
    assert (asked.target, asked.batch_size) == (tmp_path / "a.csv", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'target = "a.csv"\nmmp = 0.25',
            "there is no option 'mmp'; accepted are as, batch-size, clicks-group, cluster,",
        ),
        ('target = "a.csv"\nconfig = "b.toml"', "there is no option 'config'"),
        ('[run]\ntarget = "a.csv"', "there is no option 'run'"),
        ("mpp = 0.25", 'names no target: add target = "project.qpproj"'),
        ("mpp = ", "is no TOML: Invalid value"),
        ('target = "a.csv"\nmpp = "0.25"', "mpp is '0.25'; accepted is a number"),
        ('target = "a.csv"\nmpp = true', "mpp is True; accepted is a number"),
        ('target = "a.csv"\nbatch-size = 1.5', "batch-size is 1.5; accepted is a whole number"),
        ('target = "a.csv"\npreview = 1', "preview is 1; accepted is true or false"),
        ('target = "a.csv"\nout = 5', "out is 5; accepted is a text in quotes"),
        ('target = "a.csv"\nslide = ["a", "b"]', "slide is ['a', 'b']; accepted is a text in quotes"),
        ('target = "a.csv"\nobject = "everything"', "Invalid value for"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_and_wrong_use(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["nuclick-wsi", "run", str(write(tmp_path, text))])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["nuclick-wsi", "run", "nowhere.toml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "nowhere.toml cannot be read: No such file" in capsys.readouterr().err
