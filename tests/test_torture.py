"""The short version of `make torture`: each fault once, on one kind of target, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from in_faulty_system import faulty_calls

TESTS = Path(__file__).parent


@pytest.mark.slow
def test_nothing_is_lost_by_any_fault(tmp_path: Path) -> None:
    if faulty_calls() is None:
        pytest.skip("needs Linux and a C compiler")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, "-m", "torture", "--quick", "--state", str(tmp_path)]
    ended = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("| 0 |\n") > 20
