"""The command `doctor`: what is installed on this machine, and what to do about what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text

from nuclick_wsi.cli.screen import Screen, print_json
from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import read_card, shipped_models
from nuclick_wsi.models.devices import usable_cores
from nuclick_wsi.models.manifest import require_shipped
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.slides.readers import READERS

QUPATH_PLACES = (
    "/opt/QuPath*",
    "/Applications/QuPath*.app",
    "~/Applications/QuPath*.app",
    "~/QuPath-*",
    "~/AppData/Local/QuPath-*",
    "C:/Program Files/QuPath-*",
)
"""Where QuPath's installers and its users put it."""


class Health(Enum):
    """How a finding matters."""

    GOOD = ("ok", "green")
    OPTIONAL = ("not there", "yellow")
    BAD = ("missing", "red")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    what: str
    health: Health
    seen: str
    advice: str = ""


def examine(screen: Screen) -> int:
    """Show all findings; return 1 where something is missing that every run needs, else 0."""
    findings = [*_python(), *_readers(), *_devices(), *_models(), *_qupath()]
    if screen.as_json:
        print_json(
            [
                {"what": one.what, "health": one.health.value[0], "seen": one.seen, "advice": one.advice}
                for one in findings
            ]
        )
    else:
        screen.out.print(_table(findings))
    return 1 if any(finding.health is Health.BAD for finding in findings) else 0


def _table(findings: Sequence[Finding]) -> Table:
    table = Table()
    for heading in ("what", "", "seen", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        word, style = finding.health.value
        table.add_row(finding.what, Text(word, style), Text(finding.seen), Text(finding.advice))
    return table


def _python() -> Iterator[Finding]:
    yield Finding(
        "nuclick-wsi", Health.GOOD, f"{version('nuclick-wsi')}, Python {platform.python_version()}, {sys.platform}"
    )
    for name in ("torch", "numpy", "scipy", "scikit-image", "shapely", "zarr"):
        yield _package(name, Health.BAD, f"pip install {name}")
    yield _package("simplejpeg", Health.OPTIONAL, "pip install simplejpeg; without it damaged JPEG tiles go unnoticed")


def _package(name: str, absent: Health, advice: str) -> Finding:
    try:
        return Finding(name, Health.GOOD, version(name))
    except PackageNotFoundError:
        return Finding(name, absent, "", advice)


def _readers() -> Iterator[Finding]:
    for reader in READERS:
        fault = reader.unavailable()
        if fault is None:
            yield Finding(f"reader {reader.name}", Health.GOOD, reader.library_version())
        else:
            yield Finding(f"reader {reader.name}", Health.OPTIONAL, fault, "pip install --force-reinstall nuclick-wsi")


def _devices() -> Iterator[Finding]:
    yield Finding("device cpu", Health.GOOD, f"{usable_cores()} cores")
    for number in range(torch.cuda.device_count()):
        yield Finding(f"device cuda:{number}", Health.GOOD, torch.cuda.get_device_name(number))
    if not torch.cuda.is_available():
        built = torch.version.cuda
        yield Finding(
            "device cuda",
            Health.OPTIONAL,
            f"torch is built for CUDA {built}, but sees no GPU" if built else "this torch is built without CUDA",
            "check the driver with nvidia-smi" if built else "with an NVIDIA GPU: install torch's CUDA build",
        )
    if torch.backends.mps.is_available():
        yield Finding("device mps", Health.GOOD, "Apple GPU")


def _models() -> Iterator[Finding]:
    found = set()
    for name, path in sorted(shipped_models().items()):
        try:
            card = read_card(path)
            require_shipped(name, path)
        except ModelError as error:
            yield Finding(f"model {name}", Health.BAD, str(error), "install nuclick-wsi again")
            continue
        found.add(card.kind)
        yield Finding(f"model {name}", Health.GOOD, f"{card.kind}, {card.crop_size} px of {card.mpp} um, {card.terms}")
    for kind in sorted(set(ObjectKind) - found):
        yield Finding(
            f"model for a {kind}", Health.OPTIONAL, "none is shipped", "--model FILE with a model of your own"
        )


def _qupath() -> Iterator[Finding]:
    places = _installations()
    if places:
        yield Finding("QuPath", Health.GOOD, ", ".join(map(str, places)))
    else:
        yield Finding(
            "QuPath",
            Health.OPTIONAL,
            "not in its usual places; projects are read without it",
            "to be found, set PAQUO_QUPATH_DIR to its folder",
        )
    yield _package("paquo", Health.OPTIONAL, 'pip install "nuclick-wsi[qupath]" (GPL-3); projects are read without it')


def _installations() -> list[Path]:
    named = os.environ.get("PAQUO_QUPATH_DIR")
    found = [Path(named)] if named and Path(named).is_dir() else []
    for pattern in QUPATH_PLACES:
        place = Path(pattern).expanduser()
        found += sorted(place.parent.glob(place.name)) if place.parent.is_dir() else []
    on_path = shutil.which("QuPath") or shutil.which("qupath")
    return list(dict.fromkeys([*found, *([Path(on_path)] if on_path else [])]))
