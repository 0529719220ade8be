"""Seconds and memory to write and to read an ASAP file of 100,000 polygons.

    python benchmarks/asap.py [POLYGONS [CORNERS]]

64 corners are what the outline of a nucleus of 7 um has at 0.25 um. Each step runs in a process of its own, so that
its peak of memory is its own.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from asap_bridge.annotations import Annotation, AnnotationType, Group
from asap_bridge.document import read_document, write_document
from nuclick_wsi.files import write_atomically

POLYGONS, CORNERS = 100_000, 64


def write(path: Path, polygons: int, corners: int) -> None:
    rng = np.random.default_rng(0)
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    circle = np.column_stack((np.cos(turn), np.sin(turn))) * 14
    centers = rng.uniform(20, 100_000, (polygons, 2))
    annotations = [
        Annotation(f"nucleus {number}", AnnotationType.POLYGON, (center + circle).astype(np.float32), "NuClick")
        for number, center in enumerate(centers)
    ]
    begun = time.perf_counter()
    write_atomically(path, write_document(annotations, [Group("NuClick")]))
    report("written", begun, path, polygons)


def read(path: Path, polygons: int) -> None:
    begun = time.perf_counter()
    found = len(read_document(path).annotations)
    assert found == polygons
    report("read", begun, path, found)


def report(what: str, begun: float, path: Path, polygons: int) -> None:
    took = time.perf_counter() - begun
    # Linux counts KiB, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    size = path.stat().st_size / 2**20
    print(f"{polygons} polygons, {size:.0f} MiB, {what} in {took:.1f} s, peak {peak:.0f} MiB", flush=True)


def main() -> None:
    given = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    polygons, corners = [*given, *(POLYGONS, CORNERS)[len(given) :]]
    with tempfile.TemporaryDirectory() as folder:
        for step in ("write", "read"):
            path = str(Path(folder) / "slide.xml")
            command = [sys.executable, __file__, "--step", step, path, str(polygons), str(corners)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    if "--step" in sys.argv:
        step, place, *numbers = sys.argv[sys.argv.index("--step") + 1 :]
        if step == "write":
            write(Path(place), *map(int, numbers))
        else:
            read(Path(place), int(numbers[0]))
    else:
        main()
