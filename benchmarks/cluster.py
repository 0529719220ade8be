"""What a run on a cluster costs: processor time here and on workers, bytes sent, and how much two workers gain.

The first part works without a cluster, one step after the other, and measures processor time: other programs on the
machine hardly change it. The second starts one and then two processes here and compares seconds of the clock, which
mean something on a quiet machine with two free cores alone: `python -m benchmarks.cluster --clock`. What dask itself
costs, `--messages` prints.
"""

import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.cli.screen import Screen
from nuclick_wsi.cluster.ahead import Ahead
from nuclick_wsi.cluster.work import Done, Setup, Unit, work_on
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.prompt_file_jobs import PromptFile
from nuclick_wsi.runs.run import Options, run
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.slide import Frame

TILES = 4
CLICKS = 2000
PIXEL_SIZE = nw.PixelSize(0.25, 0.25)
TWICE = 2
UNITS, PROMPTS = 1000, 250


class Measured:
    """Does the work of a cluster in this process, and measures it apart from the rest."""

    room = 4

    def __init__(self) -> None:
        self.worked = 0.0
        self.sent: list[int] = []
        self.received: list[int] = []
        self._units: list[Unit] = []

    def submit(self, unit: Unit) -> int:
        message = pickle.dumps(unit)
        self.sent.append(len(message))
        self._units.append(pickle.loads(message))
        return len(self._units) - 1

    def next_done(self, handles: Iterable[int]) -> int:
        return min(handles)

    def result(self, handle: int) -> Done:
        begun = time.process_time()
        message = pickle.dumps(work_on(self._units[handle]))
        self.worked += time.process_time() - begun
        self.received.append(len(message))
        done: Done = pickle.loads(message)
        return done

    def cancel(self, handles: Iterable[int]) -> None:
        assert not list(handles)


class Silent:
    """A watcher that says nothing."""

    def image_started(self, name: str, prompts: int) -> None: ...

    def prompts_done(self, count: int) -> None: ...

    def step_done(self, what: str, done: int, total: int) -> None: ...

    def image_ended(self, report: object) -> None: ...


def write_inputs(folder: Path) -> Path:
    """Write a slide of made tissue and a table of clicks spread at random; return the table."""
    tissue = np.tile(immunohistochemistry(), (TILES, TILES, 1))
    write_pyramid(folder / "tissue.svs", tissue, PIXEL_SIZE)
    places = np.random.default_rng(0).uniform(0, tissue.shape[0], (CLICKS, 2))
    lines = "\n".join(f"{x:.2f},{y:.2f}" for x, y in places)
    (folder / "tissue.csv").write_text(f"x,y\n{lines}\n")
    return folder / "tissue.csv"


def parts(table: Path) -> None:
    """Print what each part of a run costs."""
    registry = nw.ModelRegistry(device="cpu", threads=1)
    registry.segmenter(nw.ObjectKind.NUCLEUS)
    work_on_one = warmed(table)
    pool, out = Measured(), table.parent / "parts"
    with Journal(out / "journal.sqlite") as journal:
        setup = Setup(device="cpu")
        ahead = Ahead(pool, setup, registry, None, journal, Silent(), str)
        begun = time.process_time()
        jobs = list(ahead.of(PromptFile(table, out).jobs()))
        planned = time.process_time() - begun - pool.worked
        begun = time.process_time()
        report = run(jobs, registry, Options(out), Silent(), journal)
        written = time.process_time() - begun
    assert report.images[0].recalled == CLICKS
    size = (out / "journal.sqlite").stat().st_size
    print(f"{CLICKS} clicks in {len(pool.sent)} units, one core each; to load models takes {work_on_one:.1f} s")
    print(f"on workers: read, network, masks   {1000 * pool.worked / CLICKS:8.2f} ms of processor time per click")
    print(f"here: units, messages, journal     {1000 * planned / CLICKS:8.2f}")
    print(f"here: overlaps, outlines, files    {1000 * written / CLICKS:8.2f}")
    print(f"workers that one core here feeds   {pool.worked / (planned + written):8.1f}")
    print(f"sent to workers                    {sum(pool.sent) / CLICKS:8.0f} bytes per click")
    print(f"received from them                 {sum(pool.received) / CLICKS:8.0f}")
    print(f"journal                            {size / CLICKS:8.0f}")


def warmed(table: Path) -> float:
    """Load the models that `work_on` keeps, which is no part of a click; return how long that took."""
    click = nw.Prompt("warm", nw.ObjectKind.NUCLEUS, nw.Click(nw.Point(9, 9)))
    slide = str(table.with_suffix(".svs"))
    begun = time.process_time()
    work_on(Unit(Setup(device="cpu"), slide, Frame.BOUNDS, PIXEL_SIZE, click.kind, (click,), (0,)))
    return time.process_time() - begun


def clock(table: Path) -> None:
    """Print how much faster two processes are than one, their start included."""
    seconds = {count: timed(lambda count=count: on_cluster(table, count)) for count in (1, TWICE)}  # type: ignore[misc]
    print(
        f"one process {seconds[1]:.1f} s, two {seconds[TWICE]:.1f} s: {seconds[1] / seconds[TWICE]:.2f} times as fast"
    )


def messages(_: Path) -> None:
    """Print what dask itself costs here, where scheduler and client are one process: units that are not worked on."""
    from distributed import Client, LocalCluster

    one = (nw.Prompt("one", nw.ObjectKind.NUCLEUS, nw.Click(nw.Point(9, 9))),) * PROMPTS
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(len, [one] * 10, pure=False))
        begun = time.process_time()
        client.gather([client.submit(len, one, pure=False) for _ in range(UNITS)])
        taken = time.process_time() - begun
    print(f"scheduler and client: {1000 * taken / UNITS:.1f} ms for a unit of {PROMPTS} prompts")


def timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def on_cluster(table: Path, count: int) -> None:
    asked = RunRequest(table, device="cpu", out=table.parent / f"local {count}", cluster=f"local:{count}")
    assert run_target(asked, Screen(quiet=True)) == 0


OTHERS = {"--clock": clock, "--messages": messages}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = write_inputs(Path(folder))
        chosen = [work for name, work in OTHERS.items() if name in sys.argv] or [parts]
        for work in chosen:
            work(table)


if __name__ == "__main__":
    main()
