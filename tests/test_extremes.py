"""Prompts as nobody means them, by number, length and place: bounded time and memory, each in a process of its own.

Processor time is compared and not the clock, and with room to spare, so that a busy machine fails nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.data import immunohistochemistry

from nuclick_wsi.instances import Reason
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux counts it"),
]
Places = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Ended:
    """How a process ended; processor time in seconds, the most memory in MiB."""

    code: int
    seconds: float
    memory: float


def worked(arguments: Iterable[object], log: Path) -> Ended:
    """Run Python with some arguments on one thread, to its end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdout=file, stderr=subprocess.STDOUT, env=environment
        )
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Ended(child.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


OUTLINED = """
import json, sys
from collections import Counter
from pathlib import Path
from dark_segmenter import BOTH
from nuclick_wsi.formats.prompt_files import read_prompts
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.instances import Reason
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.slides.readers import open_slide

with open_slide(Path(sys.argv[2])) as slide:
    outcome = segment(slide, read_prompts(Path(sys.argv[1]), ObjectChoice.AUTO), BOTH, PixelSize(0.25, 0.25))
print(len(outcome.instances), json.dumps(Counter(str(one.reason) for one in outcome.rejections)))
"""


def outlined(prompts: Path, slide: Path) -> tuple[Ended, int, dict[str, int]]:
    """Outline prompts, with dark pixels for a network; return how it ended, outlines, and rejections by reason."""
    log = prompts.with_suffix(".log")
    ended = worked(["-c", OUTLINED, prompts, slide], log)
    assert ended.code == 0, log.read_text()[-2000:]
    instances, reasons = log.read_text().splitlines()[-1].split(" ", 1)
    return ended, int(instances), json.loads(reasons)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "slide.svs"
    write_pyramid(path, immunohistochemistry(), PixelSize(0.25, 0.25))
    return path


def write_lines(path: Path, lines: Iterable[Places]) -> Path:
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": list(line)}}
        for line in lines
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_100_000_clicks_within_100_pixels(slide: Path, tmp_path: Path) -> None:
    places = np.random.default_rng(0).uniform(200, 300, (100_000, 2)).round(2).tolist()
    (tmp_path / "clicks.csv").write_text("x,y\n" + "\n".join(f"{x},{y}" for x, y in places))
    ended, instances, reasons = outlined(tmp_path / "clicks.csv", slide)
    assert instances + sum(reasons.values()) == len(places)
    assert reasons["on the same spot as another prompt"] > 80_000
    assert ended.seconds < 75
    assert ended.memory < 1024


def test_a_squiggle_of_a_million_vertices_among_200_others(slide: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.5, (1_000_000, 2)).cumsum(axis=0)
    spread = 200 * (steps - steps.min(axis=0)) / np.ptp(steps, axis=0)
    others = rng.uniform(20, 480, (200, 1, 2)) + rng.uniform(-20, 20, (200, 3, 2))
    lines = [(spread + 150).round(2).tolist(), *others.round(2).tolist()]
    ended, instances, reasons = outlined(write_lines(tmp_path / "lines.geojson", lines), slide)
    assert instances + sum(reasons.values()) == 201
    assert ended.seconds < 60
    assert ended.memory < 1536


def test_lines_across_a_slide_of_100_000_pixels(tmp_path: Path) -> None:
    """Its tiles are left out, as scanners do; what such a line would mark is larger than any gland."""
    side, tile = 100_352, 512
    how = {"photometric": "rgb", "tile": (tile, tile), "compression": "deflate", "metadata": None}
    tiles = chain([np.zeros((tile, tile, 3), np.uint8)], repeat(None, (side // tile) ** 2 - 1))
    path = tmp_path / "slide.tif"
    resolution = {"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, tiles, shape=(side, side, 3), dtype=np.uint8, bigtiff=True, **how, **resolution)
    ends = np.random.default_rng(0).uniform(0, side, (5000, 2, 2)).round(2)
    ends[:, 0, 0], ends[:, 1, 0] = 1, side - 1
    ended, instances, reasons = outlined(write_lines(tmp_path / "lines.geojson", ends.tolist()), path)
    assert (instances, reasons) == (0, {Reason.TOO_LONG: len(ends)})
    assert ended.seconds < 60
    assert ended.memory < 1024


READ = """
import sys
from pathlib import Path
from nuclick_wsi.errors import RequestError
from nuclick_wsi.server.segment_request import read_request
try:
    request = read_request(Path(sys.argv[1]).read_bytes(), lambda _: None)
except RequestError as error:
    print(error)
    sys.exit(3)
print(len(request.prompts.prompts))
"""


def test_a_request_of_51_megabytes(tmp_path: Path) -> None:
    """A million and a half vertices of one line, with 15 digits each: more than a request may have."""
    places = np.random.default_rng(0).uniform(0, 50_000, (1_350_000, 2)).tolist()
    body = json.dumps(
        {"image": "/a.svs", "points": [[1, 1]], "neighbours": {"type": "LineString", "coordinates": places}}
    )
    (tmp_path / "body.json").write_text(body)
    assert 51 * 10**6 < len(body) < 64 << 20
    ended = worked(["-c", READ, tmp_path / "body.json"], tmp_path / "log")
    said = (tmp_path / "log").read_text()
    assert (ended.code, "1,350,001 positions" in said) == (3, True), said
    assert ended.seconds < 30
    assert ended.memory < 1536
