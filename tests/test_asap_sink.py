"""Results in ASAP's own file: in groups of ours, replaced by the next run, and nothing of the user's ever touched."""

import os
import random
import stat
import threading
import time
import tracemalloc
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import shapely
from asap_files import Asap, annotation, dots, group, write_asap
from shapely import MultiPolygon, Polygon

from asap_bridge import sink as sink_module
from asap_bridge.document import Edit, read_document
from asap_bridge.jobs import AsapChoice, asap_jobs
from asap_bridge.names import ResultName
from asap_bridge.sink import AsapSink
from nuclick_wsi.errors import ResultError
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.jobs import ModelUsed, Results
from nuclick_wsi.shared_files import Stamp

FIRST, SECOND = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
IDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(9)]
SQUARE = shapely.box(10, 10, 30, 30)
RING = Polygon(SQUARE.exterior, [shapely.box(15, 15, 20, 20).exterior])
MODEL = ModelUsed(ObjectKind.NUCLEUS, "nuclei", "ab" * 32, Path("nuclei.safetensors"))


def instance(number: int, polygon: Polygon | MultiPolygon = SQUARE, class_name: str | None = "Tumor") -> Instance:
    return Instance(IDS[number], ObjectKind.NUCLEUS, polygon, class_name, Plane(), 1.0, 0.9)


def results(*instances: Instance, **settings: object) -> Results:
    return Results(instances, {"Tumor": (200, 0, 0)}, [MODEL], {"device": "cpu", "reader": "auto", **settings})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    drawn = [*dots((12, 12), group="Tumor"), annotation("Polygon", [(0, 0), (9, 0), (9, 9)], "mine")]
    return write_asap(tmp_path / "slide.xml", drawn, [group("Tumor", "#c80000")])


def names(path: Path, group: str) -> list[str]:
    return [one.name for one in read_document(path).annotations if one.group == group]


def write(path: Path, *instances: Instance, now: datetime = FIRST, **settings: object) -> bytes:
    AsapSink(path, lambda: now).write(results(*instances, **settings))
    return path.read_bytes()


def by_asap(path: Path, change: Callable[[Asap], None] = lambda _: None) -> None:
    """Open the file in ASAP, change something, save."""
    opened = Asap(path)
    change(opened)
    opened.save(path)


def ours(opened: Asap) -> list[dict]:
    return [one for one in opened.annotations if ResultName.parse(one["Name"])]


def test_results_are_in_groups_of_ours_with_their_holes_in_sub_groups(file: Path) -> None:
    two = MultiPolygon([RING, shapely.box(40, 40, 50, 50)])
    write(file, instance(0, two), instance(1, class_name=None))
    opened = Asap(file)
    assert [(one["Name"], one["PartOfGroup"]) for one in opened.groups] == [
        ("Tumor", "None"),
        ("NuClick", "None"),
        ("NuClick: Tumor", "None"),
        ("NuClick holes: Tumor", "NuClick: Tumor"),
    ]
    attributes = opened.groups[2]["attributes"]
    assert attributes == {
        "model": "nuclei",
        "hash": "ab" * 32,
        "settings": '{"reader":"auto"}',
        "date": "2026-01-02T03:04:05+00:00",
    }
    assert opened.groups[2]["Color"] == "#c80000"
    parsed = [(ResultName.parse(one["Name"]), one["PartOfGroup"], one["Type"]) for one in ours(opened)]
    assert [(name.prompt_id, name.part, name.ring, place, kind) for name, place, kind in parsed] == [
        (IDS[0], 1, 0, "NuClick: Tumor", "Polygon"),
        (IDS[0], 1, 1, "NuClick holes: Tumor", "Polygon"),
        (IDS[0], 2, 0, "NuClick: Tumor", "Polygon"),
        (IDS[1], 1, 0, "NuClick", "Polygon"),
    ]
    assert Polygon(ours(opened)[0]["places"]).equals(SQUARE)


def test_what_the_user_drew_stays_byte_for_byte(file: Path) -> None:
    before = file.read_bytes()
    after = write(file, instance(0, RING))
    lines = iter(after.splitlines())
    assert all(line in lines for line in before.splitlines())
    AsapSink(file).clear()
    assert file.read_bytes() == before


@pytest.mark.parametrize("saved", [False, True], ids=["as written", "saved by ASAP"])
def test_the_same_results_change_nothing(file: Path, saved: bool) -> None:
    write(file, instance(0, RING), instance(1, class_name=None))
    if saved:
        by_asap(file)
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    after = write(file, instance(1, class_name=None), instance(0, RING), now=SECOND, device="cuda", batch_size=3)
    assert (after, file.stat().st_mtime_ns) == before


def test_a_run_replaces_only_what_differs(file: Path) -> None:
    write(file, instance(0), instance(1, class_name="Stroma"), instance(2))
    kept = names(file, "NuClick: Tumor")[1]
    write(file, instance(0, RING), instance(1, class_name="Stroma"), instance(2), now=SECOND)
    opened = Asap(file)
    dates = {one["Name"]: one["attributes"].get("date", "")[:4] for one in opened.groups}
    assert dates["NuClick: Tumor"] == "2027"
    assert dates["NuClick: Stroma"] == "2026"
    assert kept in names(file, "NuClick: Tumor")
    assert len(names(file, "NuClick: Tumor")) == 2
    assert len(names(file, "NuClick holes: Tumor")) == 1
    write(file, instance(2))
    assert [one["Name"] for one in Asap(file).groups] == ["Tumor", "NuClick: Tumor"]


def test_another_model_is_noted_even_where_all_outlines_are_the_same(file: Path) -> None:
    write(file, instance(0))
    other = ModelUsed(ObjectKind.NUCLEUS, "other", "cd" * 32, Path("other.safetensors"))
    AsapSink(file, lambda: SECOND).write(Results([instance(0)], {}, [other], {}))
    assert Asap(file).groups[1]["attributes"]["model"] == "other"
    assert Asap(file).groups[1]["Color"] == "#c80000"


def test_an_outline_that_the_user_has_changed_is_the_users(file: Path) -> None:
    write(file, instance(0, RING), instance(1))
    by_asap(file, lambda opened: ours(opened)[0]["places"].__setitem__(0, (11.0, 9.5)))
    write(file, instance(0), instance(1), now=SECOND)
    opened = Asap(file)
    assert [ResultName.parse(one["Name"]).prompt_id for one in ours(opened)] == [IDS[0], IDS[0], IDS[1]]
    assert ours(opened)[0]["places"][0] == (11.0, 9.5)
    AsapSink(file).clear()
    assert [ResultName.parse(one["Name"]).prompt_id for one in ours(Asap(file))] == [IDS[0], IDS[0]]


def test_an_outline_that_the_user_has_moved_to_another_group_is_the_users(file: Path) -> None:
    write(file, instance(0), instance(1))
    by_asap(file, lambda opened: ours(opened)[0].update(PartOfGroup="Tumor"))
    before = file.read_bytes()
    assert write(file, instance(0), instance(1), now=SECOND) == before
    assert len(ours(Asap(file))) == 2
    AsapSink(file).clear()
    assert [one["PartOfGroup"] for one in ours(Asap(file))] == ["Tumor"]


def test_outlines_that_go_with_their_prompts_are_kept_in_a_copy_and_that_is_told(file: Path) -> None:
    written = write(file, instance(0))
    told = AsapSink(file).clear()
    copy = file.with_name(f"{file.name}.backup2")  # the first is that of the first write
    assert copy.read_bytes() == written
    assert "outlines of earlier runs were taken out of" in told[0]
    assert copy.name in told[1]
    assert AsapSink(file).clear() == ()


def test_what_the_user_drew_in_a_group_of_ours_stays_with_the_group(file: Path) -> None:
    write(file, instance(0))
    by_asap(
        file,
        lambda opened: opened.annotations.append(
            {"Name": "Annotation 7", "Type": "Dot", "PartOfGroup": "NuClick: Tumor", "places": [(1.0, 2.0)]}
        ),
    )
    AsapSink(file).clear()
    assert names(file, "NuClick: Tumor") == ["Annotation 7"]
    assert [one["Name"] for one in Asap(file).groups] == ["Tumor", "NuClick: Tumor"]


def test_a_copy_of_a_result_is_taken_away_and_its_colours_are_left(file: Path) -> None:
    first = write(file, instance(0))
    by_asap(file, lambda opened: opened.annotations.append(dict(ours(opened)[0])))
    write(file, instance(0))
    assert len(ours(Asap(file))) == 1
    recolored = first.replace(b"#c80000", b"#00c800")
    file.write_bytes(recolored)
    assert write(file, instance(0), now=SECOND) == recolored


def test_a_sub_group_of_the_users_keeps_ours_alive(file: Path) -> None:
    write(file, instance(0))
    by_asap(
        file,
        lambda opened: opened.groups.append(
            {"Name": "checked", "PartOfGroup": "NuClick: Tumor", "Color": "#ffffff", "attributes": {}}
        ),
    )
    AsapSink(file).clear()
    assert [one["Name"] for one in Asap(file).groups] == ["Tumor", "NuClick: Tumor", "checked"]


def test_the_file_is_backed_up_once_before_the_first_change(file: Path) -> None:
    before = file.read_bytes()
    AsapSink(file).clear()
    assert [path.name for path in file.parent.iterdir()] == ["slide.xml"]
    write(file, instance(0))
    write(file, instance(1))
    assert sorted(path.name for path in file.parent.iterdir()) == ["slide.xml", "slide.xml.backup"]
    assert (file.parent / "slide.xml.backup").read_bytes() == before


@pytest.mark.parametrize("step", ["back_up", "write_if_unchanged"])
def test_a_run_that_is_killed_loses_nothing_and_the_next_one_finishes(
    file: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sink_module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            write(file, instance(0))
    assert file.read_bytes() == before
    write(file, instance(0))
    assert len(ours(Asap(file))) == 1
    assert (file.parent / "slide.xml.backup").read_bytes() == before


class Made(Collection[Instance]):
    """Instances that are made when they are gone through, as those of a run come from a file."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __contains__(self, one: object) -> bool:
        return one in list(self)

    def __iter__(self) -> Iterator[Instance]:
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        circle = 9 * np.column_stack((np.cos(turn), np.sin(turn)))
        for number in range(self._count):
            polygon = Polygon((circle + 30 * number).round(2))
            name = f"00000000-0000-4000-8000-{number:012d}"
            yield Instance(name, ObjectKind.NUCLEUS, polygon, "Tumor", Plane(), 1.0, 0.9)


def test_results_are_not_in_memory_as_a_whole(file: Path) -> None:
    sink = AsapSink(file, lambda: FIRST)
    tracemalloc.start()
    try:
        sink.write(Results(Made(1500), {}, [MODEL], {}))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(names(file, "NuClick: Tumor")) == 1500
    assert most < file.stat().st_size / 5
    assert AsapSink(file, lambda: SECOND).write(Results(Made(1500), {}, [MODEL], {})).remarks == ()
    assert "2027-01-01" not in file.read_text(), "nothing is new, so nothing is written"


def save_in_pieces(path: Path, content: bytes) -> None:
    """Empty the file and write it anew, as ASAP does, with a moment between two pieces."""
    with path.open("wb", buffering=0) as out:
        for start in range(0, len(content), 8192):
            time.sleep(0.0002)
            out.write(content[start : start + 8192])


def save_by_name(path: Path, content: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)


@pytest.mark.parametrize("save", [save_in_pieces, save_by_name])
def test_no_save_of_hundreds_made_while_results_are_written_is_lost(
    save: Callable[[Path, bytes], None], file: Path
) -> None:
    chance, came_into_it, errors = random.Random(2), 0, []
    drawn = [annotation("Dot", [(number, 1)], f"dot {number}") for number in range(150)]
    for number in range(120):
        # ASAP writes what it has open: all that was drawn, and nothing of ours.
        write_asap(file.with_name("saved"), [*drawn, annotation("Dot", [(number, 2)], f"new {number}")])
        content, moment = file.with_name("saved").read_bytes(), chance.uniform(0, 0.015)
        saving = threading.Thread(target=lambda: (time.sleep(moment), save(file, content)))  # noqa: B023
        saving.start()
        try:
            write(file, instance(number % 9))
        except ResultError as error:
            errors.append(error)
        saving.join()
        held = Asap(file)
        saved = {one["Name"] for one in held.annotations if not one["Name"].startswith("NuClick")}
        assert saved == {f"dot {one}" for one in range(150)} | {f"new {number}"}
        came_into_it += bool(ours(held))
    assert came_into_it  # the others were saved last, over ours
    assert errors == []
    write(file, instance(0))
    assert len(ours(Asap(file))) == 1


def test_results_come_into_what_was_saved_since_the_run_read_it_and_the_run_says_so(file: Path) -> None:
    (job,) = asap_jobs([file], AsapChoice())
    job.read()
    by_asap(file, lambda opened: opened.annotations[0].update(Name="drawn since"))
    written = job.sink.write(results(instance(0)))
    assert written.remarks == (
        "the file was saved while the run went on; the results were written into what was saved",
    )
    names = [one["Name"] for one in Asap(file).annotations]
    assert names[0] == "drawn since"
    assert len(ours(Asap(file))) == 1
    job.read()
    assert job.sink.write(results(instance(1))).remarks == ()


def test_a_file_that_is_saved_again_and_again_is_refused_in_words_and_keeps_the_last_save(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, saves = sink_module.write_if_unchanged, []

    def saved_first(path: Path, content: Callable[[Path], object], seen: Stamp) -> None:
        saves.append(len(saves))
        by_asap(path, lambda opened: opened.annotations[0].update(Name=f"save {len(saves)}"))
        replace(path, content, seen)

    monkeypatch.setattr(sink_module, "write_if_unchanged", saved_first)
    with pytest.raises(ResultError, match=r"slide\.xml: was saved by another program again .*Close the slide in ASAP"):
        write(file, instance(0))
    assert Asap(file).annotations[0]["Name"] == f"save {len(saves)}"
    assert ours(Asap(file)) == []
    assert [path.name for path in file.parent.iterdir()] == ["slide.xml"]


def test_a_beginning_of_a_file_that_is_being_saved_is_not_taken_for_the_file(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:100])
    ending = threading.Timer(0.2, lambda: file.write_bytes(content))
    ending.start()
    write(file, instance(0))
    ending.join()
    opened = Asap(file)
    assert [one["Name"] for one in opened.annotations][:2] == ["Annotation 0", "mine"]
    assert len(ours(opened)) == 1


def test_a_read_only_file_and_one_that_is_gone_are_refused_in_words(file: Path) -> None:
    before = file.read_bytes()
    file.chmod(0o444)
    with pytest.raises(ResultError, match=r"slide\.xml is read-only, so the results were not written"):
        write(file, instance(0))
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["slide.xml"]
    file.chmod(0o644)
    file.write_bytes(before[:-30])
    with pytest.raises(ResultError, match="is not XML"):
        write(file, instance(0))
    file.unlink()
    with pytest.raises(ResultError, match="cannot be read"):
        write(file, instance(0))


def test_a_link_and_the_rights_of_a_file_stay(file: Path) -> None:
    real = file.with_name("real.xml")
    file.rename(real)
    real.chmod(0o664)
    try:
        file.symlink_to(real)
    except OSError:
        pytest.skip("links cannot be made here")
    write(file, instance(0))
    assert file.is_symlink()
    assert len(ours(Asap(real))) == 1
    if os.name == "posix":
        assert stat.S_IMODE(real.stat().st_mode) == 0o664


def test_outlines_are_written_to_single_precision(file: Path) -> None:
    write(file, instance(0, Polygon([(100000.03, 5.01), (100020.12, 5.01), (100020.12, 44.44)])))
    (one,) = ours(Asap(file))
    assert np.allclose(one["places"], [(100000.03, 5.01), (100020.12, 5.01), (100020.12, 44.44)], atol=0.004, rtol=0)
    document = read_document(file)
    assert document.edited(Edit()) == document.parsed.data
