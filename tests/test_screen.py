"""What commands show: quiet, verbose and for programs, progress where nobody watches, and what is wrong use."""

import io
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from test_cli import nuclick, said

from nuclick_wsi.cli import app as cli
from nuclick_wsi.cli.progress import SECONDS_BETWEEN_LINES, Bars, Lines

SLIDE = np.full((96, 96, 3), 215, np.uint8)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A slide, clicks of which one is outside, and files that are something else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAQUO_QUPATH_DIR", "no such folder")
    Image.fromarray(SLIDE).save("s.png")
    Path("c.csv").write_text("x,y\n40,40\n4000,4\n")
    Path("notes.docx").write_text("hello")
    Path("other.xml").write_text("<a/>")
    Path("bad.qpproj").write_text("{}")
    for folder in ("empty", "labelled/images", "labelled/labels", "project"):
        Path(folder).mkdir(parents=True)
    Path("project/p.qpproj").write_text('{"version": "0.5.1", "images": []}')
    return {"run": "run c.csv --slide s.png --mpp 0.25"}


def ended(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["nuclick-wsi", *arguments.split()])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    "arguments",
    [
        "run .",
        "run empty",
        "run nowhere",
        "run notes.docx",
        "run bad.qpproj",
        "run c.csv",
        "run c.csv --slide nowhere.svs",
        "run c.csv --slide empty",
        "run project --slides nowhere",
        "run project --image nobody",
        "run project --project-access paquo --out elsewhere",
        "{run} --model nope",
        "{run} --model c.csv",
        "{run} --model nuclei --model nuclei",
        "{run} --device tpu",
        "{run} --device cuda:99",
        "{run} --tolerance 5",
        "{run} --threshold 1.5",
        "{run} --smallest 8",
        "{run} --batch-size 0",
        "{run} --object everything",
        "{run} --out c.csv",
        "{run} --quiet --verbose",
        "{run} --fly",
        "run c.csv --slide s.png --mpp 0",
        "convert nowhere.xml o.geojson",
        "convert empty out",
        "convert c.csv o.xml",
        "convert other.xml o.geojson",
        "convert other.xml o.geojson --slide nowhere",
        "evaluate nope labelled --mpp 0.25",
        "evaluate nuclei nowhere",
        "evaluate nuclei labelled",
        "evaluate nuclei labelled --mpp wide",
        "evaluate",
        "train",
        "train fit",
        "train fit nope --data labelled --out o",
        "train fit nuclei --data nowhere --out o",
        "train fit nuclei --data empty --out o",
        "train fine-tune nope --data labelled --out o",
        "train fine-tune nuclei --data nowhere --out o",
        "train compose --data nowhere --out o",
        "weights info nope",
        "weights path nope",
        "weights import nowhere.pth m.safetensors --kind nucleus",
        "weights import c.csv m.safetensors --kind nucleus",
        "asap inspect nowhere.xml",
        "asap inspect c.csv",
        "asap inspect other.xml --slide nowhere",
        "dataset info nowhere",
        "dataset info labelled",
        "dataset show nowhere --to a.png",
        "dataset extract nowhere --to a.zarr --kind nucleus",
        "dataset extract empty --to a.zarr --kind nucleus",
        "dataset extract labelled --to a.zarr",
        "dataset extract labelled --to a.zarr --model nope",
        "serve --port 99999",
        "serve --device tpu --port 0",
        "serve --model nope --port 0",
        "serve --allow nowhere --port 0",
        "demo s.png",
        "qupath install --user-dir nowhere",
        "qupath install --qupath nowhere",
        "qupath status --user-dir nowhere",
        "fly",
    ],
)
def test_wrong_use_ends_with_2_in_every_command_and_leaves_nothing_behind(
    arguments: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    assert ended(arguments.format(**places), monkeypatch) == 2
    told = capsys.readouterr()
    assert told.err.strip() or "Usage" in told.out
    assert "Traceback" not in told.err
    assert sorted(Path().rglob("*")) == before


def test_quiet_prints_nothing_but_what_goes_wrong(places: dict[str, str]) -> None:
    ran = nuclick(*places["run"].split(), "--quiet")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    Path("far.csv").write_text("x,y\n9000,9000\n")
    failed = nuclick("run", "far.csv", "--slide", "s.png", "--mpp", "0.25", "-q")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "far.csv: None of its 1 prompts is on the slide" in failed.stderr


def test_verbose_prints_models_how_slides_were_read_and_every_rejection(places: dict[str, str]) -> None:
    Path("c.csv").write_text("x,y\n40,40\n" + "".join(f"{4000 + n},4\n" for n in range(5)))
    told = said(nuclick(*places["run"].split(), "--verbose"))
    assert "Model for a nucleus: nuclei" in told
    assert "read by image, 0.2500 x 0.2500 um per pixel" in told
    for n in range(5):
        assert f"it is at ({4000 + n}.00, 4.00)" in told


def test_json_of_a_run_is_its_record_and_alone_on_the_standard_output(places: dict[str, str]) -> None:
    ran = nuclick(*places["run"].split(), "--json")
    told = json.loads(ran.stdout)
    assert told["images"][0]["instances"] + len(told["images"][0]["rejections"]) == 2
    assert told == json.loads(Path(told["record"]).read_text(encoding="utf-8"))
    Path("empty.csv").write_text("x,y\n")
    nothing = json.loads(nuclick("run", "empty.csv", "--slide", "s.png", "--json").stdout)
    assert [image["status"] for image in nothing["images"]] == ["no prompts"]


@pytest.mark.parametrize(
    ("arguments", "entry"),
    [
        ("doctor --json", "health"),
        ("weights list --json", "is_default"),
        ("weights info nuclei --json", "threshold"),
        ("asap inspect a.xml --json", "annotations"),
        ("qupath status --user-dir project --json", "status"),
    ],
)
def test_what_a_program_would_read_comes_as_json(
    arguments: str,
    entry: str,
    places: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    Path("a.xml").write_text("<ASAP_Annotations><Annotations/><AnnotationGroups/></ASAP_Annotations>")
    assert ended(arguments, monkeypatch) == 0
    told = json.loads(capfdbinary.readouterr().out)
    first = told[0] if isinstance(told, list) else told
    assert entry in first


def documented(command: str, after: str = "**`") -> set[str]:
    """Return the fields that the documentation names for the JSON of a command."""
    text = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = text[text.index(f"**`{command}`**") + len(command) + 6 :].split(after)[0]
    rows = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", " ".join(rows) if rows else section))


def test_every_field_of_a_runs_json_is_documented_also_of_a_dry_run(places: dict[str, str]) -> None:
    fields = documented("run --json", "**`status")
    Path("c.csv").write_text("x,y\n40,40\n9000,9000\n")
    for more in ("--dry-run", "--preview"):
        told = json.loads(nuclick(*places["run"].split(), more, "--json").stdout)
        assert told.keys() | told["images"][0].keys() <= fields
        assert told["images"][0]["rejections"][0].keys() <= {"prompt", "reason", "detail", "kind", "class", "position"}


def test_every_field_of_other_json_is_documented(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def told(arguments: str) -> Any:
        assert ended(arguments, monkeypatch) == 0
        return json.loads(capfdbinary.readouterr().out)

    assert told("doctor --json")[0].keys() == {"what", "health", "seen", "advice"} <= documented("doctor --json")
    assert {"name", "kind", "file", "is_default", "terms", "mpp"} <= told("weights list --json")[0].keys()
    assert documented("weights list --json") - told("weights list --json")[0].keys() <= {"nucleus", "cell", "gland"}
    dot = '<Annotation Name="a" Type="Dot" PartOfGroup="None" Color="#F4FA58"><Coordinates>'
    dot += '<Coordinate Order="0" X="4" Y="4" /></Coordinates></Annotation>'
    Path("a.xml").write_text(
        f"<ASAP_Annotations><Annotations>{dot}</Annotations><AnnotationGroups/></ASAP_Annotations>"
    )
    seen = told("asap inspect a.xml --json")
    assert seen.keys() | seen["annotations"][0].keys() == documented("asap inspect --json")


def test_progress_is_a_line_now_and_then_where_the_output_is_piped(places: dict[str, str]) -> None:
    ran = nuclick(*places["run"].split())
    assert ran.stderr.splitlines() == ["image 1 of 1, c.csv: 2 prompts"]


def test_lines_of_progress_are_not_closer_than_they_should_be_and_say_how_long_it_takes() -> None:
    lines: list[str] = []
    now = [0.0]
    watcher = Lines(2, lines.append, lambda: now[0])
    with watcher:
        watcher.image_started("a.svs", 1000)
        for _ in range(100):
            now[0] += SECONDS_BETWEEN_LINES / 4
            watcher.prompts_done(5)
        watcher.image_ended(None)
    assert len(lines) == 26
    assert lines[0] == "image 1 of 2, a.svs: 1000 prompts"
    assert lines[1] == "image 1 of 2, a.svs: 20 of 1000 prompts, 2 per second, about 8 min left in this image"


def test_the_time_that_is_left_is_that_of_the_speed_now() -> None:
    lines: list[str] = []
    now = [0.0]
    with Lines(1, lines.append, lambda: now[0]) as watcher:
        watcher.image_started("a.svs", 1000)
        watcher.prompts_done(900)  # rejected as soon as they were read
        for _ in range(3):
            now[0] += SECONDS_BETWEEN_LINES
            watcher.prompts_done(10)
    assert lines[-1] == "image 1 of 1, a.svs: 930 of 1000 prompts, 1 per second, about 70 s left in this image"


def test_the_first_prompt_of_an_image_says_nothing_of_the_time_that_is_left() -> None:
    lines: list[str] = []
    now = [0.0]
    with Lines(2, lines.append, lambda: now[0]) as watcher:
        watcher.image_started("a.svs", 10)
        now[0] += SECONDS_BETWEEN_LINES
        watcher.image_started("b.svs", 480)
        now[0] += SECONDS_BETWEEN_LINES / 2
        watcher.prompts_done(1)
        watcher.image_started("c.svs", 480)
        now[0] += SECONDS_BETWEEN_LINES / 2
        watcher.prompts_done(1)
    assert lines[-1] == "image 1 of 2, c.svs: 1 of 480 prompts"


def test_what_comes_after_the_network_is_told_too() -> None:
    lines: list[str] = []
    now = [0.0]
    with Lines(2, lines.append, lambda: now[0]) as watcher:
        watcher.image_started("a.svs", 1000)
        for done in range(0, 1000, 100):
            now[0] += SECONDS_BETWEEN_LINES / 4
            watcher.step_done("overlaps, round 3", done, 900)
    assert lines[1:] == [f"image 1 of 2, a.svs: overlaps, round 3, {done} of 900" for done in (300, 700)]


def test_bars_show_what_comes_after_the_network_until_prompts_go_on_or_the_image_ends() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)

    def shown() -> str:
        with console.capture() as capture:
            console.print(watcher._progress)
        return capture.get()

    watcher = Bars(console, 2)
    watcher.image_started("a.svs", 1000)
    watcher.step_done("overlaps, round 3", 250, 900)
    watcher.step_done("overlaps, round 4", 30, 800)
    assert "overlaps, round 4" in shown()
    assert "30/800" in shown()
    assert "overlaps, round 3" not in shown()
    watcher.prompts_done(5)
    assert "overlaps" not in shown()
    watcher.step_done("outlines gone through", 1, 2)
    watcher.image_ended(None)
    assert "outlines" not in shown()


def test_the_version_is_that_of_the_package() -> None:
    assert nuclick("--version").stdout == f"nuclick-wsi {version('nuclick-wsi')}\n"
    assert nuclick("--help").returncode == 0


def test_a_shell_completes_commands_and_options() -> None:
    script = "from nuclick_wsi.cli.app import app; app(prog_name='nuclick-wsi')"
    environment = {
        **os.environ,
        "_NUCLICK_WSI_COMPLETE": "complete_bash",
        "COMP_WORDS": "nuclick-wsi run --prev",
        "COMP_CWORD": "2",
    }
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["--preview"]
