"""The command `demo`: build the demo's project, run on it, and say how to go on in the browser."""

import shlex
from pathlib import Path

from nuclick_wsi.choices import ProjectAccess
from nuclick_wsi.cli.console import say
from nuclick_wsi.cli.run import run_target
from nuclick_wsi.cli.run_request import RunRequest
from nuclick_wsi.cli.screen import Screen
from nuclick_wsi.demo import SLIDE, make_demo


def run_demo(folder: Path, device: str, screen: Screen = Screen(), *, opens_viewer: bool = False) -> int:
    """Build the demo's project and run the main job on it; return the exit code."""
    project = make_demo(folder)
    if screen.shows_text:
        say(screen.out, f"A slide and a QuPath project with clicks and squiggles: {project}")
    code = run_target(RunRequest(project, device=device, preview=True, project_access=ProjectAccess.FILES), screen)
    if screen.shows_text and not opens_viewer:
        say(screen.out, f"See it in the browser, and click yourself: {_command(project)}")
    return code


def _command(project: Path) -> str:
    return f"nuclick-wsi view {shlex.quote(str(project.parent / SLIDE))} --prompts {shlex.quote(str(project))}"
