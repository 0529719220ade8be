"""NuClick in QuPath: what the installer leaves, that the scripts are Groovy 4, and that they work in a real QuPath.

The last two need programs that are not part of the project, and are skipped without them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from scripted_qupath import ScriptedQuPath
from test_cli import nuclick, said

from nuclick_wsi import choices
from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.formats.geojson import MEAN_PROBABILITY, write_results
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.server.auth import STATE_VARIABLE
from qupath_extension.import_script import NAME as IMPORT_NAME
from qupath_extension.import_script import import_script, offer_import_script
from qupath_extension.install import BEFORE, STARTUP, Presence, UserFolder, find_user_folders
from qupath_extension.project import read_project
from qupath_extension.qpdata.hierarchy import PathObjectType

SCRIPTS = Path(__file__).parents[1] / "qupath_extension" / "scripts"
IMPORT = SCRIPTS.parent / "project_scripts" / IMPORT_NAME
MENU = re.compile(r"^ {4}'(.+)': \['(.+\.groovy)', '(.+)'\],$", re.MULTILINE)
GROOVY = "NUCLICK_GROOVY_LIB"
FETCHED = SCRIPTS.parents[1] / ".groovy" / "node_modules" / "npm-groovy-lint" / "lib" / "java" / "groovy" / "lib"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def user(tmp_path: Path) -> UserFolder:
    (tmp_path / "it's QuPath ü").mkdir()
    return UserFolder(tmp_path / "it's QuPath ü")


def content(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The installer


def test_every_menu_item_has_its_script_and_every_script_knows_its_folder(user: UserFolder, state: Path) -> None:
    user.install()
    startup = (user.path / STARTUP).read_text(encoding="utf-8")
    items = {name: script for name, script, _ in MENU.findall(startup)}
    assert set(items) == {
        "Live",
        "Segment selected",
        "Review",
        "Review: accept",
        "Review: reject",
        "Review: next",
        "Review: previous",
        "Colour by sureness",
        "Convert to annotation and edit",
        "Segment clicks",
        "Segment squiggles",
        "Segment whole project",
        "Re-run changed",
        "Take in viewer marks",
        "Remove NuClick objects",
        "Settings",
        "Restart server",
        "About",
    }
    for script in items.values():
        assert user.home.as_posix().replace("'", "\\'") in (user.home / script).read_text(encoding="utf-8")
    assert not [path for path, text in content(user.path).items() if b"@FOLDER@" in text]
    settings = json.loads((user.home / "settings.json").read_text(encoding="utf-8"))
    assert settings["python"] == sys.executable
    assert settings["token"] == str(state / "token")


def test_installing_twice_changes_nothing_and_keeps_the_users_settings(user: UserFolder) -> None:
    user.install()
    first = content(user.path)
    user.install()
    assert content(user.path) == first
    assert user.presence() is Presence.CURRENT
    settings = user.home / "settings.json"
    changed = json.loads(settings.read_text(encoding="utf-8")) | {"port": 1234, "python": "/another/python"}
    settings.write_text(json.dumps(changed), encoding="utf-8")
    assert user.presence() is Presence.OTHER
    user.install()
    assert json.loads(settings.read_text(encoding="utf-8")) == changed | {"python": sys.executable}


@pytest.mark.parametrize("own", [None, b"println 'mine \xff'\n"])
def test_uninstalling_leaves_the_folder_as_it_was(own: bytes | None, user: UserFolder) -> None:
    (user.path / "scripts").mkdir()
    (user.path / "scripts" / "mine.groovy").write_text("println 1")
    if own is not None:
        (user.path / STARTUP).write_bytes(own)
    before = content(user.path)
    for _ in range(2):
        user.install()
    assert ((user.path / BEFORE).read_bytes() if own is not None else None) == own
    assert user.uninstall() == []
    assert content(user.path) == before
    assert user.presence() is Presence.NONE
    assert user.uninstall() is None
    assert content(user.path) == before


def test_uninstalling_leaves_what_was_edited_and_says_so(user: UserFolder) -> None:
    user.install()
    edited = user.home / "About.groovy"
    edited.write_text("println 'mine'")
    startup = user.path / STARTUP
    startup.write_bytes(startup.read_bytes() + b"println 'mine too'\n")
    text = startup.read_bytes()
    kept = user.uninstall()
    assert kept is not None
    assert edited.read_text() == "println 'mine'"
    assert [path.name for path in user.home.iterdir()] == ["About.groovy"]
    assert not startup.exists()
    assert startup.with_name("startup.groovy.backup").read_bytes() == text
    assert "About.groovy" in kept[0]
    assert "startup.groovy.backup" in kept[1]


def test_a_second_startup_script_of_the_user_is_never_overwritten(user: UserFolder) -> None:
    (user.path / STARTUP).write_text("println 'new'")
    (user.path / BEFORE).write_text("println 'old'")
    before = content(user.path)
    with pytest.raises(ResultError, match="rename the other"):
        user.install()
    assert content(user.path) == before


def test_each_qupath_from_0_4_on_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(SettingsError, match=r"--qupath.*--user-dir"):
        find_user_folders()
    for name in ("v0.3", "v0.4", "v0.10", "v0.6", "extensions"):
        (tmp_path / "QuPath" / name).mkdir(parents=True)
    assert [folder.path.name for folder in find_user_folders()] == ["v0.10", "v0.6", "v0.4"]


@pytest.mark.parametrize(("program", "seen"), [(sys.executable, "ran no script"), ("no such program", "cannot be run")])
def test_a_program_that_is_no_qupath_is_named(program: str, seen: str, user: UserFolder) -> None:
    result = nuclick("qupath", "install", "--user-dir", user.path, "--qupath", program)
    assert result.returncode == 2
    assert f"--qupath {program}: {seen}" in said(result)
    assert "Traceback" not in result.stderr
    assert user.presence() is Presence.CURRENT


def test_the_command_line_installs_says_so_and_uninstalls(user: UserFolder) -> None:
    arguments = ("--user-dir", user.path)
    assert "not installed" in said(nuclick("qupath", "status", *arguments))
    assert nuclick("qupath", "install", *arguments).returncode == 0
    assert ": installed" in said(nuclick("qupath", "status", *arguments))
    assert ": removed" in said(nuclick("qupath", "uninstall", *arguments))
    missing = nuclick("qupath", "install", "--user-dir", user.path / "none")
    assert missing.returncode == 2
    assert "is not a folder" in said(missing)


def test_forgetting_the_start_needs_the_program_that_was_made_to_start_and_says_so_without_it(user: UserFolder) -> None:
    assert user.forget_startup() is None
    user.install()
    assert user.forget_startup() is None
    settings = user.home / "settings.json"
    moved = json.loads(settings.read_text(encoding="utf-8")) | {"qupath": "/gone/QuPath"}
    settings.write_text(json.dumps(moved), encoding="utf-8")
    text = said(nuclick("qupath", "uninstall", "--user-dir", user.path))
    assert "/gone/QuPath: cannot be run" in text
    assert "clear its preference Startup script path by hand" in text
    assert user.presence() is Presence.NONE


def test_a_qupath_that_was_never_started_gets_its_folder_and_forgets_the_start_when_the_menu_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Path(os.environ.get("PAQUO_QUPATH_DIR") or "no such folder", "bin", "QuPath")
    if not program.exists():
        pytest.skip("needs a QuPath installation with its program, named by PAQUO_QUPATH_DIR")
    home = tmp_path / "home"
    (tmp_path / "preferences").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Duser.home={home} -Djava.util.prefs.userRoot={tmp_path / 'preferences'}")
    installed = said(nuclick("qupath", "install", "--qupath", program, qupath=True))
    (folder,) = find_user_folders()
    assert f"{folder.path}: installed" in installed
    assert f"QuPath starts with {folder.path / STARTUP} from now on" in installed
    assert folder.presence() is Presence.CURRENT
    assert "from now on" not in said(nuclick("qupath", "install", "--qupath", program, qupath=True))
    removed = said(nuclick("qupath", "uninstall", qupath=True))
    assert "QuPath starts with no script" in removed
    assert ": removed" in removed


def test_the_script_that_imports_has_the_rules_of_the_menu_in_it() -> None:
    script = import_script()
    assert "@EXCHANGE@" not in script
    assert "@FOLDER@" not in script
    assert (SCRIPTS / "Exchange.groovy").read_text(encoding="utf-8").removesuffix("this\n") in script


_TAKEN = {
    *"vrponmlgfdcba.-",
    *(f"shift+{letter}" for letter in "sgfedcao"),
    *(f"shortcut+alt+{one}" for one in "tsrkdcal"),
}
"""Keys of QuPath 0.4 to 0.7 itself, of the sorts that the menu takes."""


def test_every_menu_item_has_a_key_of_its_own_that_is_none_of_qupaths(user: UserFolder) -> None:
    user.install()
    keys = [key for _, _, key in MENU.findall((user.path / STARTUP).read_text(encoding="utf-8"))]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"(shift|shortcut\+alt)\+[a-z]", key) for key in keys)
    assert not _TAKEN & set(keys)


# The scripts

PARSE = """
import org.codehaus.groovy.control.*
args.each { name ->
    def unit = new CompilationUnit()
    unit.addSource(new File(name))
    unit.compile(Phases.CONVERSION)
}
println GroovySystem.version
"""


def test_the_scripts_are_groovy_4(user: UserFolder, tmp_path: Path) -> None:
    folder = os.environ.get(GROOVY) or FETCHED
    if not Path(folder).is_dir() or shutil.which("java") is None:
        pytest.skip(f"needs java, and `make groovy` or {GROOVY} to name a folder of Groovy 4's jars")
    user.install()
    (tmp_path / "parse.groovy").write_text(PARSE)
    (tmp_path / IMPORT_NAME).write_text(import_script(), encoding="utf-8")
    scripts = sorted([*user.home.glob("*.groovy"), user.path / STARTUP, tmp_path / IMPORT_NAME])
    command = ["java", "-cp", f"{folder}/*", "groovy.ui.GroovyMain", tmp_path / "parse.groovy", *scripts]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4.")


@pytest.mark.parametrize("script", sorted([*SCRIPTS.glob("*.groovy"), IMPORT]), ids=lambda path: path.name)
def test_no_script_names_a_class_that_moved_between_versions(script: Path) -> None:
    moved = ("qupath.lib.gui.dialogs", "qupath.fx", "qupath.lib.gui.ActionTools", "qupath.lib.gui.tools.GuiTools")
    assert not [name for name in moved if name in script.read_text(encoding="utf-8")]


@pytest.fixture
def qupath(user: UserFolder, tmp_path: Path) -> ScriptedQuPath:
    return ScriptedQuPath(tmp_path, user)


EDIT = f"""
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
def hierarchy = getCurrentHierarchy()
def ours = getDetectionObjects().findAll {{ it.getMeasurementList().containsKey('{MEAN_PROBABILITY}') }}.sort {{ it.getID() }}
ours[0].setLocked(true)
ours[1].setPathClass(PathClass.fromString('Mine'))
def clicks = getAnnotationObjects().find {{ it.getROI().isPoint() && it.getROI().getNumPoints() > 10 }}
def points = clicks.getROI().getAllPoints()
def moved = [[points[0].x + 3, points[0].y] as double[]] + points.drop(1).collect {{ [it.x, it.y] as double[] }}
clicks.setROI(ROIs.createPointsROI(moved.collect {{ it[0] }} as double[], moved.collect {{ it[1] }} as double[], ImagePlane.getDefaultPlane()))
println "LOCKED ${{ours[0].getID()}} RECLASSIFIED ${{ours[1].getID()}}"
"""  # noqa: E501 - Groovy


def test_in_qupath_clicks_become_outlines_and_after_a_change_only_what_it_touches_changes(
    qupath: ScriptedQuPath, tmp_path: Path
) -> None:
    text = qupath.act("Segment_clicks.groovy")
    assert "The server is ready" in text
    first = qupath.outlines()
    assert f"{len(first)} outlines new or changed" in text
    assert len(first) > 90
    again = qupath.act("Segment_clicks.groovy")
    assert f"0 outlines new or changed, {len(first)} as they were, 0 removed" in again
    assert set(qupath.outlines()) == set(first)

    (tmp_path / "edit.groovy").write_text(EDIT)
    locked, mine = re.findall(r"LOCKED (\S+) RECLASSIFIED (\S+)", qupath.run(tmp_path / "edit.groovy"))[0]
    text = qupath.act("Re-run_changed.groovy")
    last = qupath.outlines()
    assert "1 kept as they are: locked." in text
    assert "1 kept as they are: given another class or copied." in text
    assert last[mine].class_name == "Mine"
    assert locked in last
    gone = set(first) - set(last)
    assert len(gone) == 1

    text = qupath.act("Remove_NuClick_objects.groovy")
    assert f"{len(last) - 2} outlines removed" in text
    assert "1 kept as they are: given another class or copied." in text
    assert set(qupath.outlines()) == {locked, mine}


LOCK = "getDetectionObjects().find { it.getID().toString() == '%s' }.setLocked(true)"


def test_in_qupath_the_project_script_imports_results_and_imports_them_again(
    qupath: ScriptedQuPath, tmp_path: Path
) -> None:
    results = qupath.project.parent / "nuclick" / "1 colon_ihc.svs.geojson"
    ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(4)]

    def written(numbers: tuple[int, ...], side: int) -> None:
        squares = [
            Instance(ids[n], ObjectKind.NUCLEUS, shapely.box(50 * n, 9, 50 * n + side, 30), "Tumor", Plane(), 9.0, 0.5)
            for n in numbers
        ]
        write_results(results, squares, choices.ObjectType.DETECTION, {})

    offer_import_script(qupath.project.parent)
    script = qupath.project.parent / "scripts" / IMPORT_NAME
    written((0, 1, 2), side=20)
    assert "3 objects" in qupath.run(script)
    assert set(qupath.outlines()) == set(ids[:3])
    (tmp_path / "lock.groovy").write_text(LOCK % ids[0])
    qupath.run(tmp_path / "lock.groovy")
    written((0, 1, 3), side=30)
    text = qupath.run(script)
    assert "2 objects from 1 colon_ihc.svs.geojson, 0 as they were, 1 removed" in text
    assert "1 kept as they are: locked." in text
    widths = {one: float(np.ptp(found.roi.x)) for one, found in qupath.outlines().items() if found.roi is not None}
    assert widths == {ids[0]: 20, ids[1]: 30, ids[3]: 30}


def test_in_qupath_the_project_script_turns_detections_into_cells_and_back(
    qupath: ScriptedQuPath, tmp_path: Path
) -> None:
    results = qupath.project.parent / "nuclick" / "1 colon_ihc.svs.geojson"
    nuclei, cells = (
        [
            Instance(
                f"{digit}0000000-0000-4000-8000-00000000000{n}", kind, shapely.box(*edges), None, Plane(), 9.0, 0.5
            )
            for n, edges in enumerate([(50, 50, 50 + side, 60), (100, 50, 100 + side, 60)])
        ]
        for digit, kind, side in ((1, ObjectKind.NUCLEUS, 10), (2, ObjectKind.CELL, 12))
    )

    def imported(instances: list[Instance]) -> dict[str, PathObjectType]:
        write_results(results, instances, choices.ObjectType.DETECTION, {})
        qupath.run(qupath.project.parent / "scripts" / IMPORT_NAME)
        (image,) = read_project(qupath.project).images
        types = {str(one.id): one.type for one in image.read_data().objects}
        return {identity: types[identity] for identity in types if identity[1:].startswith("0000000-")}

    offer_import_script(qupath.project.parent)
    ids = [one.prompt_id for one in cells]
    assert imported(cells) == dict.fromkeys(ids, PathObjectType.DETECTION)
    assert imported([*cells, *nuclei]) == dict.fromkeys(ids, PathObjectType.CELL)
    assert imported([*cells, nuclei[0]]) == {ids[0]: PathObjectType.CELL, ids[1]: PathObjectType.DETECTION}
    assert imported(nuclei) == dict.fromkeys([one.prompt_id for one in nuclei], PathObjectType.DETECTION)
