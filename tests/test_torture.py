"""The short version of `make torture`: each fault once, on two kinds of target, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from in_faulty_system import faulty_calls

TESTS = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("target", ["QuPath files", "paquo"])
def test_nothing_is_lost_by_any_fault(target: str, tmp_path: Path) -> None:
    if faulty_calls() is None:
        pytest.skip("needs Linux and a C compiler")
    if target == "paquo" and not os.environ.get("PAQUO_QUPATH_DIR"):
        pytest.skip("needs a QuPath installation, named by PAQUO_QUPATH_DIR")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, "-m", "torture", "--quick", "--on", target, "--state", str(tmp_path)]
    ended = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("| 0 |\n") > 20
