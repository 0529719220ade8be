"""Work that is done ahead of a run by workers, here in this process: the run's results are those of a run alone."""

import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from projects import Image, write_project
from qpdata_writer import Drawn, PathClass, polyline
from test_run import FILES, NUCLEI, clicks, record, results

from nuclick_wsi.cli import run_cluster
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.cluster.path_map import PathMap
from nuclick_wsi.cluster.work import Done, Seen, Unit, work_on
from nuclick_wsi.errors import ClusterError, SlideError


class Here:
    """A pool that works when it is asked for a result, on what came through pickle as it would from a cluster."""

    def __init__(self, work: Callable[[Unit], Done] = work_on, room: int = 2) -> None:
        self.work, self.room = work, room
        self.units: list[Unit] = []
        self.cancelled = 0

    def submit(self, unit: Unit) -> int:
        self.units.append(pickle.loads(pickle.dumps(unit)))
        return len(self.units) - 1

    def next_done(self, handles: Iterable[int]) -> int:
        return max(handles)

    def result(self, handle: int) -> Done:
        return pickle.loads(pickle.dumps(self.work(self.units[handle])))

    def cancel(self, handles: Iterable[int]) -> None:
        self.cancelled += len(list(handles))


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Here], Here]:
    """Put a pool in the place of the cluster that `--cluster` names."""

    def use(pool: Here) -> Here:
        class Connected:
            def __enter__(self) -> Here:
                return pool

            def __exit__(self, *_: object) -> None: ...

        monkeypatch.setattr(run_cluster, "connected", lambda _: Connected())
        return pool

    return use


def request(project: Path, cluster: str | None = "host:1", **options: object) -> RunRequest:
    return replace(RunRequest(project, device="cpu", project_access=FILES, cluster=cluster), **options)


@pytest.mark.parametrize("tta", [False, True])
def test_results_are_those_of_a_run_alone_to_the_bit_and_nothing_is_computed_twice(
    tta: bool, tmp_path: Path, ahead: Callable[[Here], Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nuclick_wsi.cluster.planning._PIXELS", 1)
    monkeypatch.setattr("nuclick_wsi.cluster.planning._CELL", 160)
    drawn = [clicks(*((float(x), float(y)) for x in range(20, 256, 55) for y in range(30, 256, 60)))]
    alone, together = (write_project(tmp_path / name, Image("a.svs", drawn)) for name in ("alone", "together"))
    run_target(request(alone, None, tta=tta))
    pool = ahead(Here())
    assert run_target(request(together, tta=tta)) == 0
    assert len(pool.units) > 3
    assert results(together) == results(alone)
    (image,), (other,) = record(together)["images"], record(alone)["images"]
    assert image["rejections"] == other["rejections"]
    assert image["recalled"] == image["prompts"]["nucleus"] == 20


def test_work_goes_on_with_the_next_images_and_what_is_known_is_not_asked_for_again(
    tmp_path: Path, ahead: Callable[[Here], Here]
) -> None:
    names = ("a.svs", "b.svs", "c.svs")
    project = write_project(tmp_path, *(Image(name, [clicks(*NUCLEI)]) for name in names))
    pool = ahead(Here(room=3))
    run_target(request(project))
    assert [Path(unit.slide).name for unit in pool.units] == list(names)
    run_target(request(project))
    assert len(pool.units) == 3
    run_target(request(project, fresh=True))
    assert len(pool.units) == 6


def test_a_slide_that_workers_cannot_open_costs_its_own_image_alone_and_names_the_worker(
    tmp_path: Path, ahead: Callable[[Here], Here]
) -> None:
    def work(unit: Unit) -> Done:
        return work_on(replace(unit, slide="/not/here.svs") if "a.svs" in unit.slide else unit)

    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]), Image("b.svs", [clicks(*NUCLEI)]))
    ahead(Here(work))
    assert run_target(request(project)) == 1
    failed, done = record(project)["images"]
    assert failed["status"] == "failed"
    assert "on the worker" in failed["error"]
    assert "/not/here.svs" in failed["error"]
    assert done["status"] == "done"


def test_results_of_another_slide_model_or_program_are_not_taken() -> None:
    here = Seen(b"key", "slide", "openslide", "model", "here")
    here.require_same(replace(here, host="there"))
    for other, why in (
        (replace(here, context=b"other", fingerprint="x", host="there"), "slide under that path is another file"),
        (replace(here, context=b"other", model="x", host="there"), "model is another file"),
        (replace(here, context=b"other", host="there"), "another version"),
    ):
        with pytest.raises(ClusterError, match=f"on the worker there, .*{why}"):
            other.require_same(here)


def test_a_run_that_is_stopped_gives_up_its_work_and_keeps_what_was_done(
    tmp_path: Path, ahead: Callable[[Here], Here]
) -> None:
    def work(unit: Unit) -> Done:
        if "a.svs" in unit.slide:
            raise KeyboardInterrupt
        return work_on(unit)

    project = write_project(tmp_path, *(Image(name, [clicks(*NUCLEI)]) for name in ("a.svs", "b.svs", "c.svs")))
    pool = ahead(Here(work, room=2))
    with pytest.raises(KeyboardInterrupt):
        run_target(request(project))
    again = ahead(Here())
    assert run_target(request(project)) == 0
    done = {Path(unit.slide).name for unit in pool.units} - {"a.svs"}
    assert done & {"b.svs", "c.svs"}
    assert {Path(unit.slide).name for unit in again.units} < {"a.svs", "b.svs", "c.svs"}


def test_where_a_slide_cannot_be_read_there_it_is_read_here(
    tmp_path: Path, ahead: Callable[[Here], Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))

    def unreadable(*_: object) -> None:
        raise SlideError("torn")

    def work(unit: Unit) -> Done:
        with monkeypatch.context() as patch:
            patch.setattr("nuclick_wsi.segmentation.prediction.read_window", unreadable)
            return work_on(unit)

    ahead(Here(work))
    assert run_target(request(project)) == 0
    (image,) = record(project)["images"]
    assert (image["recalled"], image["instances"] > 0) == (0, True)


def test_marks_of_ignored_classes_and_lines_of_glands_are_seen_alike(
    tmp_path: Path, ahead: Callable[[Here], Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nuclick_wsi.cluster.planning._PIXELS", 1)

    drawn = [
        clicks(*NUCLEI),
        clicks((150.0, 66.0), path_class=PathClass("Ignore*")),
        Drawn(polyline((20, 40), (60, 120))),
        Drawn(polyline((120, 180), (200, 200))),
    ]
    alone, together = (write_project(tmp_path / name, Image("a.svs", drawn)) for name in ("alone", "together"))
    run_target(request(alone, None))
    ahead(Here())
    run_target(request(together))
    assert results(together) == results(alone)
    (image,) = record(together)["images"]
    assert image["recalled"] == sum(image["prompts"].values())


def test_paths_are_those_of_the_longest_folder_that_holds_a_file(tmp_path: Path) -> None:
    paths = PathMap(((str(tmp_path), "/mnt/all"), (str(tmp_path / "slides"), "S:\\slides")))
    assert paths.on_workers(tmp_path / "slides" / "x" / "a.svs") == "S:\\slides\\x\\a.svs"
    assert paths.on_workers(tmp_path / "models" / "m") == "/mnt/all/models/m"
    assert paths.on_workers(tmp_path.parent / "a.svs") == str(tmp_path.parent / "a.svs")
