"""The instances of one image on their way from the engine to a sink: few in memory, many in a file that nobody sees.

A million outlines take a GB; here they take the bytes of their ids' places.
"""

import pickle
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO

import shapely

from nuclick_wsi.errors import ResultError
from nuclick_wsi.instances import Instance, InstancesInOrder, order_in_files
from nuclick_wsi.prompts import ObjectKind, Plane

_IN_MEMORY = 16 << 20
"""Bytes that are kept in memory before there is a file."""
_BETWEEN_STEPS = 1000


class InstanceSpool(InstancesInOrder):
    """Instances that come in any order, and are gone through in the order of files.

    Parameters
    ----------
    folder
        Where the file is made when there are many; it has no name there, or loses it when the program ends.
    on_step
        Called now and then while many instances are gone through, with how many of how many are.
    """

    def __init__(self, folder: Path, on_step: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        self._folder, self._on_step = folder, on_step
        self._file: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))  # noqa: SIM115 - closed by `close`
        self._ids: list[str] = []
        self._kinds: set[ObjectKind] = set()
        self._depths = array("b")
        self._begins = array("q", [0])
        self._order = array("q")

    def __enter__(self) -> "InstanceSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, instance: Instance) -> None:
        """Keep an instance.

        Raises
        ------
        ResultError
            If the folder has no room for it.
        """
        content = _packed(instance)
        depth, identity = order_in_files(instance)
        try:
            self._file.seek(self._begins[-1])
            self._file.write(content)
        except OSError as error:
            raise ResultError(
                f"{self._folder}: outlines cannot be kept there until all are done ({error.strerror or error}). Free "
                "some room, or choose another folder with --out, and run again; what was computed is remembered."
            ) from error
        self._ids.append(identity)
        self._kinds.add(instance.kind)
        self._depths.append(min(depth, 127))
        self._begins.append(self._begins[-1] + len(content))

    @property
    def kinds(self) -> frozenset[ObjectKind]:
        """What kinds of object are among them."""
        return frozenset(self._kinds)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Instance]:
        for done, number in enumerate(self._in_order(), 1):
            if done % _BETWEEN_STEPS == 0:
                self._on_step(done, len(self))
            yield self._read(number)

    def __getitem__(self, place: int, /) -> Instance:
        """Return the instance that has a place in the order of files."""
        return self._read(self._in_order()[place])

    def __contains__(self, one: object) -> bool:
        return isinstance(one, Instance) and any(one == other for other in self)

    def _read(self, number: int) -> Instance:
        self._file.seek(self._begins[number])
        return _unpacked(self._file.read(self._begins[number + 1] - self._begins[number]))

    def _in_order(self) -> "array[int]":
        if len(self._order) != len(self._ids):
            # Sorted twice: a pair for each of a million would take more than all else here.
            numbers = sorted(range(len(self._ids)), key=self._ids.__getitem__)
            numbers.sort(key=self._depths.__getitem__)
            self._order = array("q", numbers)
        return self._order


def _packed(one: Instance) -> bytes:
    """Return an instance in bytes; plain values take a third of the time that an instance's own pickle takes."""
    plane = one.plane.c, one.plane.z, one.plane.t
    outline = shapely.to_wkb(one.polygon)
    measured = one.area_um2, one.mean_probability, one.sureness
    return pickle.dumps((one.prompt_id, one.kind.value, outline, one.class_name, plane, measured), -1)


def _unpacked(content: bytes) -> Instance:
    identity, kind, outline, class_name, plane, measured = pickle.loads(content)  # noqa: S301 - our own
    return Instance(identity, ObjectKind(kind), shapely.from_wkb(outline), class_name, Plane(*plane), *measured)
