"""Options that several commands share."""

from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but what goes wrong.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print all that is known.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Cores to compute on without a GPU; else all that are allowed. No result depends on it."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for a program, and nothing else, on the standard output.")
]
