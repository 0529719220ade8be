"""The classes of a Java stream: what they are called, what they extend, and which fields their objects have.

Strings and references are read here too, for class descriptions need them; all else is read by `javastream`, on top
of this.
"""

from typing import Any

from qupath_extension.qpdata.javabytes import I4, I8, U2, JavaBytes
from qupath_extension.qpdata.javavalues import JavaClass

NULL, REFERENCE, CLASS_DESC, OBJECT, STRING, ARRAY, CLASS, BLOCK, END_BLOCK = range(0x70, 0x79)
RESET, BLOCK_LONG, EXCEPTION, STRING_LONG, PROXY_CLASS, ENUM = range(0x79, 0x7F)
_FIRST_HANDLE = 0x7E0000


class JavaClasses(JavaBytes):
    """The bytes of a stream, with the handles by which later parts refer to earlier ones."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._handles: list[Any] = []

    def _tag(self) -> int:
        tag = self._data[self._at]
        while tag == RESET:
            self._handles.clear()
            self._at += 1
            tag = self._data[self._at]
        self._at += 1
        return tag

    def _referenced(self) -> Any:
        index = self._number(I4) - _FIRST_HANDLE
        if not 0 <= index < len(self._handles):
            raise self._error("a reference to something that was not written")
        return self._handles[index]

    def _remember(self, value: Any) -> Any:
        self._handles.append(value)
        return value

    def _string(self) -> Any:
        return self._remember(self._text(self._number(U2)))

    def _long_string(self) -> Any:
        return self._remember(self._text(self._number(I8)))

    def _class_desc(self) -> JavaClass | None:
        """Read a class and its superclasses, which follow one another."""
        first, is_new = self._one_class()
        if not is_new:
            return first
        last = first
        while is_new and last is not None:
            parent, is_new = self._one_class()
            last.parent = parent
            last = parent
        if first is not None and first.is_its_own_ancestor():
            raise self._error(f"class {first.name} is its own superclass")
        return first

    def _one_class(self) -> tuple[JavaClass | None, bool]:
        tag = self._tag()
        if tag == NULL:
            return None, False
        if tag == REFERENCE:
            known = self._referenced()
            if not isinstance(known, JavaClass):
                raise self._error("a class was expected")
            return known, False
        if tag == CLASS_DESC:
            return self._plain_class(), True
        if tag == PROXY_CLASS:
            return self._proxy_class(), True
        raise self._error(f"a class was expected, not a mark 0x{tag:02x}")

    def _plain_class(self) -> JavaClass:
        name = self._text(self._number(U2))
        self._skip(I8.size)  # serialVersionUID: we read by field names
        made: JavaClass = self._remember(JavaClass(name))
        flags = self._data[self._at]
        self._at += 1
        fields = [self._field(name) for _ in range(self._number(U2))]
        if not made.define(flags, fields):
            raise self._error(f"class {name} is written in an old protocol that cannot be read without Java")
        self._no_annotation(name)
        return made

    def _proxy_class(self) -> JavaClass:
        made: JavaClass = self._remember(JavaClass("a dynamic proxy"))
        for _ in range(self._number(I4)):
            self._text(self._number(U2))
        made.define(2, [])
        self._no_annotation(made.name)
        return made

    def _field(self, class_name: str) -> tuple[str, str]:
        """Read one field as its type code and name."""
        code = chr(self._data[self._at])
        self._at += 1
        if code not in "BCDFIJSZL[":
            raise self._error(f"class {class_name} has a field of unknown type {code!r}")
        name = self._text(self._number(U2))
        if code in "L[":
            self._field_type(class_name, name)
        return code, name

    def _field_type(self, class_name: str, name: str) -> None:
        start = {STRING: self._string, STRING_LONG: self._long_string, REFERENCE: self._referenced}.get(self._tag())
        if start is None or not isinstance(start(), str):
            raise self._error(f"field {name} of class {class_name} has no type")

    def _no_annotation(self, class_name: str) -> None:
        # Only remote method invocation annotates classes; a QuPath file never does.
        if self._tag() != END_BLOCK:
            raise self._error(f"class {class_name} carries an annotation, which no QuPath file has")
