"""A real QuPath without a window, on a project of its own, with NuClick's menu installed; skips where there is none."""

import json
import os
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nuclick_wsi.demo import SLIDE, make_demo
from qupath_extension.install import UserFolder
from qupath_extension.project import read_project
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType

QUPATH = "NUCLICK_QUPATH_SCRIPT"

DEMO_NUCLEI, DEMO_OUTLINES = 104, 108
"""Outlines of the demo's 104 clicks, and of these with its 4 squiggles, as the shipped models draw them."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def demo_project(folder: Path) -> Path:
    """Make a demo whose slide QuPath, too, finds where it is."""
    project = make_demo(folder)
    content = json.loads(project.read_text(encoding="utf-8"))
    content["images"][0]["serverBuilder"]["uri"] = (folder / SLIDE).as_uri()
    project.write_text(json.dumps(content), encoding="utf-8")
    return project


def second_image(project: Path) -> None:
    """Give a project of one image a second one, of the same slide."""
    content = json.loads(project.read_text(encoding="utf-8"))
    (first,) = content["images"]
    content["images"].append(first | {"entryID": 2, "imageName": "second.svs"})
    project.write_text(json.dumps(content | {"lastID": 2}), encoding="utf-8")
    shutil.copytree(project.parent / "data" / "1", project.parent / "data" / "2")


class ScriptedQuPath:
    """Runs scripts on the demo, as `QuPath script` does, and reads what they left."""

    def __init__(self, folder: Path, user: UserFolder) -> None:
        command = os.environ.get(QUPATH)
        if not command:
            pytest.skip(f"needs {QUPATH} to name the command that runs `QuPath script`")
        self._command = shlex.split(command)
        self.project = demo_project(folder / "demo")
        self.user = user
        user.install()
        self.set(port=free_port(), device="cpu")

    def set(self, **settings: Any) -> None:
        """Change settings as a user does."""
        path = self.user.home / "settings.json"
        content = json.loads(path.read_text(encoding="utf-8")) | settings
        path.write_text(json.dumps(content), encoding="utf-8")

    def run(self, script: Path | str, image: str | None = SLIDE.name) -> str:
        """Run a script, or the text of one, on one image or on each; return what it printed."""
        if isinstance(script, str):
            path = self.project.parent.parent / "script.groovy"
            path.write_text(script.replace("@HOME@", self.user.home.as_posix().replace("'", "\\'")), encoding="utf-8")
            script = path
        chosen = [] if image is None else ["-i", image]
        command = [*self._command, "-p", str(self.project), *chosen, str(script), "-s"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def act(self, name: str) -> str:
        """Choose an item of the menu."""
        return self.run(self.user.home / name)

    def objects(self, image: int = 0) -> dict[str | None, PathObject]:
        """Return the objects of an image as they are saved."""
        return {one.id: one for one in read_project(self.project).images[image].read_data().objects}

    def outlines(self) -> dict[str | None, PathObject]:
        """Return the detections of the first image."""
        return {one: found for one, found in self.objects().items() if found.type is PathObjectType.DETECTION}
