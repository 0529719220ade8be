"""The bytes of a Java stream, read from the front: numbers, runs of bytes, and Java's own UTF-8."""

import struct

U2, I4, I8 = struct.Struct(">H"), struct.Struct(">i"), struct.Struct(">q")


class StreamError(ValueError):
    """The bytes are not a whole stream."""


class JavaBytes:
    """A place in the bytes, which every method moves on.

    Past the end, `_number` raises struct.error, and all others StreamError.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _number(self, layout: struct.Struct) -> int:
        number: int = layout.unpack_from(self._data, self._at)[0]
        self._at += layout.size
        return number

    def _skip(self, count: int) -> None:
        if not 0 <= count <= len(self._data) - self._at:
            raise self._error(f"{count} bytes are announced and {len(self._data) - self._at} follow")
        self._at += count

    def _bytes(self, count: int) -> bytes:
        self._skip(count)
        return self._data[self._at - count : self._at]

    def _text(self, count: int) -> str:
        raw = self._bytes(count)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return self._modified_utf8(raw)

    def _modified_utf8(self, raw: bytes) -> str:
        """Decode what Java writes differently: U+0000 as two bytes, and all beyond U+FFFF as two surrogates."""
        try:
            text = raw.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise self._error("text that is not Java's UTF-8") from None
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _error(self, what: str) -> StreamError:
        return StreamError(f"{what}, at byte {self._at} of {len(self._data)}")
