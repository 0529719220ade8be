"""Instances come out of a spool as they went in, in the order of files, however many there are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

import nuclick_wsi.runs.instance_spool as spool_module
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.geojson import put_results, results_place, write_results
from nuclick_wsi.instances import Instance, order_in_files
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.instance_spool import InstanceSpool


def made_instances(count: int) -> list[Instance]:
    """Discs of several classes and planes, with and without a sureness."""
    rng = np.random.default_rng(count)
    found = []
    for number, (x, y) in enumerate(rng.uniform(0, 5000, (count, 2)).round(2).tolist()):
        disc = shapely.transform(shapely.Point(x, y).buffer(9), lambda corners: corners.round(2))
        name = [None, "Tumor", "Tumor: Positive"][number % 3]
        sureness = None if number % 5 == 0 else 0.5 + number / count / 2
        plane = Plane(z=number % 2)
        identity = f"{rng.integers(1 << 60):x}"
        found.append(Instance(identity, ObjectKind.NUCLEUS, disc, name, plane, disc.area / 16, 0.9, sureness))
    return found


@pytest.mark.parametrize("in_memory", [1, 1 << 20])
def test_what_went_in_comes_out_in_the_order_of_files(
    in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_IN_MEMORY", in_memory)
    instances = made_instances(100)
    with InstanceSpool(tmp_path) as spool:
        for one in instances[:60]:
            spool.add(one)
        assert list(spool) == sorted(instances[:60], key=order_in_files)
        for one in instances[60:]:
            spool.add(one)
        assert len(spool) == 100
        assert list(spool) == list(spool) == sorted(instances, key=order_in_files)
        assert instances[7] in spool
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("as_type", list(ObjectType))
def test_a_file_written_from_a_spool_has_the_same_bytes_as_one_from_a_list(as_type: ObjectType, tmp_path: Path) -> None:
    instances = made_instances(700)
    with InstanceSpool(tmp_path) as spool:
        for one in instances:
            spool.add(one)
        write_results(tmp_path / "spool.geojson", instances, as_type, source="a")
        place = write_results(tmp_path / "list.geojson", spool, as_type, source="a")
    assert place.path.read_bytes() == (tmp_path / "spool.geojson").read_bytes()


def test_cells_with_nuclei_from_a_spool_have_the_same_bytes_as_those_from_a_list(tmp_path: Path) -> None:
    instances = made_instances(300)
    for one in instances[:200]:
        around = shapely.transform(one.polygon.buffer(6), lambda corners: corners.round(2))
        instances.append(replace(one, prompt_id=f"c{one.prompt_id}", kind=ObjectKind.CELL, polygon=around))
    with InstanceSpool(tmp_path) as spool:
        for one in instances:
            spool.add(one)
        write_results(tmp_path / "list.geojson", instances, source="a")
        write_results(tmp_path / "spool.geojson", spool, source="a")
    content = (tmp_path / "spool.geojson").read_bytes()
    assert content == (tmp_path / "list.geojson").read_bytes()
    assert content.count(b"nucleusGeometry") > 100


def test_writing_a_file_of_nuclei_goes_through_a_spool_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[bytes] = []
    true = spool_module._unpacked

    def counting(content: bytes) -> Instance:
        unpacked.append(content)
        return true(content)

    monkeypatch.setattr(spool_module, "_unpacked", counting)
    with InstanceSpool(tmp_path) as spool:
        for one in made_instances(50):
            spool.add(one)
        put_results(results_place(tmp_path / "a.geojson", "a"), spool, ObjectType.DETECTION, {})
    assert len(unpacked) == 50


def test_going_through_many_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_BETWEEN_STEPS", 20)
    said: list[tuple[int, int]] = []
    with InstanceSpool(tmp_path, lambda done, total: said.append((done, total))) as spool:
        for one in made_instances(50):
            spool.add(one)
        assert len(list(spool)) == 50
    assert said == [(20, 50), (40, 50)]
