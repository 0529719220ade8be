"""Commands that are told to end: what is open is put in order, what was done is kept, and the exit code says why."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import uvicorn
from projects import Image, write_project
from test_run import NUCLEI, clicks

from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.run_lock import FILE_NAME
from nuclick_wsi.server import stopping

RUN = """
import sys, time
from nuclick_wsi.cli import app
from nuclick_wsi.runs.journal import Journal

put, last, seen = Journal.put, int(sys.argv[2]), []

def watched(*given):
    put(*given)
    seen.append(given)
    if len(seen) == last:
        print("computed", flush=True)
        time.sleep(60)

Journal.put = watched
sys.argv = ["nuclick-wsi", "run", sys.argv[1], "--project-access", "files", "--device", "cpu", "--quiet"]
app.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_run_that_is_told_to_end_keeps_what_it_has_done(name: str, tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, str(project), str(len(NUCLEI))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "computed\n"
        child.send_signal(getattr(signal, name))
        told = time.monotonic()
        _, said = child.communicate(timeout=60)
    assert time.monotonic() - told < 20
    assert child.returncode == 128 + getattr(signal, name)
    assert said.strip() == f"Stopped by {name}. What was done is kept."
    folder = project.parent / "nuclick"
    assert not (folder / FILE_NAME).exists()
    with Journal(folder / "journal.sqlite") as journal:
        assert list(journal.kept().values()) == [len(NUCLEI)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_signal_that_nohup_has_ignored_stays_ignored() -> None:
    code = (
        "import signal; from nuclick_wsi.cli.stopping import raise_on_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); raise_on_signals(); signal.raise_signal(signal.SIGHUP)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_signals_that_other_code_in_the_process_has_taken_are_taken_back() -> None:
    """As a Java machine takes them, behind Python's back."""
    code = (
        "import ctypes, signal; from nuclick_wsi.cli.stopping import *\n"
        "raise_on_signals(); ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1)); take_back_signals()\n"
        "try:\n    signal.raise_signal(signal.SIGTERM)\nexcept Stopped as stopped:\n    exit(stopped.exit_code)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 143


def test_a_signal_while_the_event_loop_is_made_ends_the_server_as_one_later_does(monkeypatch) -> None:
    made = []

    def make() -> asyncio.AbstractEventLoop:
        signal.raise_signal(signal.SIGINT)
        made.append(True)  # nothing was raised where a loop is half made
        return asyncio.new_event_loop()

    monkeypatch.setattr(uvicorn.Config, "get_loop_factory", lambda _: make)
    monkeypatch.setattr(stopping, "SECONDS_TO_STOP", 3600)  # it would end this process
    config = uvicorn.Config(lambda scope, receive, send: None, lifespan="off", log_level="error", port=0)
    # The server gives the signal back to whoever had it; a command that ran in this process may have taken it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            stopping.StoppingServer(config, asyncio.Event()).run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert made
