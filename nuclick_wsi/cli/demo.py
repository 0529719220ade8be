"""The command `demo`: build the demo's project and run on it."""

from pathlib import Path

from nuclick_wsi.choices import ProjectAccess
from nuclick_wsi.cli.console import make_console
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.demo import make_demo


def run_demo(folder: Path, device: str) -> int:
    """Build the demo's project and run the main job on it; return the exit code."""
    project = make_demo(folder)
    make_console().print(f"A slide and a QuPath project with clicks and squiggles: {project}", highlight=False)
    return run_target(RunRequest(project, device=device, preview=True, project_access=ProjectAccess.FILES))
