"""Processes whose system calls fail on demand: `faulty_calls.c`, compiled once, before the C library."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest


def faulty_system(folder: Path) -> dict[str, str]:
    """Return the environment of a process in which calls on files below a folder may fail; skips where none can."""
    library = faulty_calls()
    if library is None:
        pytest.skip("needs Linux and a C compiler")
    return {**os.environ, "LD_PRELOAD": str(library), "FAULT_UNDER": str(folder)}


@cache
def faulty_calls() -> Path | None:
    """Return the compiled library; None where it cannot be made."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        return None
    library = Path(tempfile.mkdtemp(prefix="nuclick-faults-")) / "faulty_calls.so"
    source = Path(__file__).with_name("faulty_calls.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
