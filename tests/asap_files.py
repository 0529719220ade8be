"""ASAP files as ASAP writes them, by hand; and a stand-in for ASAP itself that loads and saves as its source does."""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from asap_bridge.annotations import Annotation, AnnotationType, Group

Places = Sequence[tuple[float, float]]


def annotation(kind: str, places: Places, name: str = "Annotation 0", group: str = "None") -> str:
    """One annotation in the words of ASAP."""
    rows = "".join(
        f'\n\t\t\t\t<Coordinate Order="{order}" X="{x:.9g}" Y="{y:.9g}" />' for order, (x, y) in enumerate(places)
    )
    return (
        f'\t\t<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">\n'
        f"\t\t\t<Coordinates>{rows}\n\t\t\t</Coordinates>\n\t\t</Annotation>\n"
    )


def group(name: str, color: str = "#64FE2E", parent: str = "None") -> str:
    """One group in the words of ASAP."""
    return f'\t\t<Group Name="{name}" PartOfGroup="{parent}" Color="{color}">\n\t\t\t<Attributes />\n\t\t</Group>\n'


def write_asap(path: Path, annotations: Iterable[str], groups: Iterable[str] = ()) -> Path:
    """Write a file as ASAP does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0"?>\n<ASAP_Annotations>\n\t<Annotations>\n'
        + "".join(annotations)
        + "\t</Annotations>\n\t<AnnotationGroups>\n"
        + "".join(groups)
        + "\t</AnnotationGroups>\n</ASAP_Annotations>\n",
        encoding="utf-8",
    )
    return path


def dots(*places: tuple[float, float], group: str = "None", first: int = 0) -> list[str]:
    """Clicks, named as ASAP names them."""
    return [
        annotation("Dot", [place], f"Annotation {number}", group) for number, place in enumerate(places, start=first)
    ]


def float32(text: str) -> float:
    """What ASAP keeps of a number."""
    return float(struct.unpack("<f", struct.pack("<f", float(text)))[0])


class Asap:
    """What ASAP holds of a file, read by the rules of its source (`XmlRepository::loadFromRepo`) and no others."""

    def __init__(self, path: Path) -> None:
        root = ET.parse(path).getroot()
        assert root.tag == "ASAP_Annotations"
        self.groups: list[dict] = []
        for one in root.find("AnnotationGroups"):
            attributes = {key: value for child in one.find("Attributes") or () for key, value in child.attrib.items()}
            self.groups.append({**one.attrib, "attributes": attributes})
        names = {one["Name"] for one in self.groups}
        assert {one["PartOfGroup"] for one in self.groups} <= names | {"None"}
        self.annotations: list[dict] = []
        for one in root.find("Annotations"):
            assert one.attrib["PartOfGroup"] in names | {"None"}, "ASAP refuses the whole file"
            found = one.findall("Coordinates/Coordinate")
            places: list = [None] * len(found)
            for coordinate in found:
                places[int(coordinate.attrib["Order"])] = (
                    float32(coordinate.attrib["X"]),
                    float32(coordinate.attrib["Y"]),
                )
            assert None not in places
            self.annotations.append({**one.attrib, "places": places})

    def save(self, path: Path) -> None:
        """Save as ASAP does: everything that it did not read is lost."""
        annotations = [
            annotation(one["Type"], one["places"], _escaped(one["Name"]), _escaped(one["PartOfGroup"]))
            for one in self.annotations
        ]
        groups = [_group(one) for one in self.groups]
        write_asap(path, annotations, groups)


def _group(one: dict) -> str:
    name, parent = _escaped(one["Name"]), _escaped(one["PartOfGroup"])
    attributes = "".join(f'<Attribute {key}="{_escaped(value)}" />' for key, value in one["attributes"].items())
    head = f'<Group Name="{name}" PartOfGroup="{parent}" Color="{one["Color"]}">'
    return f"{head}<Attributes>{attributes}</Attributes></Group>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def same(one: Annotation, other: Annotation) -> bool:
    """Whether two annotations are equal in all that ASAP keeps."""
    return (one.name, one.type, one.group, one.color) == (
        other.name,
        other.type,
        other.group,
        other.color,
    ) and np.array_equal(one.points, other.points)


def made(kind: AnnotationType, places: Places, name: str = "a", group: str | None = None) -> Annotation:
    """An annotation as a value."""
    return Annotation(name, kind, np.array(places, np.float32).reshape(-1, 2), group)


def listed(*names: str, attributes: Mapping[str, str] | None = None) -> list[Group]:
    """Groups as values."""
    return [Group(name, attributes=attributes or {}) for name in names]
