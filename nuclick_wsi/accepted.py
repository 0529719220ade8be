"""Checks of values that a caller hands over: what can be meant is taken, else the error says what is accepted."""

from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from nuclick_wsi.errors import SettingsError

_Choice = TypeVar("_Choice", bound=Enum)
_Item = TypeVar("_Item")


def one_of(choices: type[_Choice], value: object, what: str) -> _Choice:
    """Return the member of an enumeration that a value is, or is the value of; SettingsError for anything else."""
    if isinstance(value, choices):
        return value
    try:
        return choices(value)
    except ValueError as error:
        accepted = ", ".join(repr(one.value) for one in choices)
        raise SettingsError(f"{what} is {value!r:.80}; accepted are {accepted}.") from error


def all_of(kind: type[_Item], values: object, what: str) -> tuple[_Item, ...]:
    """Return values of one class as a tuple; SettingsError where one is of another, or there is no sequence of them."""
    if isinstance(values, kind | str) or not isinstance(values, Iterable):
        raise SettingsError(f"{what} are {values!r:.80}; accepted is a list of {kind.__name__}.")
    found = values if isinstance(values, tuple) else tuple(values)
    for one in found:
        if not isinstance(one, kind):
            raise SettingsError(f"{what} hold {one!r:.80}; accepted is a list of {kind.__name__}.")
    return found
