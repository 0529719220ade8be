"""What a benchmark found, as JSON in `benchmarks/results`: the machine, and rows of milliseconds and ratios."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from nuclick_wsi.models.devices import usable_cores

RESULTS = Path(__file__).parent / "results"
KEPT, LAST = RESULTS / "kept.json", RESULTS / "last.json"


@dataclass(frozen=True)
class Row:
    """A figure of a run: milliseconds, and how it stands to another figure of the same run, which is what compares."""

    group: str
    name: str
    milliseconds: float
    ratio: float
    to: str
    """What the ratio is to."""

    @property
    def key(self) -> str:
        return f"{self.group}: {self.name}"


def machine() -> dict[str, object]:
    """Describe this machine without naming it."""
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def write(rows: list[Row], path: Path) -> None:
    content = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def kept_ratios() -> Mapping[str, float]:
    """Return the ratios of the run that the repository keeps, by key; none where it keeps none."""
    if not KEPT.exists():
        return {}
    rows = [Row(**row) for row in json.loads(KEPT.read_text(encoding="utf-8"))["rows"]]
    return {row.key: row.ratio for row in rows}
