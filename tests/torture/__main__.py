"""Torture runs and print what they survived: `python -m torture [--kills N] [--quick]`, with `tests` on the path.

The table is that of docs/reliability.md. Exit code: 0 where nothing was lost, else 1, with what was lost.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from in_faulty_system import faulty_calls

from torture import faults, kills
from torture.children import load_everything
from torture.targets import ASAP, HIERARCHY, PROJECT, TABLE, Target
from torture.trials import Bench, Row


def main() -> int:
    """Make all faults; return the exit code."""
    parser = argparse.ArgumentParser("torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="all of them together")
    parser.add_argument("--quick", action="store_true", help="each fault once, on one kind of target")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    _restart_with_faulty_calls()
    lost = 0
    print("| fault | on | times | what was seen | lost |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="nuclick-torture-") as place:
        for row in _rows(Path(place).resolve(), asked.kills, asked.quick, random.Random(asked.seed)):
            seen = ", ".join(sorted(row.seen))
            print(f"| {row.fault} | {row.target} | {row.times} | {seen} | {len(row.losses)} |", flush=True)
            for loss in row.losses:
                print(f"  LOST: {row.fault}, {row.target}: {loss}", file=sys.stderr, flush=True)
            lost += len(row.losses)
    return 1 if lost else 0


def _restart_with_faulty_calls() -> None:
    """Start this program once more with the faulty calls before the C library."""
    library = faulty_calls()
    if library is None:
        sys.exit("torture needs Linux and a C compiler")
    if "LD_PRELOAD" not in os.environ:
        os.environ["LD_PRELOAD"] = str(library)
        os.execv(sys.executable, [sys.executable, "-m", "torture", *sys.argv[1:]])


def _rows(place: Path, most: int, is_quick: bool, chance: random.Random) -> Iterator[Row]:
    targets = _targets(is_quick)
    (place / "first").mkdir()
    load_everything(PROJECT.make(place / "first"))
    for target in targets:
        bench = Bench(target, place / target.name.replace(" ", "-"))
        share = 2 if is_quick else most // len(targets) // 2
        yield kills.kill_at_random(bench, share, chance)
        yield kills.kill_at_calls(bench, share, chance)
        few = 1 if is_quick else 4
        yield from faults.disk(bench, 2 if is_quick else 16, chance)
        yield from faults.slides(bench, few, chance)
        yield from faults.inside(bench, few // 2 or 1, chance)
        yield from faults.signals(bench, few, chance)
        yield from faults.journals(bench, chance)
        yield from faults.others(bench, few)
        yield from faults.users(bench)


def _targets(is_quick: bool) -> list[Target]:
    if is_quick:
        return [PROJECT]
    return [PROJECT, ASAP, TABLE, *([HIERARCHY] if "PAQUO_QUPATH_DIR" in os.environ else [])]


if __name__ == "__main__":
    sys.exit(main())
