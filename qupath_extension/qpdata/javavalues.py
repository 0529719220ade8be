"""The values of a Java stream: classes as lists of fields, objects as the values of their fields.

`javastream` builds them; `hierarchy` knows what QuPath means by them.
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy.typing as npt

Value: TypeAlias = (
    "bool | int | float | str | bytes | JavaObject | JavaEnum | JavaClass | list[Value] | npt.NDArray[Any] | None"
)

_WRITE_METHOD, _SERIALIZABLE, _EXTERNALIZABLE, _BLOCK_DATA = 1, 2, 4, 8
_STRUCT_CODES = {"B": "b", "C": "H", "D": "d", "F": "f", "I": "i", "J": "q", "S": "h", "Z": "?"}


@dataclass(frozen=True, slots=True)
class Part:
    """What one class of a chain writes of an object: primitive fields, then objects, then open contents."""

    names: tuple[str, ...]
    layout: struct.Struct
    object_names: tuple[str, ...]
    is_open: bool


_NOTHING = Part((), struct.Struct(">"), (), False)


class JavaClass:
    """A class as the stream describes it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parent: JavaClass | None = None
        self.is_external = False
        self._part = _NOTHING

    def define(self, flags: int, fields: list[tuple[str, str]]) -> bool:
        """Take the flags and the fields, each a type code and a name; False where they cannot be read."""
        self.is_external = bool(flags & _EXTERNALIZABLE)
        if self.is_external:
            self._part = Part((), struct.Struct(">"), (), True)
            return bool(flags & _BLOCK_DATA)
        if flags & _SERIALIZABLE:
            primitive = [(code, name) for code, name in fields if code in _STRUCT_CODES]
            self._part = Part(
                tuple(name for _, name in primitive),
                struct.Struct(">" + "".join(_STRUCT_CODES[code] for code, _ in primitive)),
                tuple(name for code, name in fields if code not in _STRUCT_CODES),
                bool(flags & _WRITE_METHOD),
            )
        return True

    def is_its_own_ancestor(self) -> bool:
        """Whether the chain of superclasses is a ring, as only a damaged file has it."""
        seen = set()
        one: JavaClass | None = self
        while one is not None and one not in seen:
            seen.add(one)
            one = one.parent
        return one is not None

    @cached_property
    def chain(self) -> tuple["JavaClass", ...]:
        """The class and its superclasses, the class itself first."""
        found = [self]
        while found[-1].parent is not None:
            found.append(found[-1].parent)
        return tuple(found)

    @cached_property
    def names(self) -> frozenset[str]:
        """The full names of the class and of its superclasses."""
        return frozenset(one.name for one in self.chain)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What an object of this class holds, in the order of the stream: superclasses first.

        An externalizable class writes its superclasses' part itself.
        """
        if self.is_external:
            return (self._part,)
        return tuple(one._part for one in reversed(self.chain) if one._part is not _NOTHING)


class JavaObject:
    """One object: its fields by name, and the open contents that its class wrote by hand, in order."""

    __slots__ = ("contents", "fields", "java_class")

    def __init__(self, java_class: JavaClass) -> None:
        self.java_class = java_class
        self.fields: dict[str, Value] = {}
        self.contents: list[Value] = []

    def is_a(self, class_name: str) -> bool:
        """Whether the object's class, or a superclass, has this full name."""
        return class_name in self.java_class.names


class JavaEnum:
    """One constant of an enum."""

    __slots__ = ("class_name", "constant")

    def __init__(self, class_name: str, constant: str = "") -> None:
        self.class_name = class_name
        self.constant = constant
