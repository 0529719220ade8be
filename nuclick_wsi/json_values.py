"""Values inside JSON of other programs, where a value of the wrong type counts as absent."""

from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A JSON object."""


def object_at(content: Json, key: str) -> Json:
    """Return an object inside another; empty where there is none."""
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def text_at(content: Json, key: str) -> str | None:
    """Return a string inside an object; None where there is none."""
    value = content.get(key)
    return value if isinstance(value, str) else None
