"""What of live mode needs no QuPath, under Groovy alone: the names of prompts, and what is outlined first."""

import os
import random
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from test_qupath_menu import FETCHED, GROOVY, SCRIPTS

from nuclick_wsi.geometry import Point
from nuclick_wsi.prompts import Click, Squiggle, cell_id, prompt_id

LOAD = """
def shell = new GroovyShell()
['Names.groovy', 'Waiting.groovy'].each { shell.parse(new File('@SCRIPTS@', it)).run() }
shell.evaluate('''@SCRIPT@''')
"""


@pytest.fixture
def groovy(tmp_path: Path) -> str:
    folder = os.environ.get(GROOVY) or FETCHED
    if not Path(folder).is_dir() or shutil.which("java") is None:
        pytest.skip(f"needs java, and `make groovy` or {GROOVY} to name a folder of Groovy 4's jars")
    return str(folder)


def said(groovy: str, folder: Path, script: str) -> list[str]:
    """Return the lines that a script prints; it has the classes of the menu's scripts that need no QuPath."""
    path = folder / "script.groovy"
    path.write_text(LOAD.replace("@SCRIPTS@", SCRIPTS.as_posix()).replace("@SCRIPT@", script), encoding="utf-8")
    command = ["java", "-cp", f"{groovy}/*", "groovy.ui.GroovyMain", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_outlines_have_the_names_that_the_server_gives_them(groovy: str, tmp_path: Path) -> None:
    draw = random.Random(3)
    source = str(uuid.UUID(int=draw.getrandbits(128)))
    at = [Point(draw.choice([0, 7, 0.1, 0.25, 12345.67]), round(draw.uniform(0, 9e4), 2)) for _ in range(8)]
    strokes = [(at[0], at[1], at[2]), (at[5], at[4]), (at[3], at[3]), (at[7], at[6], at[7])]
    lines = said(
        groovy,
        tmp_path,
        "def at = { x, y -> new Spot(new BigDecimal(x), new BigDecimal(y)) }\n"
        + "".join(
            f"println Naming.ofClick('{source}', at('{p.x:.2f}', '{p.y:.2f}'), {n % 2})\n" for n, p in enumerate(at)
        )
        + f"println Naming.ofSquiggle('{source}', ["
        + ", ".join("[" + ", ".join(f"at('{p.x:.2f}', '{p.y:.2f}')" for p in stroke) + "]" for stroke in strokes)
        + "])\n"
        + f"println new Prompt(id: '{source}').outlineIds().join(' ')",
    )
    assert lines[:8] == [prompt_id(source, Click(point), n % 2) for n, point in enumerate(at)]
    assert lines[8] == prompt_id(source, Squiggle(tuple(one for one in strokes if one[0] != one[1])))
    assert lines[9].split() == [source, cell_id(source)]


ORDER = """
def waiting = new Pending()
waiting.changed(['a'])
waiting.nearby(['n1', 'a', 'n2'])
waiting.changed(['b', 'c', 'd'])
waiting.changed(['e'])
waiting.changed(['a', 'n2'])
waiting.forget(['c'])
def take = { def one = waiting.take(it); println one.ids.join(',') + ' ' + one.isChange }
take(1)
println waiting.isUrgent()
[9, 9, 1, 9, 9].each { take(it) }
println "${waiting.isUrgent()} ${waiting.isIdle()}"
def late = Thread.start { take(5) }
Thread.sleep(50)
waiting.nearby(['z'])
late.join()
def last = Thread.start { println waiting.take(5) }
waiting.end()
last.join()
"""


def test_the_newest_change_comes_first_and_neighbours_after_all_changes(groovy: str, tmp_path: Path) -> None:
    assert said(groovy, tmp_path, ORDER) == [
        "a true",
        "true",
        "n2 true",
        "e true",
        "b true",
        "d true",
        "n1 false",
        "false true",
        "z false",
        "null",
    ]
