"""The XML of an ASAP file: one pass of a parser that refuses DTDs and entities, noting what stands where.

It finds annotations and groups, and where each is in the text. Elements that ASAP does not know are skipped.
"""

import codecs
import re
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.parsers.expat import ErrorString, ExpatError, errors

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from asap_bridge.annotations import DEFAULT_GROUP_COLOR, UNGROUPED, Annotation, Group
from asap_bridge.checks import annotation_of, require_groups
from nuclick_wsi.errors import PromptError


class UnfinishedError(PromptError):
    """A file ends before its root does: it is cut short, or another program is writing it just now."""


Span: TypeAlias = tuple[int, int]
"""Where an element starts and ends in the text, in bytes."""

_UNFINISHED = (errors.XML_ERROR_NO_ELEMENTS, errors.XML_ERROR_UNCLOSED_TOKEN, errors.XML_ERROR_PARTIAL_CHAR)
"""What the parser says where a text ends too early."""
_ROOT = "ASAP_Annotations"
_LISTS = ("Annotations", "AnnotationGroups")
_MEMBERS = {"Annotations": "Annotation", "AnnotationGroups": "Group"}
_DETAILS = {"Coordinates": "Coordinate", "Attributes": "Attribute"}
_COMMA = re.compile(rb"""\b[XY]\s*=\s*["'][^"',]*,""")
_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_DECLARED = re.compile(r"""(?s)^(\s*<\?xml[^>]*?)\s+encoding\s*=\s*["'][^"']*["']""")
_LONGEST_DECLARATION = 1000
"""Bytes; the time to look for an encoding in it grows with their square."""


@dataclass(slots=True)
class Parsed:
    """What one pass has found. The text is UTF-8, whatever the encoding of the file."""

    data: bytes
    annotations: list[Annotation] = field(default_factory=list)
    annotation_spans: list[Span] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    group_spans: list[Span] = field(default_factory=list)
    attribute_spans: list[Span | None] = field(default_factory=list)
    """Of each group; None where a group has no element for attributes."""
    outer_spans: dict[str, Span] = field(default_factory=dict)
    """Of the root and of the two lists, each from its start to its end tag, or to its end if it has none."""

    @property
    def annotations_end(self) -> int:
        """Where the end tag of the list of annotations is."""
        return self.outer_spans[_LISTS[0]][1]

    @property
    def groups_end(self) -> int:
        """Where the end tag of the list of groups is."""
        return self.outer_spans[_LISTS[1]][1]

    @property
    def has_commas(self) -> bool:
        """Whether numbers are written with decimal commas."""
        return _COMMA.search(self.data) is not None


def parse(data: bytes, source: str) -> Parsed:
    """Parse a file.

    Parameters
    ----------
    source
        What errors call the file.

    Raises
    ------
    PromptError
        It is not XML, has a DTD, is not ASAP's, or breaks a rule that ASAP relies on.
    """
    found = _Pass(_utf8(data, source), source).run()
    while (completed := _with_end_tags(found)) is not None:
        found = _Pass(completed, source).run()
    return found


def _utf8(data: bytes, source: str) -> bytes:
    """Return the text as UTF-8 without a declaration of anything else."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        declared = _DECLARATION.match(data.removeprefix(codecs.BOM_UTF8)[:_LONGEST_DECLARATION])
        encoding = declared[1].decode() if declared else "utf-8"
    if encoding.lower() in ("utf-8", "utf8", "us-ascii", "ascii"):
        return data
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except (LookupError, UnicodeError) as error:
        raise PromptError(f"{source} is not the {encoding} text that it says it is: save it as UTF-8.") from error
    head, rest = text[:_LONGEST_DECLARATION], text[_LONGEST_DECLARATION:]
    return (_DECLARED.sub(r"\1", head, count=1) + rest).encode()


def _with_end_tags(found: Parsed) -> bytes | None:
    """Return the text with the next of root and lists that lacks an end tag given one; None where all have theirs.

    What is inserted goes before these tags.
    """
    for name in (_ROOT, *_LISTS):
        tag = name.encode()
        if name not in found.outer_spans:
            end = found.outer_spans[_ROOT][1]
            return found.data[:end] + b"\t<" + tag + b">\n\t</" + tag + b">\n" + found.data[end:]
        start, end = found.outer_spans[name]
        if _end_tag(found.data, name, end) is None:
            opened = found.data[start : end - len(b"/>")].rstrip() + b">\n\t</" + tag + b">"
            return found.data[:start] + opened + found.data[end:]
    return None


def _end_tag(data: bytes, tag: str, place: int) -> int | None:
    """Return where the end tag that starts at a place ends; None where an element without one ended there.

    The parser gives this place for both. No element that matters here lies in another of its name, so that what
    follows cannot be another's end tag.
    """
    found = re.compile(rb"</" + tag.encode() + rb"\s*>").match(data, place)
    return None if found is None else found.end()


class _Pass:
    """One run of the parser over a text; its handlers follow the depth, which says what an element is."""

    def __init__(self, data: bytes, source: str) -> None:
        self._found = Parsed(data)
        self._source = source
        # DTDs are refused, so there are no entities either.
        self._parser = XMLParser(forbid_dtd=True).parser
        self._depth = 0
        self._list: str | None = None
        self._starts: dict[int, int] = {}
        self._member: dict[str, str] | None = None
        self._details: dict[str, list[list[str]]] = {}
        self._detail_span: Span | None = None
        self._collecting: tuple[str, list[list[str]]] | None = None

    def run(self) -> Parsed:
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        for unwanted in ("DefaultHandlerExpand", "CharacterDataHandler", "CommentHandler"):
            setattr(self._parser, unwanted, None)
        try:
            self._parser.Parse(self._found.data, True)
        except ExpatError as error:
            kind = UnfinishedError if ErrorString(error.code) in _UNFINISHED else PromptError
            raise kind(f"{self._source} is not XML: {error}. Save the annotations in ASAP again.") from error
        except DefusedXmlException as error:
            raise PromptError(
                f"{self._source} has a DOCTYPE, which could make the file mean anything; ASAP writes none. Take the "
                "DOCTYPE out, or save the annotations in ASAP again."
            ) from error
        self._check_groups()
        return self._found

    def _start(self, tag: str, attributes: list[str]) -> None:
        self._depth += 1
        depth = self._depth
        if depth == 5:
            if self._collecting is not None and tag == self._collecting[0]:
                self._collecting[1].append(attributes)
            return
        self._starts[depth] = self._parser.CurrentByteIndex
        if depth == 1 and tag != _ROOT:
            raise PromptError(
                f"{self._source} is not ASAP's: its root is <{tag}>, where ASAP writes <{_ROOT}>. Open it in ASAP and "
                "save it as XML."
            )
        if depth == 2:
            self._list = tag if tag in _LISTS and tag not in self._found.outer_spans else None
        elif depth == 3 and self._list is not None and tag == _MEMBERS[self._list]:
            self._member = dict(zip(attributes[::2], attributes[1::2], strict=True))
            self._details, self._detail_span = {}, None
        elif depth == 4 and self._member is not None and tag in _DETAILS and tag not in self._details:
            self._details[tag] = []
            self._collecting = _DETAILS[tag], self._details[tag]

    def _end(self, tag: str) -> None:
        depth = self._depth
        self._depth -= 1
        if depth >= 5:
            return
        if depth == 4 and self._collecting is not None:
            self._collecting = None
            if tag == "Attributes":
                self._detail_span = self._span(tag)
        elif depth == 3 and self._member is not None:
            self._end_member(tag, self._member)
            self._member = None
        elif depth == 1 or (depth == 2 and self._list is not None):
            self._found.outer_spans[tag] = self._starts[depth], self._parser.CurrentByteIndex

    def _end_member(self, tag: str, attributes: dict[str, str]) -> None:
        found = self._found
        if tag == "Annotation":
            number = len(found.annotations) + 1
            try:
                found.annotations.append(annotation_of(attributes, self._details.get("Coordinates", ())))
            except ValueError as error:
                name = attributes.get("Name", "")
                raise PromptError(f"{self._source}: annotation {name!r} (number {number}): {error}.") from None
            found.annotation_spans.append(self._span(tag))
            return
        texts = [text for texts in self._details.get("Attributes", ()) for text in texts]
        parent = attributes.get("PartOfGroup", UNGROUPED)
        color = attributes.get("Color") or DEFAULT_GROUP_COLOR
        name = attributes.get("Name", "")
        found.groups.append(
            Group(name, None if parent == UNGROUPED else parent, color, dict(zip(texts[::2], texts[1::2], strict=True)))
        )
        found.group_spans.append(self._span(tag))
        found.attribute_spans.append(self._detail_span)

    def _span(self, tag: str) -> Span:
        """Return where the element that ends here starts and ends; one without end tag ends where the parser is."""
        place = self._parser.CurrentByteIndex
        return self._starts[self._depth + 1], _end_tag(self._found.data, tag, place) or place

    def _check_groups(self) -> None:
        try:
            require_groups(self._found.groups)
        except ValueError as error:
            raise PromptError(f"{self._source}: {error}.") from None
        names = {group.name for group in self._found.groups}
        for number, one in enumerate(self._found.annotations, start=1):
            if one.group is not None and one.group not in names:
                raise PromptError(
                    f"{self._source}: annotation {one.name!r} (number {number}) is part of the group {one.group!r}, "
                    f"which is not listed under AnnotationGroups (these are: {', '.join(sorted(names)) or 'none'}), so "
                    'that ASAP refuses the whole file. List the group there, or write PartOfGroup="None".'
                )
