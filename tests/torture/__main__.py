"""Torture runs and print what they survived: `python -m torture [--kills N] [--quick] [--on TARGET]`.

It needs `tests` on Python's path; with paquo there too, and `PAQUO_QUPATH_DIR`, QuPath's hierarchy is among the
targets. What was seen is kept in .torture: a torture that was stopped goes on, as long as the code is the same. The
table is that of docs/reliability.md. Exit code: 0 where nothing was lost, else 1, with what was lost.
"""

import argparse
import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from in_faulty_system import faulty_calls

from torture import faults, journal_states, kills
from torture.children import load_everything
from torture.kept import Kept
from torture.targets import ASAP, HIERARCHY, PROJECT, TABLE, Target
from torture.trials import Bench, Row

_CODE = ("nuclick_wsi", "qupath_extension", "asap_bridge", "tests/torture")


def main() -> int:
    """Make all faults; return the exit code."""
    parser = argparse.ArgumentParser("torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="all of them together")
    parser.add_argument("--quick", action="store_true", help="each fault once, on QuPath files alone")
    parser.add_argument("--on", choices=[one.name for one in (PROJECT, ASAP, TABLE, HIERARCHY)], help="else on all")
    parser.add_argument("--only", help="kills, calls, disk, slides, inside, signals, journals, others, users")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, default=Path(".torture"), help="where what was seen is kept")
    asked = parser.parse_args()
    _restart_with_faulty_calls()
    rows = []
    with tempfile.TemporaryDirectory(prefix="nuclick-torture-") as place:
        for row in _rows(Path(place).resolve(), asked, Kept(asked.state, _described(asked))):
            print(f"{row.fault}, {row.target}: {row.times} times, {len(row.losses)} lost", file=sys.stderr, flush=True)
            for loss in row.losses:
                print(f"  LOST: {row.fault}, {row.target}: {loss}", file=sys.stderr, flush=True)
            rows.append(row)
    print("\n".join(table(rows)))
    return 1 if any(row.losses for row in rows) else 0


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table: one for each fault, with how often it was made on each target."""
    yield "| fault | times | what was seen | lost |"
    yield "|---|---|---|---|"
    for fault in dict.fromkeys(row.fault for row in rows):
        ours = [row for row in rows if row.fault == fault]
        times = ", ".join(f"{row.times} {row.target}" for row in ours if row.times)
        seen = ", ".join(sorted({what for row in ours for what in row.seen}))
        yield f"| {fault} | {times} | {seen} | {sum(len(row.losses) for row in ours)} |"


def _restart_with_faulty_calls() -> None:
    """Start this program once more with the faulty calls before the C library."""
    library = faulty_calls()
    if library is None:
        sys.exit("torture needs Linux and a C compiler")
    if "LD_PRELOAD" not in os.environ:
        os.environ["LD_PRELOAD"] = str(library)
        os.execv(sys.executable, [sys.executable, "-m", "torture", *sys.argv[1:]])


def _described(asked: argparse.Namespace) -> str:
    """Return what rows must have in common to be rows of one table: the code, and how much is asked for."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(one for name in _CODE for one in (root / name).rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()[:16]} {asked.kills} {asked.quick} {asked.seed}"


def _rows(place: Path, asked: argparse.Namespace, kept: Kept) -> Iterator[Row]:
    targets = [PROJECT] if asked.quick and not asked.on else [one for one in _targets() if asked.on in (None, one.name)]
    if not targets:
        sys.exit(f"there is no {asked.on} here: name a QuPath with PAQUO_QUPATH_DIR")
    (place / "first").mkdir()
    load_everything(PROJECT.make(place / "first"))
    for target in targets:
        bench = Bench(target, place / target.name.replace(" ", "-"))
        for name in _groups(bench, asked, random.Random()):
            if asked.only in (None, name):
                # Random numbers of its own: a group is the same whatever was made before it.
                chance = random.Random(f"{asked.seed} {name} {target.name}")
                yield from kept.rows(f"{name} {target.name}", _groups(bench, asked, chance)[name])


def _groups(bench: Bench, asked: argparse.Namespace, chance: random.Random) -> dict[str, Iterator[Row]]:
    """Return all faults on a target, in groups by name; each is made when its rows are asked for."""
    few = 1 if asked.quick else 3
    each = 2 if asked.quick else -(-asked.kills // len(_targets()) // 2)
    return {
        "kills": kills.kill_at_random(bench, each, chance),
        "calls": kills.kill_at_calls(bench, each, chance),
        "disk": faults.disk(bench, 2 if asked.quick else 12, chance),
        "slides": faults.slides(bench, few, chance),
        "inside": faults.inside(bench, few, chance),
        "signals": faults.signals(bench, few, chance),
        "journals": journal_states.journals(bench, chance),
        "others": faults.others(bench, few),
        "users": faults.users(bench),
    }


def _targets() -> list[Target]:
    return [PROJECT, ASAP, TABLE, *([HIERARCHY] if "PAQUO_QUPATH_DIR" in os.environ else [])]


if __name__ == "__main__":
    sys.exit(main())
