"""How the marks of a file differ from what a page has of them: what is new there, and what is gone.

The page says which marks it has added, changed or deleted since it read the file; all others are as they were there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nuclick_wsi.errors import RequestError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.json_values import Json
from nuclick_wsi.viewer.loading import Loaded
from nuclick_wsi.viewer.marks import PageMark, key_of, read_marks


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What a page would take over from its file.

    Attributes
    ----------
    new
        Marks that the page does not know.
    gone
        Ids of marks of the page that came from the file, are as they came, and are not there any more, or of another
        class.
    class_colors
        Of the file's classes.
    """

    new: Sequence[PageMark] = ()
    gone: Sequence[str] = ()
    class_colors: Mapping[str, Color] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.new or self.gone)

    def as_json(self) -> Json:
        """Return them as the page takes them."""
        return {"new": [mark.as_json() for mark in self.new], "gone": self.gone, "class_colors": self.class_colors}


def changes_since(document: Json, file: Loaded) -> FileChanges:
    """Return what a file has that a document of the page does not know.

    Parameters
    ----------
    document
        `prompts`: the marks; `changed`: the ids of those that the page has added, changed or deleted. Documents of
        earlier versions do not say it: all of their marks count as changed.
    file
        The marks of the file as it is now.

    Raises
    ------
    RequestError
        If it is no document.
    """
    marks = read_marks(document.get("prompts"))
    changed = _changed(document, marks)
    here = {key_of(mark): mark for mark in marks}
    there = {key_of(mark): mark for mark in file.marks}
    gone = [mark.id for key, mark in here.items() if mark.id not in changed and not is_as_in(mark, key, there)]
    replaced = set(gone)
    new = [
        mark
        for key, mark in there.items()
        if (key not in here or here[key].id in replaced) and not {mark.id, mark.source} & changed
    ]
    return FileChanges(new, gone, file.class_colors)


def is_as_in(mark: PageMark, key: str, others: Mapping[str, PageMark]) -> bool:
    """Whether a mark is among others by its key, with its class and plane; what it is in, only the page knows."""
    other = others.get(key)
    return other is not None and (mark.class_name, mark.plane) == (other.class_name, other.plane)


def _changed(document: Json, marks: Sequence[PageMark]) -> set[Any]:
    changed = document.get("changed")
    if changed is None:
        return {mark.id for mark in marks}
    if not isinstance(changed, list) or not all(isinstance(one, str) for one in changed):
        raise RequestError(f"changed is {changed!r:.60}, not a list of ids.")
    return set(changed)
