"""Benchmarks: figures and ratios of one run, never a test.

Without names, the one table of `table`, compared with the run that the repository keeps (benchmarks/results/kept.json).
Each benchmark has settings of its own at the top of its file. Against other programs: `make bench-peers`.
"""

import argparse
import ast
import itertools
import runpy
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
DEFAULT = "table"
ALL = "all"


def summaries() -> str:
    """Return the names with the first line of what each says of itself."""
    lines = []
    for name in NAMES:
        said = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")))
        lines.append(f"  {name:16}{(said or '').splitlines()[0]}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        usage="%(prog)s [-h] [NAME ... [ARGUMENT ...]]",
        description=__doc__,
        epilog=f"names:\n{summaries()}\n\nwhat follows a name is for the benchmark itself: scale 1000 30000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to run; {ALL} runs every one")
    parser.add_argument("--keep", action="store_true", help="table: keep this run to compare later ones with")
    parser.add_argument("--sizes", action="store_true", help="table: also 1,000 to 1,000,000 clicks, which takes long")
    named = list(itertools.takewhile(lambda given: given in (*NAMES, ALL), sys.argv[1:]))
    arguments = sys.argv[1 + len(named) :]
    unknown = arguments[:1] if arguments and arguments[0].isidentifier() else []
    if unknown or (not named and (unknown := parser.parse_args(arguments).names)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}, and {ALL}")
    # What follows the names is for the benchmark itself.
    sys.argv[1:] = arguments
    for name in NAMES if named == [ALL] else named or [DEFAULT]:
        print(f"\n== {name}", flush=True)
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
