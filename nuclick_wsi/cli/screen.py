"""What a command shows: how much of it, and whether for people or for a program."""

import sys
from dataclasses import dataclass
from typing import Any

import orjson
from rich.console import Console

from nuclick_wsi.cli.console import make_console, say
from nuclick_wsi.cli.progress import ProgressWatcher, make_watcher
from nuclick_wsi.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Screen:
    """What a command shows.

    Attributes
    ----------
    quiet
        Nothing but what went wrong.
    verbose
        Everything that is known.
    as_json
        One JSON document on the standard output, and nothing else there.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise SettingsError("--quiet and --verbose exclude each other: drop one.")

    @property
    def shows_text(self) -> bool:
        """Whether people read the standard output."""
        return not self.quiet and not self.as_json

    @property
    def out(self) -> Console:
        """The standard output."""
        return make_console()

    def warn(self, text: str, style: str | None = None) -> None:
        """Say something that is to be heard in any case, on the standard error output."""
        say(make_console(stderr=True), text, style)

    def watcher(self, images: int) -> ProgressWatcher:
        """Return what shows the progress over images, on the standard error output."""
        return make_watcher(make_console(stderr=True), images, quiet=self.quiet)


def print_json(value: Any) -> None:
    """Print a value as JSON in UTF-8, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()
