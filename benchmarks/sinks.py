"""Memory and processor time of every way to keep the results of a slide, by the number of outlines.

Made outlines go into a spool, as in a run, and from there into a file: GeoJSON, the same with a nucleus in each cell,
an ASAP file, QuPath's own format as far as it is made here and not in Java, and pictures. Each in a process of its
own, with the peak before and the peak in the end: `python -m benchmarks.sinks [OUTLINES ...]`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from asap_bridge.document import write_document
from asap_bridge.sink import AsapSink
from benchmarks.scale import RepeatedSlide, peak_mb
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.geojson import ResultFeatures, put_results, results_place
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import Click, ObjectKind, Plane, Prompt, prompt_id
from nuclick_wsi.runs.instance_spool import InstanceSpool
from nuclick_wsi.runs.jobs import Results
from nuclick_wsi.runs.preview.files import write_preview
from nuclick_wsi.runs.preview.pictured import Pictured
from qupath_extension.changes import plan_changes

OUTLINES = (20_000, 200_000)
CORNERS, STEP = 28, 64


def made(count: int, *, with_cells: bool = False) -> Iterator[Instance]:
    """Yield outlines of nuclei in rows; or a cell and the nucleus in it, in turns."""
    rng = np.random.default_rng(0)
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    circle = np.column_stack((np.cos(turn), np.sin(turn)))
    across = int(np.ceil(np.sqrt(count)))
    for number in range(count):
        place = number // 2 if with_cells else number
        is_cell = with_cells and number % 2 == 0
        middle = np.array([place % across, place // across]) * STEP + STEP / 2
        corners = middle + circle * (24 if is_cell else 14) * rng.uniform(0.9, 1.1, (CORNERS, 1))
        polygon = shapely.Polygon(corners.round(2))
        kind = ObjectKind.CELL if is_cell else ObjectKind.NUCLEUS
        name = prompt_id("made", Click(Point(*middle)), number)
        yield Instance(name, kind, polygon, "Tumor", Plane(), polygon.area / 16, 0.9, 0.85)


def geojson(folder: Path, spool: InstanceSpool) -> None:
    put_results(results_place(folder / "made.geojson", "made"), spool, ObjectType.DETECTION, {})


def asap(folder: Path, spool: InstanceSpool) -> None:
    path = folder / "made.xml"
    if not path.exists():
        path.write_bytes(write_document([], []))
    AsapSink(path).write(Results(spool, {}, [], {}))


def hierarchy(folder: Path, spool: InstanceSpool) -> None:
    features = ResultFeatures.of(spool, ObjectType.DETECTION, {})
    changes = plan_changes((), {}, features.features(), ())
    (folder / "made.json").write_bytes(changes.new_content())


def pictures(folder: Path, spool: InstanceSpool) -> None:
    side = int(np.ceil(np.sqrt(len(spool)))) * STEP
    prompts = [Prompt(one.prompt_id, one.kind, Click(Point(*one.polygon.centroid.coords[0]))) for one in spool]
    begun = peak_mb()
    pictured = Pictured("made", RepeatedSlide(side), prompts, spool, (), (), {}, folder / "made.geojson")
    write_preview(folder, "made", pictured)
    print(f"prompts alone {begun:.0f} MB", file=sys.stderr)


WAYS: dict[str, tuple[Callable[[Path, InstanceSpool], None], bool, int]] = {
    "GeoJSON": (geojson, False, 1),
    "GeoJSON, nuclei in cells": (geojson, True, 1),
    "ASAP": (asap, False, 1),
    "ASAP, a second time": (asap, False, 2),
    "QuPath's own format": (hierarchy, False, 1),
    "pictures": (pictures, False, 1),
}
"""How results are kept, whether there are cells, and how often it is done."""


def measured(way: str, count: int) -> dict[str, Any]:
    keep, with_cells, times = WAYS[way]
    with tempfile.TemporaryDirectory() as name, InstanceSpool(Path(name)) as spool:
        for one in made(count, with_cells=with_cells):
            spool.add(one)
        before, begun = peak_mb(), time.process_time()
        for _ in range(times):
            keep(Path(name), spool)
        return {"before": before, "peak": peak_mb(), "seconds": time.process_time() - begun}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(sys.argv[2], int(sys.argv[3]))))
        return
    print(f"{'outlines':>10}  {'way':26}{'before, MB':>12}{'peak, MB':>10}{'ms per outline':>16}")
    for count in map(int, sys.argv[1:] or OUTLINES):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.sinks", "--one", way, str(count)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            each = 1000 * found["seconds"] / count
            print(f"{count:10}  {way:26}{found['before']:12.0f}{found['peak']:10.0f}{each:16.2f}", flush=True)


if __name__ == "__main__":
    main()
