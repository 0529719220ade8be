"""Results as objects in an image's hierarchy: what has changed is written, objects that the user has edited are kept.

The image's data.qpdata is replaced whole or not at all.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from pathlib import Path

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.errors import ProjectError
from nuclick_wsi.files import temporary_beside
from nuclick_wsi.formats.geojson import ResultFeatures
from nuclick_wsi.leftovers import remove_leftovers
from nuclick_wsi.prompts import ObjectChoice, cell_id
from nuclick_wsi.runs.jobs import NO_PROMPTS_LEFT, Results, Written
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.written_objects import WrittenObject, WrittenObjects
from nuclick_wsi.shared_files import Stamp
from qupath_extension.changes import Changes, plan_changes, written_object_of
from qupath_extension.entry_file import correct_summary, put_in_place, require_unchanged, stamp_of, update_summary
from qupath_extension.missing_data import lost_data
from qupath_extension.paquo_access import QuPath
from qupath_extension.project import ProjectImage
from qupath_extension.qpdata.hierarchy import ImageData, PathObject, read_image_data
from qupath_extension.viewer_marks import viewer_marks_of


class HierarchyEntry:
    """One image of a project through QuPath: where its objects are read, and the sink of its results.

    Parameters
    ----------
    as_type
        What outlines become.
    """

    def __init__(self, qupath: QuPath, image: ProjectImage, journal: Journal, as_type: ObjectType) -> None:
        self._qupath = qupath
        self._path = image.data_path
        self._image = image
        self._written = WrittenObjects(journal, image.identity)
        self._as_type = as_type
        self._read: Stamp | None = None
        self._spared: Collection[str] = ()

    def read(self, choice: ObjectChoice) -> ImageData:
        """Read the image's objects, and remember what the file was like; errors as `ProjectImage.read_data`."""
        if not self._path.exists():
            data = self._image.read_data()  # empty, or what to do about a copy that QuPath left
            if self._written.read():
                raise lost_data(self._path, "earlier runs have written outlines into it")
            return data
        self._read = stamp_of(self._path)
        data = self._qupath.read(self._path)
        self._spared = set().union(*(self._ids(data, left_alone) for left_alone in choice.left_alone))
        return data

    def _ids(self, data: ImageData, choice: ObjectChoice) -> set[str]:
        """Return the ids of all that is a prompt, or was meant as one, when `choice` is asked for."""
        found = viewer_marks_of(self._image, data).prompts_among(data.objects, choice)
        return {prompt.id for prompt in found.prompts} | {rejection.prompt_id for rejection in found.rejections}

    def write(self, results: Results) -> Written:
        """Bring the hierarchy up to date with the results.

        Raises
        ------
        ResultError
            If the file has changed since it was read, or cannot be written; then it is as it was.
        ProjectError
            If QuPath cannot work on it; then too.
        """
        return self._bring_up_to_date(results)

    def clear(self) -> Sequence[str]:
        """Remove the objects of earlier runs that the user has not changed."""
        if self._read is None or not self._written.read():
            return ()
        removed = self._bring_up_to_date(Results((), {}, (), {})).counts["removed"]
        return (f"{NO_PROMPTS_LEFT} {self._path} ({removed} of them)",) if removed else ()

    def _bring_up_to_date(self, results: Results) -> Written:
        if self._read is None:
            raise ProjectError(
                f"{self._path} does not exist, so nothing can be written to it: open the image in QuPath and save it, "
                "or choose --project-access files."
            )
        remove_leftovers(self._path.parent)
        require_unchanged(self._path, self._read)
        known = self._written.read()
        objects = read_image_data(self._path).objects
        stale = _stale(objects, results)
        changes = self._changes(objects, results, known, stale)
        if changes.new or changes.obsolete:
            self._rewrite(changes, is_first=not known)
        elif known:
            correct_summary(self._path, objects)
        self._written.replace(changes.written)
        counts = {
            "added": len(changes.add),
            "replaced": len(changes.replace),
            "removed": len(changes.remove),
            "unchanged": len(changes.unchanged),
        }
        kept = {identity: why.value for identity, why in changes.kept.items()}
        return Written(self._path, counts, kept, stale & known.keys())

    def _changes(
        self,
        objects: Sequence[PathObject],
        results: Results,
        known: Mapping[str, Sequence[WrittenObject]],
        stale: Set[str],
    ) -> Changes:
        instances = results.instances
        if stale:
            instances = [one for one in instances if one.prompt_id not in stale]
        apart: set[str] = set()
        while True:
            features = ResultFeatures.of(instances, self._as_type, results.class_colors, apart)
            changes = plan_changes(objects, known, features.features(), {*self._spared, *stale})
            # A nucleus that the user has changed stays as it is: its cell gets none inside.
            staying = {one.id for one in objects} - set(changes.remove)
            theirs = {nucleus for nucleus in features.nuclei_by_cell.values() if nucleus in staying}
            if not theirs:
                return changes
            apart |= theirs

    def _rewrite(self, changes: Changes, is_first: bool) -> None:
        assert self._read is not None, "a file is read before it is written"
        with temporary_beside(self._path) as temporary:
            self._qupath.rewrite(self._path, temporary, changes.obsolete, changes.new_content())
            # Only a file that our own reader finds whole is put in place.
            objects = read_image_data(temporary).objects
            written = {one.id: one for one in objects if one.id is not None}
            made = {
                identity: written_object_of(_made(written, identity, self._path), feature)
                for identity, feature in changes.new.items()
            }
            self._written.add(made)
            stamp = stamp_of(temporary)
            put_in_place(temporary, self._path, self._read, is_first)
        self._read = stamp
        changes.written.update({identity: [one] for identity, one in made.items()})
        update_summary(self._path, objects)


def _made(written: dict[str, PathObject], identity: str, path: Path) -> PathObject:
    found = written.get(identity)
    if found is None:
        raise ProjectError(f"{path}: QuPath left out the object {identity}, so the file is left as it was.")
    return found


def _stale(objects: Iterable[PathObject], results: Results) -> Set[str]:
    """Return the prompts whose objects stay as an earlier run made them, for want of all that they are made of.

    A cell with a nucleus inside is one object of two prompts, which stays where either could not be computed.
    """
    stale = set(results.unread)
    if stale:
        whole = {one.id for one in objects if one.nucleus is not None}
        for click in [*results.unread, *(one.prompt_id for one in results.instances)]:
            both = {click, cell_id(click)}
            if cell_id(click) in whole and both & stale:
                stale |= both
    return stale
