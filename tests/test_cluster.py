"""A cluster of dask as a user has it: a real scheduler, real workers, and what becomes of a worker that dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from projects import Image, write_project
from test_run import FILES, NUCLEI, clicks, record, results

from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.cluster.connect import ClusterPlan
from nuclick_wsi.errors import ClusterError, SettingsError

distributed = pytest.importorskip("distributed", reason='needs pip install "nuclick-wsi[cluster]"')

NAMES = ("a.svs", "b.svs", "c.svs", "d.svs")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The results of a run on this machine alone."""
    project = write(tmp_path_factory.mktemp("alone"))
    run_target(RunRequest(project, device="cpu", project_access=FILES))
    return results(project)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler in a process of its own."""
    file = tmp_path / "scheduler.json"
    arguments = ("--scheduler-file", str(file), "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
    process = dask("scheduler", *arguments)
    try:
        yield address_in(file)
    finally:
        end(process)


def write(folder: Path) -> Path:
    return write_project(folder, *(Image(name, [clicks(*NUCLEI)]) for name in NAMES))


def dask(what: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **quiet)


def worker(address: str) -> subprocess.Popen[bytes]:
    return dask("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def address_in(file: Path) -> str:
    import json  # noqa: PLC0415

    for _ in range(600):
        if file.exists() and file.stat().st_size:
            return json.loads(file.read_text())["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")


def test_processes_here_give_the_results_of_a_run_alone(tmp_path: Path, alone: dict) -> None:
    project = write(tmp_path)
    assert run_target(RunRequest(project, device="cpu", project_access=FILES, cluster="local:1")) == 0
    assert results(project) == alone
    assert all(image["recalled"] == len(NUCLEI) for image in record(project)["images"])


def test_the_work_of_a_worker_that_dies_is_done_by_another_and_workers_have_slides_under_another_path(
    tmp_path: Path, scheduler: str, alone: dict
) -> None:
    project = write(tmp_path / "project")
    # What the workers are told to open is not where the project's slides are.
    (project.parent / "slides").rename(tmp_path / "mounted there")
    (tmp_path / "mounted here").symlink_to(tmp_path / "mounted there")
    cluster = tmp_path / "cluster.toml"
    paths = f'[paths]\n"{tmp_path / "mounted here"}" = "{tmp_path / "mounted there"}"\n'
    cluster.write_text(f'address = "{scheduler}"\n{paths}')
    first, second = worker(scheduler), None

    def kill_at_work() -> None:
        nonlocal second
        with distributed.Client(scheduler) as client:
            while not any(client.processing().values()):
                time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        second = worker(scheduler)

    killer = threading.Thread(target=kill_at_work)
    killer.start()
    try:
        asked = RunRequest(project, device="cpu", project_access=FILES, cluster=str(cluster))
        assert run_target(replace(asked, slides=tmp_path / "mounted here")) == 0
    finally:
        killer.join()
        end(first)
        if second is not None:
            end(second)
    assert results(project) == alone
    assert all(image["recalled"] == len(NUCLEI) for image in record(project)["images"])


@pytest.mark.slow  # dask tries for half a minute to find it again
def test_where_the_scheduler_ends_images_fail_by_name_and_the_run_ends(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    arguments = ("--scheduler-file", str(file), "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
    process = dask("scheduler", *arguments)
    project, address = write(tmp_path / "project"), address_in(file)
    killer = threading.Timer(5, process.kill)
    killer.start()
    asked = RunRequest(project, device="cpu", project_access=FILES, cluster=address)
    assert run_target(asked) == 1
    killer.join()
    process.wait()
    assert all("scheduler was lost" in image["error"] for image in record(project)["images"])


def test_a_scheduler_that_is_not_there_is_named_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nuclick_wsi.cluster.connect._SECONDS", 1)
    project = write(tmp_path)
    with pytest.raises(ClusterError, match=r"The cluster tcp://127.0.0.1:9 cannot be used"):
        run_target(RunRequest(project, device="cpu", project_access=FILES, cluster="tcp://127.0.0.1:9"))
    assert not (tmp_path / "nuclick" / "runs").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "does not say which cluster"),
        ('address = "a:1"\n[slurm]\n', "does not say which cluster, or says several"),
        ("[slrum]\n", "has slrum"),
        ("jobs = 0\n[slurm]\n", "jobs is a number of 1 or more"),
        ('address = "a:1"\npaths = 3\n', "paths is a table"),
        ("address = 3\n", "address is a text"),
        ("= 3\n", "is no TOML"),
    ],
)
def test_a_description_of_a_cluster_that_is_none_says_why(content: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text(content)
    with pytest.raises(SettingsError, match=why):
        ClusterPlan.of(str(tmp_path / "cluster.toml"))


@pytest.mark.parametrize("text", ["local:", "local:0", "local:two", "somewhere"])
def test_what_names_no_cluster_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--cluster"):
        ClusterPlan.of(text)


@pytest.mark.skipif(os.name == "nt", reason="the commands of SLURM are a script of the shell here")
def test_jobs_of_slurm_are_started_by_its_commands(
    tmp_path: Path, alone: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands are stand-ins that run a job script on this machine, and end it."""
    pytest.importorskip("dask_jobqueue", reason='needs pip install "nuclick-wsi[cluster]"')
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "sbatch").write_text(
        f'#!/bin/sh\ncp "$1" "{tmp_path}/job.sh"\nsetsid sh "{tmp_path}/job.sh" > "{tmp_path}/job.log" 2>&1 &\n'
        'echo "Submitted batch job $!"\n'
    )
    (commands / "scancel").write_text('#!/bin/sh\nkill -- "-$1"\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    cluster = tmp_path / "slurm.toml"
    cluster.write_text(
        f'jobs = 1\n[slurm]\ncores = 1\nmemory = "2GB"\nqueue = "gpu"\nwalltime = "00:10:00"\n'
        f'interface = "lo"\nlocal_directory = "{tmp_path}"\nlog_directory = "{tmp_path}"\n'
    )
    project = write(tmp_path / "project")
    assert run_target(RunRequest(project, device="cpu", project_access=FILES, cluster=str(cluster))) == 0
    assert "#SBATCH -p gpu" in (tmp_path / "job.sh").read_text()
    assert results(project) == alone
    assert all(image["recalled"] == len(NUCLEI) for image in record(project)["images"])
