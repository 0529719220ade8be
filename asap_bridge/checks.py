"""What makes an annotation usable: the rules that ASAP itself relies on without checking them.

A `ValueError` says what was seen, what is accepted and what to do; the caller adds the file and the annotation.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np

from asap_bridge.annotations import DEFAULT_COLOR, UNGROUPED, Annotation, AnnotationType, Group, Points

# The attributes of a Coordinate, in the order in which ASAP writes them.
_KEYS = ("Order", "X", "Y")

_EXACTLY = {AnnotationType.DOT: 1, AnnotationType.MEASUREMENT: 2, AnnotationType.RECTANGLE: 4}
_AT_LEAST = {AnnotationType.POLYGON: 3, AnnotationType.SPLINE: 3}

Texts: TypeAlias = Sequence[str]
"""The XML attributes of one element: name, value, name, value."""
Columns: TypeAlias = tuple[list[int], list[float], list[float]]


def annotation_of(attributes: Mapping[str, str], coordinates: Sequence[Texts]) -> Annotation:
    """Return the annotation that an element and its coordinates amount to."""
    kind = _type(attributes.get("Type"))
    if "PartOfGroup" not in attributes:
        raise ValueError('it has no PartOfGroup; name a group, or write PartOfGroup="None"')
    points = _points(coordinates)
    _require_count(kind, len(points))
    group = attributes["PartOfGroup"]
    return Annotation(
        name=attributes.get("Name", ""),
        type=kind,
        points=points,
        group=None if group == UNGROUPED else group,
        color=attributes.get("Color") or DEFAULT_COLOR,
    )


def require_groups(groups: Sequence[Group]) -> None:
    """Refuse groups whose parents are missing, or which lie inside themselves: ASAP hangs on these."""
    parents = {group.name: group.parent for group in groups}
    sound: set[str] = set()
    for group in groups:
        seen = {group.name}
        parent = group.parent
        while parent is not None and parent not in sound:
            if parent not in parents:
                raise ValueError(
                    f"the group {group.name!r} is part of {parent!r}, which is not listed under AnnotationGroups; "
                    "list it there"
                )
            if parent in seen:
                raise ValueError(f"the group {group.name!r} lies inside itself; set its PartOfGroup to another group")
            seen.add(parent)
            parent = parents[parent]
        sound |= seen


def _type(text: str | None) -> AnnotationType:
    try:
        return AnnotationType(text or "")
    except ValueError:
        accepted = ", ".join(AnnotationType)
        raise ValueError(f"its Type is {text!r}; accepted are {accepted}, written exactly so") from None


def _points(coordinates: Sequence[Texts]) -> Points:
    """Return the positions in their order, shape (n, 2)."""
    orders, x, y = _plain(coordinates) or _any(coordinates)
    with np.errstate(over="ignore"):
        points = np.array([x, y], np.float64).T.astype(np.float32)
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise ValueError(
            f"coordinate {orders[row]} is ({x[row]}, {y[row]}); both must be finite numbers, pixels of the full "
            "resolution"
        )
    if orders == list(range(len(orders))):
        return points
    _require_orders(orders)
    return points[np.argsort(orders)]


def _plain(coordinates: Sequence[Texts]) -> Columns | None:
    """Return orders, x and y where they are written as ASAP writes them in English; None where anything is unusual.

    The same as `_any`, without a line of Python for each of the millions of coordinates of a slide.
    """
    texts = list(chain.from_iterable(coordinates))
    if any(texts[place::6] != [key] * len(coordinates) for place, key in zip((0, 2, 4), _KEYS, strict=True)):
        return None
    if not "".join(texts[1::6]).isdecimal() or "_" in "".join(texts):
        return None
    try:
        return list(map(int, texts[1::6])), list(map(float, texts[3::6])), list(map(float, texts[5::6]))
    except ValueError:
        return None


def _any(coordinates: Sequence[Texts]) -> Columns:
    """Return orders, x and y, of which each may be written in any way that is accepted."""
    rows = [_in_key_order(texts) for texts in coordinates]
    return [_order(row[0]) for row in rows], [_number(row[1]) for row in rows], [_number(row[2]) for row in rows]


def _in_key_order(texts: Texts) -> list[str]:
    """Return the values of order, x and y."""
    found = dict(zip(texts[::2], texts[1::2], strict=True))
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise ValueError(f"a coordinate has no {missing[0]}; each needs {', '.join(_KEYS)}")
    return [found[key] for key in _KEYS]


def _order(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"a coordinate's Order is {text!r}; accepted are whole numbers from 0 on")
    return int(text)


def _require_orders(orders: Sequence[int]) -> None:
    """Refuse orders that are not 0 to n - 1: ASAP uses them as places in an array of n."""
    order, count = Counter(orders).most_common(1)[0]
    missing = min(set(range(len(orders))) - set(orders), default=None)
    if missing is not None:
        wrong = f"{order} is there {count} times" if count > 1 else f"{missing} is missing"
        raise ValueError(
            f"its {len(orders)} coordinates must be numbered by Order from 0 to {len(orders) - 1}, and {wrong}; "
            "number them again, or delete the annotation and draw it anew"
        )


def _number(text: str) -> float:
    """Return a number, with a point or, as ASAP writes it in some languages, with a comma."""
    try:
        if "_" in text:
            raise ValueError
        return float(text.replace(",", "."))
    except ValueError:
        raise ValueError(
            f"a coordinate is {text!r}; accepted are numbers such as 1024.5 or 1024,5, pixels of the full resolution"
        ) from None


def _require_count(kind: AnnotationType, count: int) -> None:
    exact, least = _EXACTLY.get(kind), _AT_LEAST.get(kind, 0)
    if count < least or (exact is not None and count != exact):
        accepted = f"exactly {exact}" if exact is not None else f"at least {least}"
        raise ValueError(f"a {kind} of {count} points; it needs {accepted}: delete it in ASAP, or draw it anew")
