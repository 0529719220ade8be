"""Options that several commands share."""

from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but what goes wrong.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print all that is known.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for a program, and nothing else, on the standard output.")
]
