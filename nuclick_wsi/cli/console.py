"""The consoles of the command line."""

from rich.console import Console

LOG_WIDTH = 160
"""Columns where the output goes to a file, which has no width of its own."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for tables in a log."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line as it is: names in it are no markup, and a path stays in one piece."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
