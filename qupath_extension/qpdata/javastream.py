"""Reading a Java serialization stream, such as data.qpdata, as plain values: strings, arrays, objects as named fields.

`hierarchy` interprets the values. Nothing in a stream is ever executed: a class is a name with fields. The grammar is
chapter 6 of the Java Object Serialization Specification (protocol 2).
"""

import struct
from collections.abc import Callable, Generator, Iterator
from types import GeneratorType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from qupath_extension.qpdata.javabytes import I4, StreamError
from qupath_extension.qpdata.javaclasses import (
    ARRAY,
    BLOCK,
    BLOCK_LONG,
    CLASS,
    CLASS_DESC,
    END_BLOCK,
    ENUM,
    EXCEPTION,
    NULL,
    OBJECT,
    PROXY_CLASS,
    REFERENCE,
    STRING,
    STRING_LONG,
    JavaClasses,
)
from qupath_extension.qpdata.javavalues import JavaClass, JavaEnum, JavaObject, Value

_MAGIC = b"\xac\xed\x00\x05"
_DTYPES: dict[str, np.dtype[Any]] = {
    "[B": np.dtype("i1"),
    "[C": np.dtype(">u2"),
    "[D": np.dtype(">f8"),
    "[F": np.dtype(">f4"),
    "[I": np.dtype(">i4"),
    "[J": np.dtype(">i8"),
    "[S": np.dtype(">i2"),
    "[Z": np.dtype("?"),
}

# An object or an array of objects is read by a generator that yields the values nested in it, so that the nesting
# of the stream never becomes the depth of Python's own stack.
_Nested: TypeAlias = Generator[Any, Value, Value]


class _EndOfContents:
    """The mark that closes the open contents of an object; never handed out."""


_END = _EndOfContents()


class JavaStream(JavaClasses):
    """The contents of one stream, in their order.

    Raises
    ------
    StreamError
        Not such a stream, cut short or damaged; the message names the byte.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        if not data.startswith(_MAGIC):
            seen = f"starts with {data[:4].hex(' ')}" if data else "is empty"
            raise StreamError(f"it {seen}, and a QuPath data file starts with {_MAGIC.hex(' ')}")
        self._skip(len(_MAGIC))

    def __iter__(self) -> Iterator[Value]:
        """Yield the values at the top of the stream; a block of primitive data comes as bytes."""
        while self._at < len(self._data):
            value = self._whole_value()
            if value is _END:
                raise self._error("an end mark that closes nothing")
            yield value

    def _whole_value(self) -> Any:
        """Read one value with all that is nested in it."""
        try:
            value = self._begin()
            return self._run(value) if type(value) is GeneratorType else value
        except (IndexError, struct.error):
            raise self._error("the file ends in the middle of a value") from None

    @staticmethod
    def _run(nested: _Nested) -> Value:
        """Run generators that yield generators, without recursion."""
        stack = [nested]
        answer: Value = None
        while stack:
            try:
                inner = stack[-1].send(answer)
            except StopIteration as done:
                stack.pop()
                answer = done.value
            else:
                stack.append(inner)
                answer = None
        return answer

    def _begin(self) -> Any:
        """Return the next value, or a generator of it where others may be nested in it."""
        tag = self._tag()
        start = _STARTS.get(tag)
        if start is None:
            raise self._error(f"an unknown mark 0x{tag:02x}")
        return start(self)

    def _null(self) -> None:
        return None

    def _end(self) -> _EndOfContents:
        return _END

    def _block(self) -> bytes:
        self._at += 1
        return self._bytes(self._data[self._at - 1])

    def _long_block(self) -> bytes:
        return self._bytes(self._number(I4))

    def _bare_class(self) -> JavaClass | None:
        self._at -= 1
        return self._class_desc()

    def _class(self) -> Any:
        return self._remember(self._class_desc())

    def _exception(self) -> None:
        raise self._error("QuPath met an exception while it wrote the file")

    def _object(self) -> _Nested:
        java_class = self._class_desc_of("an object")
        made: JavaObject = self._remember(JavaObject(java_class))
        fields = made.fields
        for part in java_class.parts:
            if part.names:
                fields.update(zip(part.names, part.layout.unpack_from(self._data, self._at), strict=True))
                self._at += part.layout.size
            for name in part.object_names:
                value = self._begin()
                if type(value) is GeneratorType:
                    value = yield value
                if value is _END:
                    raise self._error(f"field {name} of {java_class.name} is missing")
                fields[name] = value
            while part.is_open:
                value = self._begin()
                if type(value) is GeneratorType:
                    value = yield value
                if value is _END:
                    break
                made.contents.append(value)
        return made

    def _array(self) -> Any:
        java_class = self._class_desc_of("an array")
        dtype = _DTYPES.get(java_class.name)
        if dtype is None:
            return self._object_array()
        index = len(self._handles)
        self._handles.append(None)
        count = self._number(I4)
        start = self._at
        self._skip(count * dtype.itemsize)
        values: npt.NDArray[Any] = np.frombuffer(self._data, dtype, count, start)
        self._handles[index] = values
        return values

    def _object_array(self) -> _Nested:
        values: list[Value] = self._remember([])
        for _ in range(self._number(I4)):
            value = self._begin()
            if type(value) is GeneratorType:
                value = yield value
            if value is _END:
                raise self._error("an array ends before its last element")
            values.append(value)
        return values

    def _enum(self) -> _Nested:
        java_class = self._class_desc_of("an enum")
        made: JavaEnum = self._remember(JavaEnum(java_class.name))
        constant = self._begin()
        if not isinstance(constant, str):
            raise self._error(f"a constant of {java_class.name} without a name")
        made.constant = constant
        return made
        yield  # a generator, as for all values that may hold others

    def _class_desc_of(self, owner: str) -> JavaClass:
        java_class = self._class_desc()
        if java_class is None:
            raise self._error(f"{owner} without a class")
        return java_class


_STARTS: dict[int, Callable[[JavaStream], Any]] = {
    NULL: JavaStream._null,
    REFERENCE: JavaStream._referenced,
    CLASS_DESC: JavaStream._bare_class,
    OBJECT: JavaStream._object,
    STRING: JavaStream._string,
    ARRAY: JavaStream._array,
    CLASS: JavaStream._class,
    BLOCK: JavaStream._block,
    END_BLOCK: JavaStream._end,
    BLOCK_LONG: JavaStream._long_block,
    EXCEPTION: JavaStream._exception,
    STRING_LONG: JavaStream._long_string,
    PROXY_CLASS: JavaStream._bare_class,
    ENUM: JavaStream._enum,
}
