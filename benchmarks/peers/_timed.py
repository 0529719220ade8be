"""What every peer's script prints: how many clicks took how long, on how much memory, as one line of JSON.

Imports nothing of ours: it runs in the environment of the peers too.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def timed(prepare: Callable[[argparse.Namespace], Callable[[np.ndarray], int]], version: str) -> None:
    """Run a peer: `prepare` loads what is loaded once, what it returns works on clicks and returns how many had a mask.

    The clicks are float64 (N, 2), x and y in slide pixels. Loading is not counted.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("slide", type=Path)
    parser.add_argument("clicks", type=Path)
    parser.add_argument("--part", type=int, required=True, help="work on so many of the clicks only")
    parser.add_argument("--model", default="nuclei")
    given = parser.parse_args()
    work = prepare(given)
    given.all = np.load(given.clicks)
    clicks = given.all[: given.part]
    clock, processor = time.perf_counter(), time.process_time()
    masks = work(clicks)
    print(
        json.dumps(
            {
                "clicks": len(clicks),
                "masks": masks,
                "seconds": time.perf_counter() - clock,
                "processor": time.process_time() - processor,
                "peak_mib": _peak_mib(),
                "version": version,
            }
        )
    )


def _peak_mib() -> float:
    # Linux counts KiB, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
