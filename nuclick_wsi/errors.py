"""What can go wrong for a user, by the thing that is wrong.

Every message names the thing, what was seen, what is accepted and what to do. The edges (command line, server)
print the message alone; anything that is not a `NuclickError` is a defect and keeps its traceback.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from nuclick_wsi.paths import told_apart


class NuclickError(Exception):
    """Something that the user can put right; the message says how.

    Attributes
    ----------
    exit_code
        Of a command that ends with it: 2 where what it was given cannot be used, 1 where work failed.
    """

    exit_code: ClassVar[int] = 2

    def __str__(self) -> str:
        """Return the message; halves of surrogate pairs, which no terminal or file takes, as their codes."""
        return super().__str__().encode(errors="backslashreplace").decode()


class SlideError(NuclickError, OSError):
    """A slide is missing, truncated, or in a format that no reader opens."""


class PixelSizeError(NuclickError, ValueError):
    """A slide has no usable pixel size."""


class ProjectError(NuclickError, ValueError):
    """A QuPath project, or one image's data in it, cannot be read."""


class PromptError(NuclickError, ValueError):
    """A file of prompts cannot be read as one."""


class ModelError(NuclickError, ValueError):
    """A model file is missing, is not one, or does not fit the job."""


class DeviceError(NuclickError, RuntimeError):
    """The device that was asked for is not there."""


class ClusterError(NuclickError, RuntimeError):
    """A cluster cannot be reached, or its workers cannot do the work."""

    exit_code = 1


class ResultError(NuclickError, OSError):
    """A result cannot be written."""

    exit_code = 1


class BusyError(ResultError):
    """Another run is at work in the same folder of results."""


class FileChangedError(ResultError):
    """A file was saved by another program between being read and being replaced."""


class RequestError(NuclickError, ValueError):
    """What was sent to the local server is not a request that it understands."""


class NotAllowedError(NuclickError, PermissionError):
    """The local server may not open a slide.

    Attributes
    ----------
    folder
        The folder that would have to be allowed.
    """

    def __init__(self, path: Path, folder: Path, allowed: Sequence[Path] = ()) -> None:
        shown, *_ = told_apart([str(folder), *map(str, allowed)])
        super().__init__(f"The server may not open {path}: {shown} is not among the folders that it was started with.")
        self.folder = folder


class SettingsError(NuclickError, ValueError):
    """A setting is out of range, or two settings exclude each other."""
