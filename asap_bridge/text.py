"""Annotations and groups as the XML text that ASAP writes: its elements, its order, nine significant digits."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from asap_bridge.annotations import UNGROUPED, Annotation, Group

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def safe(text: str) -> str:
    """Return a text that an XML file can hold: what it cannot becomes the replacement character."""
    return _FORBIDDEN.sub("\ufffd", text)


def annotation_text(one: Annotation, comma: bool = False) -> str:
    """Return an annotation as an element on lines of its own, each after a line break.

    ElementTree writes the same, but takes some 5 us a coordinate, and a slide of nuclei has millions.

    Parameters
    ----------
    comma
        Whether numbers get a decimal comma.
    """
    numbers = [(f"{x:.9g}", f"{y:.9g}") for x, y in one.points.tolist()]
    if comma:
        numbers = [(x.replace(".", ","), y.replace(".", ",")) for x, y in numbers]
    coordinates = "".join(
        f'\n\t\t\t\t<Coordinate Order="{order}" X="{x}" Y="{y}" />' for order, (x, y) in enumerate(numbers)
    )
    head = _element("Annotation", {"Name": one.name, "Type": one.type.value, **_place(one.group, one.color)})
    return f"\n\t\t<{head}>\n\t\t\t<Coordinates>{coordinates}\n\t\t\t</Coordinates>\n\t\t</Annotation>"


def group_text(group: Group) -> str:
    """Return a group as an element on lines of its own, each after a line break."""
    head = _element("Group", {"Name": group.name, **_place(group.parent, group.color)})
    return f"\n\t\t<{head}>\n\t\t\t{attributes_text(group.attributes)}\n\t\t</Group>"


def attributes_text(attributes: Mapping[str, str]) -> str:
    """Return a group's attributes as an element; a key must be an XML name, for ASAP makes it one."""
    if not attributes:
        return "<Attributes />"
    lines = "".join(f"\n\t\t\t\t<{_element('Attribute', {key: text})} />" for key, text in attributes.items())
    return f"<Attributes>{lines}\n\t\t\t</Attributes>"


def _place(group: str | None, color: str) -> dict[str, str]:
    return {"PartOfGroup": UNGROUPED if group is None else group, "Color": color}


def _element(tag: str, attributes: Mapping[str, str]) -> str:
    return " ".join([tag, *(f"{key}={quoteattr(safe(text))}" for key, text in attributes.items())])
