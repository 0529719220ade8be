"""Seconds to read a QuPath project with its prompts: 20,000 detections of another tool beside 2,000 clicks.

    python benchmarks/read_project.py [PROJECT]

Without a project, a real one of that size is read where it lies beside ours, else one that the tests' writer writes;
the writing is not counted.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from nuclick_wsi.prompts import ObjectChoice
from qupath_extension.project import read_project

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "qupath" / "big_v0.5.1"


def write_project(folder: Path) -> Path:
    sys.path.insert(0, str(ROOT / "tests"))
    from qpdata_writer import Drawn, points, polygon, qpdata

    ring = [(x % 7 * 3.0, x // 7 * 2.0) for x in range(20)]
    detections = [Drawn(polygon(*ring), "PathDetectionObject") for _ in range(20_000)]
    clicks = [Drawn(points(*((x * 4.0, y * 4.0) for x in range(50)))) for y in range(40)]
    (folder / "data" / "1").mkdir(parents=True)
    (folder / "data" / "1" / "data.qpdata").write_bytes(qpdata(*detections, *clicks))
    image = {"entryID": 1, "serverBuilder": {"builderType": "uri", "uri": "file:/a.svs"}}
    (folder / "project.qpproj").write_text(json.dumps({"version": "0.5.1", "images": [image]}))
    return folder


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:] if Path(argument).exists()]
    with tempfile.TemporaryDirectory() as scratch:
        place = given[0] if given else REAL if REAL.is_dir() else write_project(Path(scratch))
        print(place if place != Path(scratch) else "a project of the tests' writer")
        for run in ("cold", "warm"):
            start, work = time.perf_counter(), time.process_time()
            found = [image.prompts(ObjectChoice.AUTO) for image in read_project(place).images]
            prompts = sum(len(one.prompts) for one in found)
            others = sum(sum(one.left_alone.values()) for one in found)
            print(
                f"{run}: {prompts} prompts, {others} others in {time.perf_counter() - start:.2f} s "
                f"({time.process_time() - work:.2f} s of one core)"
            )


if __name__ == "__main__":
    main()
