"""The two ways to read and write a project, through QuPath or through its files, and the choice between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from nuclick_wsi.choices import ObjectType, ProjectAccess
from nuclick_wsi.errors import ProjectError
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.runs.jobs import GeoJsonSink, Results, Sink, Written
from nuclick_wsi.runs.journal import Journal
from qupath_extension.hierarchy_sink import HierarchyEntry
from qupath_extension.import_script import offer_import_script
from qupath_extension.missing_data import lost_data
from qupath_extension.paquo_access import QuPath
from qupath_extension.project import Project, ProjectImage
from qupath_extension.qpdata.hierarchy import ImageData
from qupath_extension.result_files import results_source
from qupath_extension.viewer_marks import viewer_marks_of

OLDEST_RELEASES = (["0", "1"], ["0", "2"], ["0", "3"])
"""Of QuPath, before its objects had ids."""


class Entry(Sink, Protocol):
    """One image of a project: what is drawn there, and where its results go."""

    def read(self, choice: ObjectChoice) -> ImageData:
        """Read the image's objects, of which the prompts that are asked for will be used; ProjectError if it fails."""
        ...


class Access(Protocol):
    """A way into a project."""

    @property
    def note(self) -> str:
        """Which way it is, and why, for the user."""
        ...

    @property
    def is_news(self) -> bool:
        """Whether that is to be said, and not only recorded."""
        ...

    def entry(self, image: ProjectImage, stem: str) -> Entry:
        """Return an image's entry; `stem` names the files that a run makes for it."""
        ...


@dataclass(frozen=True, slots=True)
class FileAccess:
    """Reads the project's own files, and keeps results as GeoJSON beside them; nothing of the project is changed."""

    out: Path
    as_type: ObjectType
    why: str
    is_news: bool = False
    """Whether the user may have expected another way."""

    @property
    def note(self) -> str:
        """Which way it is, and why."""
        return f"Project access: files, results as GeoJSON ({self.why})."

    def entry(self, image: ProjectImage, stem: str) -> Entry:
        """Return an image's entry."""
        return FileEntry(
            image, GeoJsonSink(self.out / f"{stem}.geojson", self.as_type, results_source(self.out, image))
        )


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An image that is read from the project's files, with a GeoJSON file for its results."""

    image: ProjectImage
    sink: GeoJsonSink

    def read(self, choice: ObjectChoice) -> ImageData:
        """Read the image's objects; all of them, whatever the choice."""
        data = self.image.read_data()
        is_known = self.image.data_path.exists() or viewer_marks_of(self.image, data).drawings
        if not is_known and self.sink.has_results:
            raise lost_data(self.image.data_path, f"{self.sink.found} has outlines of earlier runs")
        return data

    def write(self, results: Results) -> Written:
        """Replace the results of earlier runs, and see that the project has the script that imports them."""
        written = self.sink.write(results)
        folder = self.image.project_file.parent
        if written.path.parent == folder / "nuclick":  # the only place where the script looks
            written = replace(written, remarks=[*written.remarks, *offer_import_script(folder)])
        return written

    def clear(self) -> Sequence[str]:
        """Empty the file of results, if there is one."""
        return self.sink.clear()


@dataclass(frozen=True, slots=True)
class HierarchyAccess:
    """Reads and writes the project's objects through QuPath."""

    qupath: QuPath
    journal: Journal
    as_type: ObjectType
    is_news: bool = True

    @property
    def note(self) -> str:
        """Which way it is, and why."""
        return (
            f"Project access: QuPath {self.qupath.version} through paquo, results in the project's hierarchy. An image "
            "that is open in QuPath shows them after File > Reload data; saving it before that would overwrite them."
        )

    def entry(self, image: ProjectImage, stem: str) -> Entry:
        """Return an image's entry."""
        return HierarchyEntry(self.qupath, image, self.journal, self.as_type)


def choose_access(
    asked: ProjectAccess, project: Project, files: FileAccess, journal: Journal
) -> FileAccess | HierarchyAccess:
    """Return the way into a project that is asked for; auto takes the files where the other is not there.

    Most users have no paquo and need none: that it is not there is news only to who asked for it.

    Parameters
    ----------
    files
        The way through the files; its reason is kept where that is asked for.
    journal
        Where it is noted what is written.

    Raises
    ------
    ProjectError
        If QuPath is asked for by name, and is not there or not of the project's version.
    """
    if asked is ProjectAccess.FILES:
        return files
    found = False
    try:
        qupath = QuPath.start()
        found = True
        _require_fitting_version(project, qupath)
    except ProjectError as error:
        if asked is ProjectAccess.PAQUO:
            raise
        return FileAccess(files.out, files.as_type, str(error), is_news=found)
    return HierarchyAccess(qupath, journal, files.as_type)


def _require_fitting_version(project: Project, qupath: QuPath) -> None:
    """Refuse to write with one version what another one may have to read, and with one that knows no object's id."""
    if _release(qupath.version) in OLDEST_RELEASES:
        raise ProjectError(f"paquo found QuPath {qupath.version}, whose objects have no ids: name one of 0.4 or newer")
    if _release(project.version) != _release(qupath.version):
        raise ProjectError(
            f"{project.path.name} was last saved by QuPath {project.version or 'of an unknown version'}, and paquo "
            f"found QuPath {qupath.version}: open and save the project there, or name another with PAQUO_QUPATH_DIR"
        )


def _release(version: str | None) -> Sequence[str]:
    return (version or "").removeprefix("v").split(".")[:2]
