"""A real QuPath takes our results: runs where PAQUO_QUPATH_DIR names an installation and paquo is installed."""

import os
from pathlib import Path
from typing import Any

import pytest
import shapely

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.geojson import AREA, write_results
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane

RING = shapely.Polygon([(0, 0), (40.25, 0), (40.25, 4), (0, 4)], [[(1, 1), (1, 2), (2, 2), (2, 1)]])
SHAPES = (RING, shapely.box(5, 5, 9, 9), shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(5, 5, 7, 9)]))
CLASSES = ("Tumor: Positive", "Tumor", "Größe ✓", None, "A\nB", ": odd :: name", "Ignore*")


@pytest.fixture(scope="module")
def qupath() -> Any:
    if not os.environ.get("PAQUO_QUPATH_DIR"):
        pytest.skip("needs a QuPath installation, named by PAQUO_QUPATH_DIR")
    pytest.importorskip("paquo", reason='needs paquo: pip install "nuclick-wsi[qupath]"')
    pytest.importorskip("paquo.java", reason="paquo cannot start this QuPath")
    return pytest.importorskip("jpype")


@pytest.mark.parametrize("as_type", list(ObjectType))
def test_qupath_imports_every_shape_and_class_under_its_id(as_type: ObjectType, qupath: Any, tmp_path: Path) -> None:
    instances = [
        Instance(
            f"00000000-0000-4000-8000-{number:012d}",
            ObjectKind.GLAND,
            SHAPES[number % len(SHAPES)],
            class_name,
            Plane(z=number % 2),
            area_um2=12.5,
            mean_probability=0.75,
        )
        for number, class_name in enumerate(CLASSES)
    ]
    write_results(tmp_path / "results.geojson", instances, as_type, {"Tumor": (200, 0, 0)})
    path = qupath.JClass("java.nio.file.Paths").get(str(tmp_path / "results.geojson"))
    objects = {str(one.getID()): one for one in qupath.JClass("qupath.lib.io.PathIO").readObjects(path)}
    assert sorted(objects) == [instance.prompt_id for instance in instances]
    for instance in instances:
        one = objects[instance.prompt_id]
        assert one.isDetection() == (as_type is ObjectType.DETECTION)
        assert float(one.getROI().getArea()) == pytest.approx(instance.polygon.area)
        assert int(one.getROI().getZ()) == instance.plane.z
        assert float(one.getMeasurementList().get(AREA)) == 12.5
    assert str(objects[instances[0].prompt_id].getPathClass()) == "Tumor: Positive"
    assert objects[instances[3].prompt_id].getPathClass() is None


def test_qupath_imports_a_cell_with_its_nucleus(qupath: Any, tmp_path: Path) -> None:
    outer, inner = shapely.box(0, 0, 20.25, 20), shapely.box(5, 5, 25, 15)
    values = ("Tumor", Plane(z=1), 12.5, 0.75)
    cell = Instance("00000000-0000-4000-8000-000000000001", ObjectKind.CELL, outer, *values)
    nucleus = Instance("00000000-0000-4000-8000-000000000002", ObjectKind.NUCLEUS, inner, *values)
    write_results(tmp_path / "results.geojson", [nucleus, cell], ObjectType.DETECTION, {"Tumor": (200, 0, 0)})
    path = qupath.JClass("java.nio.file.Paths").get(str(tmp_path / "results.geojson"))
    (one,) = qupath.JClass("qupath.lib.io.PathIO").readObjects(path)
    assert (str(one.getID()), bool(one.isCell()), str(one.getPathClass())) == (cell.prompt_id, True, "Tumor")
    assert float(one.getNucleusROI().getArea()) == pytest.approx(15.25 * 10)
    assert int(one.getNucleusROI().getZ()) == 1
    assert float(one.getMeasurementList().get(f"Cell: {AREA}")) == 12.5
