"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from nuclick_wsi.choices import ExportFormat, LabelsVersion, ModelTerms, Precision

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but what goes wrong.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print all that is known.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Cores to compute on without a GPU; else all that are allowed. No result depends on it."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for a program, and nothing else, on the standard output.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda (all GPUs that are visible), cuda:N or mps.")]
PrecisionChoice = Annotated[
    Precision,
    typer.Option("--precision", help="half: the network computes with 16 bits, which is faster on a GPU."),
]
TestTimeAugmentation = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Take the mean of all eight turns and flips: outlines are a little better, and the network takes up to "
        "eight times as long.",
    ),
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Crops per batch; no result depends on it.")]
ModelChoice = Annotated[
    list[str] | None,
    typer.Option("--model", help="Name of a shipped model or a .safetensors file, one for each kind of object."),
]
TermsChoice = Annotated[
    ModelTerms,
    typer.Option("--terms", help="open: take only models that may be used for anything; `weights list` shows which."),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        help="Also write label images as OME-Zarr: a store (out.zarr), or for several images a folder of stores."
    ),
]
LabelsVersionChoice = Annotated[LabelsVersion, typer.Option(help="Of OME-Zarr.")]
Exports = Annotated[
    list[ExportFormat] | None,
    typer.Option(
        help="Also write a table of measurements, COCO, or tiles with label images, into `export` in the folder of "
        "results; may be repeated."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Have the network's work done by workers: tcp://HOST:PORT of a dask scheduler, local:N for N processes "
        "here, or a .toml that describes a cluster."
    ),
]
