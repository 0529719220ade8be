"""What we have written into a project for which prompt, so that the next run tells it from what the user made of it.

A trace is written before the object itself: a run that is killed between the two leaves one trace too many, which
the next run drops, and never an object of ours without one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nuclick_wsi.runs.journal import Journal


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object as it was when we wrote it.

    Attributes
    ----------
    shape
        A digest of its outline and plane; of a cell, of its nucleus too.
    look
        What else of it a user can change, as text.
    feature
        A digest of what was asked to be written.
    """

    shape: bytes
    look: str
    feature: bytes


class WrittenObjects:
    """The traces of one image, by prompt id; more than one where a run was killed while it wrote."""

    def __init__(self, journal: Journal, image: str) -> None:
        self._journal = journal
        self._image = image

    def read(self) -> dict[str, list[WrittenObject]]:
        """Return all traces; ResultError as for all methods."""
        query = "SELECT prompt, shape, look, feature FROM traces WHERE image = ?"
        found: dict[str, list[WrittenObject]] = {}
        with self._journal.lent() as connection:
            for prompt, *rest in connection.execute(query, (self._image,)):
                found.setdefault(prompt, []).append(WrittenObject(*rest))
        return found

    def add(self, traces: Mapping[str, WrittenObject]) -> None:
        """Keep traces beside those that are there."""
        with self._journal.lent() as connection, connection:
            connection.executemany(_INSERT, self._rows({prompt: [trace] for prompt, trace in traces.items()}))

    def replace(self, traces: Mapping[str, Sequence[WrittenObject]]) -> None:
        """Keep these traces, and no others."""
        with self._journal.lent() as connection, connection:
            connection.execute("DELETE FROM traces WHERE image = ?", (self._image,))
            connection.executemany(_INSERT, self._rows(traces))

    def _rows(self, traces: Mapping[str, Sequence[WrittenObject]]) -> list[tuple[str, str, bytes, str, bytes]]:
        return [
            (self._image, prompt, trace.shape, trace.look, trace.feature)
            for prompt, several in traces.items()
            for trace in several
        ]


_INSERT = "INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?, ?)"
