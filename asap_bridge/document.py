"""An ASAP file as its values and as the text that they stand in, so that a part can be changed and the rest is kept.

An edit cuts and inserts whole elements: all else stays byte for byte, elements that this program does not know too.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from asap_bridge.annotations import Annotation, Group
from asap_bridge.parsing import Parsed, Span, UnfinishedError, parse
from asap_bridge.text import annotation_text, attributes_text, group_text
from nuclick_wsi.errors import PromptError
from nuclick_wsi.shared_files import Stamp

EMPTY = b'<?xml version="1.0"?>\n<ASAP_Annotations>\n\t<Annotations />\n\t<AnnotationGroups />\n</ASAP_Annotations>\n'
_PATIENCE, _QUIET, _MOMENT = 30.0, 1.0, 0.02
"""Seconds: to wait for a save to end, without a change after which it has ended, between two looks."""
_SPACE = b" \t\r\n"

_Change: TypeAlias = tuple[Span, Iterable[str]]


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change; annotations and groups are named by their place in the document.

    Attributes
    ----------
    add
        Gone through once where the edit is made: they need not be in memory.
    attributes
        What a group's attributes become.
    """

    drop: Collection[int] = ()
    add: Collection[Annotation] = ()
    drop_groups: Collection[int] = ()
    add_groups: Collection[Group] = ()
    attributes: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is to change."""
        return any(map(len, (self.drop, self.add, self.drop_groups, self.add_groups, self.attributes)))


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A file's annotations and groups, each in the order of the file."""

    parsed: Parsed

    @property
    def annotations(self) -> Sequence[Annotation]:
        """All annotations, those of the user and those of runs."""
        return self.parsed.annotations

    @property
    def groups(self) -> Sequence[Group]:
        """All groups."""
        return self.parsed.groups

    def edited(self, edit: Edit) -> bytes:
        """Return the text with an edit made, as `pieces` says it."""
        return b"".join(self.pieces(edit))

    def pieces(self, edit: Edit) -> Iterator[bytes | memoryview]:
        """Yield the text with an edit made in pieces, of which there may be much more than memory is for.

        Numbers are written as the file writes them: with decimal commas where it has some, for then the ASAP that
        wrote it reads no others.
        """
        parsed, comma = self.parsed, self.parsed.has_commas
        known = {group.name for group in self.groups} | {group.name for group in edit.add_groups} | {None}
        changes: list[_Change] = []
        changes += [(_with_space(parsed.data, parsed.annotation_spans[index]), ()) for index in edit.drop]
        changes += [(_with_space(parsed.data, parsed.group_spans[index]), ()) for index in edit.drop_groups]
        changes += [self._set_attributes(index, attributes) for index, attributes in edit.attributes.items()]
        if edit.add:
            texts = (annotation_text(_in_group(one, known), comma) for one in edit.add)
            changes.append(_insertion(parsed.data, parsed.annotations_end, texts))
        if edit.add_groups:
            changes.append(_insertion(parsed.data, parsed.groups_end, map(group_text, edit.add_groups)))
        return _spliced(parsed.data, changes)

    def _set_attributes(self, index: int, attributes: Mapping[str, str]) -> _Change:
        span = self.parsed.attribute_spans[index]
        if span is not None:
            return span, (attributes_text(attributes),)
        group = self.groups[index]
        changed = Group(group.name, group.parent, group.color, attributes)
        return self.parsed.group_spans[index], (group_text(changed).lstrip(),)


def read_document(path: Path) -> Document:
    """Read an ASAP file; errors as `read_stamped`."""
    return read_stamped(path)[0]


def read_stamped(path: Path) -> tuple[Document, Stamp]:
    """Read an ASAP file, and what it was like; one that is being saved is read when that is done.

    Raises
    ------
    PromptError
        It cannot be read, is not ASAP's, or breaks a rule that ASAP relies on; the message names the annotation.
    """
    given_up = time.monotonic() + _PATIENCE
    while True:
        try:
            data, quiet = path.read_bytes(), time.time() - path.stat().st_mtime
            return Document(parse(data, str(path))), Stamp.of(data)
        except OSError as error:
            raise PromptError(f"{path} cannot be read: {error.strerror or error}.") from error
        except UnfinishedError:
            # ASAP empties the file and writes it anew: a beginning of it that is growing is no damage.
            if quiet > _QUIET or time.monotonic() > given_up:
                raise
        time.sleep(_MOMENT)


def write_document(annotations: Sequence[Annotation], groups: Sequence[Group]) -> bytes:
    """Return a whole new file of these annotations and groups."""
    return Document(parse(EMPTY, "an empty file")).edited(Edit(add=annotations, add_groups=groups))


def _with_space(data: bytes, span: Span) -> Span:
    """Return the span of an element with the space before it, so that inserting and cutting it leaves no trace."""
    start = span[0]
    while data[start - 1] in _SPACE:
        start -= 1
    return start, span[1]


def _insertion(data: bytes, end: int, texts: Iterable[str]) -> _Change:
    """Return the change that puts elements behind the last one before the end tag at `end`."""
    start, _ = _with_space(data, (end, end))
    return (start, start), texts if start < end else chain(texts, ("\n\t",))


def _in_group(one: Annotation, known: Set[str | None]) -> Annotation:
    assert one.group in known, "ASAP refuses a file with a group that is not listed"
    return one


def _spliced(data: bytes, changes: Iterable[_Change]) -> Iterator[bytes | memoryview]:
    """Yield the text with its changes made; theirs is generated as it is written, for there may be much of it."""
    view = memoryview(data)
    done = 0
    for (start, end), texts in sorted(changes, key=itemgetter(0)):
        yield view[done:start]
        yield from (text.encode() for text in texts)
        done = end
    yield view[done:]
