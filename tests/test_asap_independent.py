"""A reader that is not ours sees in our files what we wrote: PyPI's `wholeslidedata`.

It needs an older shapely than ours, so it runs in an interpreter of its own, which WHOLESLIDEDATA_PYTHON names.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import shapely
from asap_files import annotation, dots, group, write_asap

from asap_bridge.sink import AsapSink
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.jobs import Results

READ = """
import json, sys
from wholeslidedata.annotation.wholeslideannotation import WholeSlideAnnotation
found = WholeSlideAnnotation(sys.argv[1]).annotations
print(json.dumps([(one.type, one.label.name, one.area, one.bounds) for one in found]))
"""
SIMPLIFIED = 2.0
"""Pixels by which it simplifies polygons as it reads them."""


@pytest.fixture(scope="module")
def python() -> str:
    named = os.environ.get("WHOLESLIDEDATA_PYTHON", sys.executable)
    try:
        tried = subprocess.run([named, "-c", "import wholeslidedata"], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"WHOLESLIDEDATA_PYTHON={named} does not start: {error}")
    if tried.returncode != 0:
        pytest.skip(f"{named} has no wholeslidedata: set WHOLESLIDEDATA_PYTHON to an interpreter that has")
    return named


def test_an_independent_reader_finds_the_same_counts_groups_and_areas(python: str, tmp_path: Path) -> None:
    # It knows no measurements.
    drawn = [*dots((5, 6), (7, 8), group="Tumor"), annotation("PointSet", [(0, 0), (9, 9)], "m", "Gland")]
    file = write_asap(tmp_path / "slide.xml", drawn, [group("Tumor"), group("Gland")])
    discs = [shapely.Point(100 * number, 80.5).buffer(20 + number) for number in range(20)]
    ring = shapely.box(0, 300, 90, 390) - shapely.box(30, 330, 60, 360)
    instances = [
        Instance(f"00000000-0000-4000-8000-{number:012d}", ObjectKind.NUCLEUS, shape, "Tumor", Plane(), 1.0, 0.9)
        for number, shape in enumerate([*discs, ring])
    ]
    AsapSink(file).write(Results(instances, {}, [], {}))
    done = subprocess.run([python, "-c", READ, str(file)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    groups = [label for _, label, _, _ in found]
    assert groups.count("tumor") == 2
    assert groups.count("nuclick: tumor") == 21
    assert groups.count("nuclick holes: tumor") == 1
    results = [(area, bounds) for _, label, area, bounds in found if label.startswith("nuclick")]
    wanted = [*discs, shapely.Polygon(ring.exterior), shapely.Polygon(ring.interiors[0])]
    for (area, bounds), shape in zip(results, wanted, strict=True):
        assert area == pytest.approx(shape.area, abs=SIMPLIFIED * shape.length)
        assert bounds == pytest.approx(shape.bounds, abs=SIMPLIFIED)
