"""Results of a run into the ASAP file that the prompts came from: what differs from the last run, and nothing else.

Reads the file anew, so that what the user has saved in the meantime counts, and once more where it is saved while it
is being written; writes it whole or not at all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson

from asap_bridge.annotations import Annotation, Group
from asap_bridge.document import Document, Edit, read_stamped
from asap_bridge.names import ResultName, is_result_group, outer_group, result_group, unchanged_result
from asap_bridge.new_outlines import NewOutlines
from asap_bridge.results import color_of_class
from nuclick_wsi.errors import FileChangedError, PromptError, ResultError
from nuclick_wsi.files import back_up
from nuclick_wsi.leftovers import remove_leftovers
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import NO_PROMPTS_LEFT, Results, Written
from nuclick_wsi.shared_files import Stamp, write_if_unchanged

_DATE = "date"
_ATTEMPTS = 20
"""How often to read the file anew where another program saves it while it is written."""
_MERGED = "the file was saved while the run went on; the results were written into what was saved"
_DECIDES_NOTHING = ("batch_size", "device", "look_at_below", "tile_size", "workers")
"""Settings that decide no outline."""


def _now() -> datetime:
    return datetime.now(UTC)


class AsapSink:
    """Keeps results in an ASAP file, in groups of their own.

    An outline that the user has changed, or moved to another group, is the user's from then on: it stays as it is,
    and later runs write none beside it for the same prompt.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = _now) -> None:
        self.path = path
        self._now = now
        self._seen: Stamp | None = None

    def read(self) -> Document:
        """Read the file, and remember what it was like; PromptError as `read_document`."""
        document, self._seen = read_stamped(self.path)
        return document

    def write(self, results: Results) -> Written:
        """Put these results in the place of those of earlier runs; a file without any is backed up first.

        What was saved since the file was read stays, and the results come into it.
        """
        return self._put(results, keeps_copy=False)[0]

    def _put(self, results: Results, keeps_copy: bool) -> tuple[Written, Path | None]:
        """Write results; return what was done, and the copy of the file as it was where one was made."""
        now = self._now()
        left = tuple(map(_left_behind, remove_leftovers(self.path.resolve().parent)))
        for _ in range(_ATTEMPTS):
            document, seen = self._document()
            self._seen = self._seen or seen
            try:
                copy = self._replace(document, seen, _edit(document, results, now), keeps_copy)
            except FileChangedError:
                continue
            remarks = left if self._seen == seen else (*left, _MERGED)
            return Written(self.path, from_earlier=_from_earlier(document, results), remarks=remarks), copy
        raise ResultError(
            f"{self.path}: was saved by another program again and again ({_ATTEMPTS} times) while the results were to "
            "be written, so they were not. Close the slide in ASAP, then run again; what was computed is remembered."
        )

    def clear(self) -> Sequence[str]:
        """Take the results of earlier runs away; a copy of the file keeps them."""
        written, copy = self._put(Results((), {}, (), {}), keeps_copy=True)
        told = () if copy is None else (f"{NO_PROMPTS_LEFT} {self.path}", f"it is kept as it was as {copy.name}")
        return (*told, *written.remarks)

    def _document(self) -> tuple[Document, Stamp]:
        try:
            return read_stamped(self.path)
        except PromptError as error:
            raise ResultError(
                f"{error} The results were not written; once it is put right, run again: what was computed is "
                "remembered."
            ) from error

    def _replace(self, document: Document, seen: Stamp, edit: Edit, keeps_copy: bool) -> Path | None:
        # A link stays one: what it points to is replaced.
        target = self.path.resolve()
        if not edit:
            return None
        if not target.stat().st_mode & 0o222:
            raise ResultError(
                f"{self.path} is read-only, so the results were not written. Make it writable, or run a copy of it."
            )
        is_first = not any(is_result_group(group.name) for group in document.groups)
        backup = back_up(target) if is_first or keeps_copy else None
        try:
            write_if_unchanged(target, partial(_write, document, edit), seen)
        except FileChangedError:
            if backup is not None and backup.is_new:
                backup.path.unlink()  # of what the other program has replaced itself; the next attempt keeps its save
            raise
        return None if backup is None else backup.path


def _write(document: Document, edit: Edit, path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(document.pieces(edit))


def _edit(document: Document, results: Results, now: datetime) -> Edit:
    """Return what makes a file's results these."""
    written = list(map(unchanged_result, document.annotations))
    users = _taken(document.annotations, written)
    ours = [
        index
        for index, name in enumerate(written)
        if name is not None and name.prompt_id not in users and name.prompt_id not in results.unread
    ]
    there: dict[tuple[str, str | None], int] = {}
    for index in ours:
        one = document.annotations[index]
        there.setdefault((one.name, one.group), index)
    new = NewOutlines(results, users, there)
    drop = [index for index in ours if index not in new.kept]
    groups = [
        group
        for class_name in sorted(new.classes, key=lambda name: (name is not None, name or ""))
        for group in _groups(class_name, new.kinds, results, now)
    ]
    differing = new.groups | {document.annotations[index].group for index in drop}
    changed = {outer_group(group) for group in differing if group is not None}
    return _with_groups(document, drop, new, groups, changed)


def _left_behind(path: Path) -> str:
    return (
        f"{path} holds what another program saved while a run that was killed replaced its file: compare the two, then "
        "delete it"
    )


def _from_earlier(document: Document, results: Results) -> frozenset[str]:
    """Return the prompts that could not be computed and have an outline of an earlier run."""
    names = filter(None, map(unchanged_result, document.annotations)) if results.unread else ()
    return frozenset(name.prompt_id for name in names if name.prompt_id in results.unread)


def _taken(annotations: Sequence[Annotation], written: Sequence[ResultName | None]) -> set[str]:
    """Return the prompts whose outlines the user has made their own."""
    pairs = zip(annotations, written, strict=True)
    names = [ResultName.parse(one.name) for one, name in pairs if name is None]
    return {name.prompt_id for name in names if name is not None}


def _groups(
    class_name: str | None, kinds: Mapping[str | None, set[ObjectKind]], results: Results, now: datetime
) -> Iterable[Group]:
    """Yield the groups of a class, outer before inner, as a first run would list them."""
    outer, inner = result_group(class_name), result_group(class_name, holes=True)
    color = color_of_class(class_name, results.class_colors)
    used = sorted((model for model in results.models if model.kind in kinds[outer]), key=lambda model: model.kind)
    deciding = {key: value for key, value in results.settings.items() if key not in _DECIDES_NOTHING}
    attributes = {
        "model": ", ".join(model.name for model in used),
        "hash": ", ".join(model.sha256 for model in used),
        "settings": orjson.dumps(deciding, option=orjson.OPT_SORT_KEYS).decode(),
        _DATE: now.isoformat(timespec="seconds"),
    }
    yield Group(outer, None, color, attributes)
    if inner in kinds:
        yield Group(inner, outer, color)


def _with_groups(
    document: Document, drop: Sequence[int], add: NewOutlines, groups: Sequence[Group], changed: set[str]
) -> Edit:
    """Return the whole edit: groups that are new, those that say something else now, and those that are empty."""
    places = {group.name: index for index, group in enumerate(document.groups)}
    attributes: dict[int, Mapping[str, str]] = {}
    for group in groups:
        if group.name in places and group.attributes:
            before = document.groups[places[group.name]].attributes
            if group.name in changed or _undated(before) != _undated(group.attributes):
                attributes[places[group.name]] = group.attributes
    dropped = set(drop)
    needed = {one.group for index, one in enumerate(document.annotations) if index not in dropped}
    needed |= add.groups | {group.name for group in groups}
    empty = _empty_groups(document.groups, needed)
    return Edit(
        drop=drop,
        add=add,
        drop_groups=[index for index, group in enumerate(document.groups) if group.name in empty],
        add_groups=[group for group in groups if group.name not in places],
        attributes=attributes,
    )


def _undated(attributes: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in attributes.items() if key != _DATE}


def _empty_groups(groups: Sequence[Group], needed: set[str | None]) -> set[str]:
    """Return the groups of results that are empty and have no sub-group that stays."""
    parents = {group.name: group.parent for group in groups}
    stay: set[str] = set()
    for group in groups:
        name: str | None = group.name
        if is_result_group(name) and name not in needed:
            continue
        while name is not None and name not in stay:
            stay.add(name)
            name = parents.get(name)
    return parents.keys() - stay
