"""The command `demo`: build the demo's project and run on it."""

from pathlib import Path

from nuclick_wsi.choices import ProjectAccess
from nuclick_wsi.cli.console import say
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.cli.screen import Screen
from nuclick_wsi.demo import make_demo


def run_demo(folder: Path, device: str, screen: Screen = Screen()) -> int:
    """Build the demo's project and run the main job on it; return the exit code."""
    project = make_demo(folder)
    if screen.shows_text:
        say(screen.out, f"A slide and a QuPath project with clicks and squiggles: {project}")
    return run_target(RunRequest(project, device=device, preview=True, project_access=ProjectAccess.FILES), screen)
