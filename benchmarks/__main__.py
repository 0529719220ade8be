"""Run every benchmark, or those that are named: `python -m benchmarks [NAME ...]`. Each prints its own figures."""

import runpy
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))


def main() -> None:
    names = sys.argv[1:] or NAMES
    del sys.argv[1:]  # each benchmark has settings of its own
    for name in names:
        print(f"\n== {name}", flush=True)
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
