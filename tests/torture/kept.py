"""Rows that were seen before a torture was stopped, so that it goes on from there."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torture.trials import Row


class Kept:
    """The rows of each group of faults on each target, in a file.

    Parameters
    ----------
    folder
        Where the file is.
    described
        What all rows have in common; those of another description are forgotten.
    """

    def __init__(self, folder: Path, described: str) -> None:
        self._path = folder / "seen.json"
        self._described = described
        found = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._groups: dict[str, list[dict[str, Any]]] = found.get(described, {})

    def rows(self, group: str, made: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of a group: those that are kept, else those that are made, which are kept when all are."""
        if group in self._groups:
            for kept in self._groups[group]:
                yield Row(**{**kept, "seen": set(kept["seen"])})
            return
        rows = []
        for row in made:
            rows.append({**asdict(row), "seen": sorted(row.seen)})
            yield row
        self._groups[group] = rows
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps({self._described: self._groups}, indent=1))
