"""Records of the objects that runs have written into a project: what the user has changed since differs from them.

A record is written before its object. A run that is killed between the two leaves a record without an object, which
the next run drops, and never an object without a record.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.journal_file import checksum


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
        """Return them all; none where the journal cannot be used."""
        query = "SELECT prompt, shape, look, feature, checksum FROM traces WHERE image = ?"
        rows: list[tuple[str, bytes, str, bytes, bytes]] = self._journal.do(
            lambda connection: connection.execute(query, (self._image,)).fetchall(), []
        )
        found: dict[str, list[WrittenObject]] = {}
        for prompt, shape, look, feature, check in rows:
            if check == checksum(self._image, prompt, shape, look, feature):
                found.setdefault(prompt, []).append(WrittenObject(shape, look, feature))
        return found

    def add(self, written: Mapping[str, WrittenObject]) -> None:
        """Add records to those that are there."""
        rows = self._rows({prompt: [one] for prompt, one in written.items()})
        self._journal.do(lambda connection: _insert(connection, rows), None)

    def replace(self, written: Mapping[str, Sequence[WrittenObject]]) -> None:
        """Replace all records by these."""
        rows = self._rows(written)
        self._journal.do(lambda connection: _insert(connection, rows, instead_of=self._image), None)

    def _rows(self, written: Mapping[str, Sequence[WrittenObject]]) -> list[tuple[str | bytes, ...]]:
        rows = [
            (self._image, prompt, one.shape, one.properties, one.feature)
            for prompt, several in written.items()
            for one in several
        ]
        return [(*row, checksum(*row)) for row in rows]


def _insert(
    connection: sqlite3.Connection, rows: Sequence[tuple[str | bytes, ...]], instead_of: str | None = None
) -> None:
    """Insert rows; in place of all of an image, where one is named."""
    with connection:
        if instead_of is not None:
            connection.execute("DELETE FROM traces WHERE image = ?", (instead_of,))
        connection.executemany("INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?, ?, ?)", rows)
