"""How the code is laid out: folders, arrows between them, the longest pieces, and what a command loads.

An arrow is a pair of places of which one imports the other. Counted twice: between the entries of the four packages (a
module or a folder, as one sees them in a listing), and between the rooms of tests/test_architecture.py, whose floors
say which arrows point upward. Run it as `python benchmarks/layout.py [ROOT]`; with the path of another checkout, in
an environment that imports that checkout.
"""

import ast
import os
import runpy
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nuclick_wsi.demo import SLIDE, make_demo

FOLDERS = {
    "nuclick_wsi": "nuclick_wsi",
    "qupath_extension": "qupath_extension",
    "asap_bridge": "asap_bridge",
    "nuclick_training": "training",
}
Arrows = set[tuple[str, str]]


@dataclass(frozen=True)
class Module:
    """A file of ours under its import name."""

    name: str
    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_public_list(self) -> bool:
        """Whether this only names the public interface, wherever it comes from."""
        return self.name == "nuclick_wsi.__init__"


def modules_of(root: Path) -> list[Module]:
    return [
        Module(
            ".".join([package, *path.relative_to(root / folder).with_suffix("").parts]), path, path.read_text("utf-8")
        )
        for package, folder in FOLDERS.items()
        for path in sorted((root / folder).rglob("*.py"))
    ]


def imported(module: Module) -> Iterable[str]:
    """Yield what a module imports of ours; of `from package import name` as `package.name`."""
    for node in ast.walk(module.tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in FOLDERS)


def arrows(modules: Iterable[Module], place: Callable[[str], str]) -> Arrows:
    found = {
        (place(module.name), place(name))
        for module in modules
        if not module.is_public_list
        for name in imported(module)
    }
    return {(own, other) for own, other in found if own != other}


def entry_of(name: str) -> str:
    """Return a package and what lies directly in it: nuclick_wsi.formats of nuclick_wsi.formats.cells.Cell."""
    return ".".join(name.split(".")[:2])


def in_circles(found: Arrows) -> int:
    """Return how many places reach themselves."""
    reach: dict[str, set[str]] = {}
    for own, other in found:
        reach.setdefault(own, set()).add(other)
    for _ in reach:  # a path has at most as many steps as there are places
        for others in reach.values():
            others |= {further for other in others for further in reach.get(other, ())}
    return sum(own in others for own, others in reach.items())


def rooms(root: Path, modules: Iterable[Module]) -> str:
    table = runpy.run_path(str(root / "tests" / "test_architecture.py"))
    if "FLOORS" not in table:
        return "the architecture test of this checkout lists modules"
    floors: Mapping[str, int] = {room: number for number, floor in enumerate(table["FLOORS"]) for room in floor}
    found = arrows(modules, table["room_of"])
    upward = sum(floors[other] >= floors[own] for own, other in found)
    return f"{len(floors)} on {len(table['FLOORS'])} floors, {len(found)} arrows, {upward} upward or level"


def longest_function(modules: Iterable[Module]) -> tuple[int, str]:
    """Return the most lines of a function's body, without its docstring, and where it is."""
    return max(
        (len(lines), f"{module.name}.{node.name}")
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef)
        for body in [node.body[1:] if ast.get_docstring(node) else node.body]
        for lines in [range(body[0].lineno, (body[-1].end_lineno or 0) + 1) if body else range(0)]
    )


def loads(root: Path, folder: Path, arguments: Sequence[str], times: int = 1) -> str:
    """Return what a command of nuclick-wsi loads, in a process of its own, and the seconds that it takes."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    home, function = project["project"]["scripts"]["nuclick-wsi"].split(":")
    script = (
        f"import sys, {home}; sys.argv = ['nuclick-wsi', *{list(arguments)!r}]\n"
        f"try: {home}.{function}()\n"
        "except SystemExit: pass\n"
        f"print(sys.modules[{home!r}].__file__, *sys.modules, sep='\\n', file=sys.stderr)"
    )
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    settings = {**os.environ, "PYTHONPATH": path}
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        seconds.append(time.perf_counter() - start)
    lines = done.stderr.splitlines()
    (where,) = [line for line in lines if line.startswith(str(root))][:1] or [""]
    assert where, f"the command line that was loaded is not the one in {root}: {lines[:3]}"
    every = lines[lines.index(where) + 1 :]
    ours = Counter(name.split(".")[0] for name in every if name.split(".")[0] in FOLDERS)
    of_ours = ", ".join(f"{number} of {package}" for package, number in sorted(ours.items()))
    return f"{len(every)} modules, {of_ours}; {min(seconds):.2f} s"


def one_click(root: Path, folder: Path) -> str:
    """Return what a run for one click loads."""
    (folder / "clicks.csv").write_text("x,y\n421.2,46.3\n", "utf-8")
    slide = make_demo(folder / "demo").parent / SLIDE
    return loads(root, folder, ["run", "clicks.csv", "--slide", str(slide)])


def main() -> None:
    root = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parents[1]).resolve()
    modules = modules_of(root)
    folders = Counter(module.path.parent for module in modules if module.path.name != "__init__.py")
    for folder, number in sorted(folders.items()):
        print(f"{number:4} modules in {folder.relative_to(root)}")
    entries = arrows(modules, entry_of)
    lines, where = max((len(module.text.splitlines()), module.name) for module in modules)
    number = len({entry_of(module.name) for module in modules} - {f"{package}.__init__" for package in FOLDERS})
    print(f"entries of packages: {number}, {len(entries)} arrows, {in_circles(entries)} entries in circles")
    print(f"rooms: {rooms(root, modules)}")
    print(f"longest module: {lines} lines, {where}")
    print("longest function body: {} lines, {}".format(*longest_function(modules)))
    with TemporaryDirectory() as name:
        print(f"nuclick-wsi run --help: {loads(root, Path(name), ['run', '--help'], 3)}")
        print(f"nuclick-wsi run, one click: {one_click(root, Path(name))}")


if __name__ == "__main__":
    main()
