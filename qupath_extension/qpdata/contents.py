"""Reading what a QuPath class wrote by hand, in its order: objects, and numbers out of blocks of bytes.

The counterpart of Java's `ObjectInput`, over an object that `javastream` has read already.
"""

import struct
import uuid

from qupath_extension.qpdata.javavalues import JavaObject, Value

_INTEGER, _DOUBLE = struct.Struct(">i"), struct.Struct(">d")


class Contents:
    """The contents of one object, read from the front.

    Every method raises ValueError where the contents hold something else.
    """

    def __init__(self, java: JavaObject) -> None:
        self._java = java
        self._next = 0
        self._block = b""

    def value(self) -> Value:
        """Return the next object, string, array or null."""
        self._block = b""
        items = self._java.contents
        while self._next < len(items):
            item = items[self._next]
            self._next += 1
            if not isinstance(item, bytes):
                return item
        raise self._missing("an object")

    def integer(self) -> int:
        """Return the next 32-bit integer."""
        return int(self._number(_INTEGER))

    def double(self) -> float:
        """Return the next double."""
        return float(self._number(_DOUBLE))

    def _number(self, layout: struct.Struct) -> int | float:
        items = self._java.contents
        while len(self._block) < layout.size:
            item = items[self._next] if self._next < len(items) else None
            if not isinstance(item, bytes):
                raise self._missing("a number")
            self._block += item
            self._next += 1
        number: int | float = layout.unpack_from(self._block)[0]
        self._block = self._block[layout.size :]
        return number

    def _missing(self, what: str) -> ValueError:
        return ValueError(f"{self._java.java_class.name} lacks {what} after {self._next} values")


def metadata_of(value: Value) -> dict[str, str]:
    """Return a QuPath MetadataMap as a dictionary; empty for anything else."""
    if not (isinstance(value, JavaObject) and value.is_a("qupath.lib.objects.MetadataMap")):
        return {}
    lists = [item for item in value.contents if isinstance(item, list)]
    if len(lists) != 2:
        return {}
    pairs = zip(*lists, strict=False)
    return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}


def stored_uuid(value: Value) -> str | None:
    """Return the UUID that a string or a Java UUID holds; None for anything else."""
    if isinstance(value, JavaObject) and value.is_a("java.util.UUID"):
        halves = value.fields.get("mostSigBits"), value.fields.get("leastSigBits")
        most, least = (half & 0xFFFF_FFFF_FFFF_FFFF if isinstance(half, int) else 0 for half in halves)
        return str(uuid.UUID(int=most << 64 | least))
    if not isinstance(value, str):
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def packed_color(value: Value) -> tuple[int, int, int] | None:
    """Return red, green and blue of a packed ARGB integer, plain or boxed."""
    number = value.fields.get("value") if isinstance(value, JavaObject) else value
    if not isinstance(number, int):
        return None
    return number >> 16 & 255, number >> 8 & 255, number & 255
