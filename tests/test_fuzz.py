"""Some thousand of the inputs of `make fuzz`, and that its harness sees what it is there to see."""

import itertools
import mmap
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from fuzz.campaign import Campaign
from fuzz.seen import Seen
from fuzz.target import Target, numbered
from fuzz.targets import TARGETS
from fuzz.watch import ForbiddenError, Guard, limited_time
from fuzz.work import Worker

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")


SLOW = {"slide": 50, "model": 50, "packed geojson": 30, "http": 30, "foreign": 40}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_inputs_are_read_or_refused_by_an_error_of_our_own(name: str, tmp_path: Path) -> None:
    faults: list[str] = []
    count = SLOW.get(name, 300)
    with mmap.mmap(-1, 4096) as shared:
        Worker(name, TARGETS[name], shared, tmp_path).work(0, count, say=faults.append)
        seen = Seen.unpacked(shared[:])
    assert faults == []
    assert seen.inputs == count
    assert seen.accepted > 0


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_an_input_is_the_same_whenever_it_is_made(name: str) -> None:
    first, again, other = (TARGETS[name].make(numbered(name, number)) for number in (7, 7, 8))
    assert first == again != other


def test_an_input_that_takes_long_is_stopped() -> None:
    with pytest.raises(ForbiddenError, match="more than"), limited_time(0.2):
        all(True for _ in itertools.repeat(1))


def test_programs_that_are_started_and_files_written_elsewhere_are_seen(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    guard = Guard(tmp_path / "inside")
    guard.is_on = True
    (tmp_path / "inside" / "a").write_bytes(b"")
    assert guard.taken() is None
    (tmp_path / "outside").write_bytes(b"")
    assert "writes" in (guard.taken() or "")
    subprocess.run([sys.executable, "-V"], check=True, capture_output=True)
    assert "Popen" in (guard.taken() or "")
    guard.is_on = False


def _first(random: Random) -> bytes:
    return str(random.random()).encode()


def _ends_badly(data: bytes, _: Path) -> None:
    if data == _first(numbered("table", 6)):
        os.abort()
    if data == _first(numbered("table", 8)):
        raise KeyError(data)


ENDS_BADLY = Target(_first, _ends_badly)


@pytest.mark.slow
def test_an_input_that_ends_the_process_is_known_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "one.py"
    script.write_text(
        "import sys, test_fuzz, fuzz.work\n"
        "fuzz.work.TARGETS['table'] = test_fuzz.ENDS_BADLY\n"
        "fuzz.work.main(*sys.argv[1:])\n"
    )
    monkeypatch.setenv("PYTHONPATH", PATH)
    campaign = Campaign(tmp_path, ["table"], [sys.executable, str(script)])
    campaign.run(12, 1)
    assert campaign.faults == 2
    assert (tmp_path / "faults" / "table 6.txt").read_text().startswith("the process ended with -6")
    assert "KeyError" in (tmp_path / "faults" / "table 8.txt").read_text()
    again = Campaign(tmp_path, ["table"], ["nothing"])
    again.run(12, 1)  # all of them have been read
    assert again.table() == campaign.table()
