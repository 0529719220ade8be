"""The command behind `make fuzz`: splits the inputs over cores, goes on where it stopped, and prints a table.

Each fault is kept as a file in .fuzz/faults; `--repeat TARGET NUMBER` reads one input again and shows the traceback.
"""

import argparse
import sys
from pathlib import Path

from fuzz.campaign import Campaign, fresh
from fuzz.target import numbered
from fuzz.targets import TARGETS

STATE = Path(__file__).parents[2] / ".fuzz"


def main() -> int:
    """Return 1 where there was a fault, else 0."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="in all, those of earlier runs included")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--state", type=Path, default=STATE)
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--only", action="append", choices=sorted(TARGETS), help="this kind alone; may be repeated")
    parser.add_argument("--repeat", nargs=2, metavar=("TARGET", "NUMBER"))
    asked = parser.parse_args()
    if asked.repeat is not None:
        name, number = asked.repeat
        return repeat(name, int(number), asked.state)
    if asked.fresh:
        fresh(asked.state)
    campaign = Campaign(asked.state, asked.only or list(TARGETS))
    campaign.run(asked.inputs, asked.cores)
    print(campaign.table())
    return 1 if campaign.faults else 0


def repeat(name: str, number: int, state: Path) -> int:
    """Read one input without any protection, and leave it in the folder."""
    folder = state / "repeated"
    folder.mkdir(parents=True, exist_ok=True)
    data = TARGETS[name].make(numbered(name, number))
    (folder / f"{name} {number}").write_bytes(data)
    TARGETS[name].read(data, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
