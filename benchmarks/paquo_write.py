"""Seconds to put 50,000 detections into a project's hierarchy through QuPath, and to bring a tenth of them up to date.

PAQUO_QUPATH_DIR=... python -m benchmarks paquo_write
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import shapely

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.demo import make_demo
from nuclick_wsi.errors import ProjectError
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import Click, ObjectChoice, ObjectKind, Plane, prompt_id
from nuclick_wsi.runs.jobs import Results
from nuclick_wsi.runs.journal import FILE_NAME, Journal
from qupath_extension.hierarchy_sink import HierarchyEntry
from qupath_extension.paquo_access import QuPath
from qupath_extension.project import read_project

DETECTIONS = 50_000
TENTH = DETECTIONS // 10
VERTICES = 24


def nuclei(count: int, moved: int) -> list[Instance]:
    """Return round outlines on a large slide, the first of them a little to the side."""
    places = np.random.default_rng(0).uniform(100, 90_000, (count, 2))
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    ring = 12 * np.column_stack((np.cos(angles), np.sin(angles)))
    made = []
    for number, place in enumerate(places):
        identity = prompt_id("benchmark", Click(Point(*map(float, place))))
        polygon = shapely.Polygon(np.round(ring + place + (number < moved), 2))
        made.append(Instance(identity, ObjectKind.NUCLEUS, polygon, "Tumor", Plane(), polygon.area, 0.9))
    return made


def main() -> None:
    try:
        qupath = QuPath.start()
    except ProjectError as error:
        print(f"skipped: {error}")
        return
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / FILE_NAME) as journal:
        (image,) = read_project(make_demo(Path(folder))).images
        for what, moved in (("first written", 0), ("a tenth changed", TENTH), ("nothing changed", TENTH)):
            results = Results(nuclei(DETECTIONS, moved), {}, [], {})
            entry = HierarchyEntry(qupath, image, journal, ObjectType.DETECTION)
            begun, work = time.perf_counter(), time.process_time()
            entry.read(ObjectChoice.AUTO)
            read = time.perf_counter() - begun
            counts = dict(entry.write(results).counts)
            whole, work = time.perf_counter() - begun, time.process_time() - work
            size = image.data_path.stat().st_size / 1e6
            print(f"{what:16} {whole:5.1f} s ({work:.1f} s of one core), {read:.1f} s to read; {size:.0f} MB; {counts}")


if __name__ == "__main__":
    main()
