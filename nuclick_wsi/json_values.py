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
    return encodable(value) if isinstance(value, str) else None


def list_at(content: Json, key: str) -> list[Any]:
    """Return a list inside an object; empty where there is none."""
    value = content.get(key)
    return value if isinstance(value, list) else []


def encodable(text: str) -> str:
    """Return a text with halves of surrogate pairs replaced: JSON and Java may hold them, and no UTF-8 file can."""
    return text if text.isascii() else text.encode(errors="replace").decode()
