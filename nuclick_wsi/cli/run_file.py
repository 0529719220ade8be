"""A TOML file of options for `run`: its keys are the command's options, and the command line counts before it.

The options themselves say which keys there are and of what type, so that none is listed twice.
"""

import inspect
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import typer

from nuclick_wsi.errors import SettingsError

ENDING = ".toml"
_TARGET = "target"
_CONFIG = "config"
_ACCEPTED = {bool: "true or false", int: "a whole number", float: "a number"}
_TEXT = "a text in quotes"
_MODEL = "model"
"""An option that takes names as well as files."""


def take_target(context: typer.Context, value: Path) -> Path:
    """Return the target: of a file of options, the one that it names; as a callback of the argument, before all others.

    Raises
    ------
    SettingsError
        If the file cannot be read, has a key that is no option, or names no target.
    """
    if value.suffix.lower() != ENDING:
        return value
    take_config(context, value)
    target = (context.default_map or {}).get(_TARGET)
    if target is None:
        raise SettingsError(
            f'{value} names no target: add target = "project.qpproj", or what else is to be worked on; or name that on '
            "the command line, and this file with --config."
        )
    return Path(target)


def take_config(context: typer.Context, value: Path | None) -> Path | None:
    """Make a file's options the defaults of a command; as a callback of the option that names it, before all others."""
    if value is not None:
        context.default_map = {**(context.default_map or {}), **read_run_file(value, _keys_of(context))}
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """An option of a command, as a file may give it."""

    name: str
    """Of the command's parameter."""
    type: type
    """Of a value, and of each where there may be several."""
    is_list: bool


def read_run_file(path: Path, keys: Mapping[str, Key]) -> dict[str, Any]:
    """Return the values in a file by the names of parameters; paths in it are as seen from the file.

    Raises
    ------
    SettingsError
        If the file cannot be read, or has a key or a value that the command does not take.
    """
    found: dict[str, Any] = {}
    for written, value in _content(path).items():
        key = keys.get(written.replace("_", "-"))
        if key is None:
            raise SettingsError(
                f"{path}: there is no option {written!r}; accepted are {', '.join(sorted(keys))}, as in "
                "`nuclick-wsi run --help`."
            )
        values = value if key.is_list and isinstance(value, list) else [value]
        taken = [_value(path, written, one, key) for one in values]
        found[key.name] = taken if key.is_list else taken[0]
    return found


def _keys_of(context: typer.Context) -> dict[str, Key]:
    """Return a command's options by their long names, and its argument by its own."""
    callback = context.command.callback
    assert callback is not None, "a command does something"
    hints = get_type_hints(inspect.unwrap(callback))
    keys = {}
    for param in context.command.params:
        if param.name in hints and param.name != _CONFIG:
            long = next((name for name in param.opts if name.startswith("--")), param.name)
            keys[long.removeprefix("--")] = _key(param.name, hints[param.name])
    return keys


def _key(name: str, hint: Any) -> Key:
    inner = [one for one in get_args(hint) if one is not type(None)]
    plain = inner[0] if isinstance(hint, UnionType) else hint
    is_list = get_origin(plain) is list
    return Key(name, get_args(plain)[0] if is_list else plain, is_list)


def _content(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is no TOML: {error}. A line is an option and its value, as mpp = 0.25.") from error


def _value(path: Path, written: str, value: Any, key: Key) -> Any:
    """Return a value as the command takes it; what is in it, the command checks itself."""
    kind = next((one for one in _ACCEPTED if issubclass(key.type, one)), str)
    fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise SettingsError(f"{path}: {written} is {value!r:.60}; accepted is {_ACCEPTED.get(kind, _TEXT)}.")
    try:
        beside = path.parent / Path(value).expanduser() if kind is str else path
        is_path = issubclass(key.type, Path) or (key.name == _MODEL and beside.is_file())
    except (RuntimeError, OSError) as error:  # no such user's home, or a name that no file can have
        what = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{path}: {written} is {value!r:.60}, which is no place of a file ({what}).") from error
    return str(beside) if is_path else value
