"""Tables of the NuClick paper again, ours beside its own: --table N --data DIR --out DIR (docs/comparison.md)."""

import sys

from nuclick_training.comparison.__main__ import main

if __name__ == "__main__":
    main(["paper", *sys.argv[1:]], "python -m benchmarks")
