"""The benchmarks are found by name, say what they are, and compare a run with the one that is kept."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_every_benchmark_with_what_it_is() -> None:
    done = benchmarks("--help")
    assert done.returncode == 0
    for path in (ROOT / "benchmarks").glob("*.py"):
        first = path.read_text(encoding="utf-8").removeprefix('"""').splitlines()[0]
        assert path.stem.startswith("_") or f"{path.stem:16}{first}".rstrip('"') in done.stdout


@pytest.mark.parametrize("names", [["fly"], ["engine", "fly"]])
def test_a_name_that_is_none_is_refused_with_those_that_are(names) -> None:
    done = benchmarks(*names)
    assert done.returncode == 2
    assert "no benchmark fly; there are" in done.stderr
    assert "table" in done.stderr


def test_what_follows_a_name_is_for_the_benchmark_itself() -> None:
    done = benchmarks("paper", "--table", "11")
    assert done.returncode == 2
    assert "python -m benchmarks paper" in done.stderr
    assert "argument --table: invalid choice: 11" in done.stderr


def test_a_run_finds_its_figures_again_in_the_one_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    _record = import_module("benchmarks._record")
    monkeypatch.setattr(_record, "KEPT", tmp_path / "kept.json")
    assert _record.kept_ratios() == {}
    rows = [_record.Row("cores", "all 2, quiet", 4.2, 1.9, "one"), _record.Row("clicks", "spread", 8.1, 1.0, "spread")]
    _record.write(rows, tmp_path / "kept.json")
    assert _record.kept_ratios() == {"cores: all 2, quiet": 1.9, "clicks: spread": 1.0}
