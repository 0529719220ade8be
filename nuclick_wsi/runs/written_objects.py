"""Records of the objects that runs have written into a project: what the user has changed since differs from them.

A record is written before its object. A run that is killed between the two leaves a record without an object, which
the next run drops, and never an object without a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nuclick_wsi.runs.journal import Journal


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object as it was when a run wrote it.

    Attributes
    ----------
    shape
        A digest of its outline and plane; of a cell, of its nucleus too.
    properties
        What else of it a user can change, as text.
    feature
        A digest of the feature that it was written for.
    """

    shape: bytes
    properties: str
    feature: bytes


class WrittenObjects:
    """The written objects of one image, by prompt id; more than one where a run was killed while it wrote."""

    def __init__(self, journal: Journal, image: str) -> None:
        self._journal = journal
        self._image = image

    def read(self) -> dict[str, list[WrittenObject]]:
        """Return them all; ResultError as for all methods."""
        query = "SELECT prompt, shape, look, feature FROM traces WHERE image = ?"
        found: dict[str, list[WrittenObject]] = {}
        with self._journal.lent() as connection:
            for prompt, *rest in connection.execute(query, (self._image,)):
                found.setdefault(prompt, []).append(WrittenObject(*rest))
        return found

    def add(self, written: Mapping[str, WrittenObject]) -> None:
        """Add records to those that are there."""
        with self._journal.lent() as connection, connection:
            connection.executemany(_INSERT, self._rows({prompt: [one] for prompt, one in written.items()}))

    def replace(self, written: Mapping[str, Sequence[WrittenObject]]) -> None:
        """Replace all records by these."""
        with self._journal.lent() as connection, connection:
            connection.execute("DELETE FROM traces WHERE image = ?", (self._image,))
            connection.executemany(_INSERT, self._rows(written))

    def _rows(self, written: Mapping[str, Sequence[WrittenObject]]) -> list[tuple[str, str, bytes, str, bytes]]:
        return [
            (self._image, prompt, one.shape, one.properties, one.feature)
            for prompt, several in written.items()
            for one in several
        ]


_INSERT = "INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?, ?)"
