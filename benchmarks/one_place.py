"""Clicks within 100 x 100 px of a slide, through the command line with the shipped model, by their number.

Most of very many are on the pixel of another, and each of the others has all of them in what it excludes: time and
memory of the whole command, and how many pixels there are to tell apart: `python -m benchmarks.one_place [CLICKS ...]`.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

CLICKS = (1_000, 10_000, 100_000)
NUCLICK = "from nuclick_wsi.cli.app import main; main()"


def main() -> None:
    print(f"{'clicks':>10}{'pixels':>10}{'peak, MB':>10}{'s of the processor':>20}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pyramid(folder / "slide.svs", immunohistochemistry(), PixelSize(0.25, 0.25))
        for count in map(int, sys.argv[1:] or CLICKS):
            places = np.random.default_rng(0).uniform(200, 300, (count, 2)).round(2)
            table = folder / f"{count}.csv"
            table.write_text("x,y\n" + "\n".join(f"{x},{y}" for x, y in places.tolist()))
            arguments = ["run", table, "--slide", folder / "slide.svs", "--out", folder / str(count), "--threads", "1"]
            command = [sys.executable, "-c", NUCLICK, *map(str, arguments)]
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            assert child.returncode == 0
            pixels = len(np.unique(np.floor(places), axis=0))
            seconds = used.ru_utime + used.ru_stime
            print(f"{count:10}{pixels:10}{used.ru_maxrss / 1024:10.0f}{seconds:20.1f}", flush=True)


if __name__ == "__main__":
    main()
