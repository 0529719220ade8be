"""QuPath itself, through paquo: what is in a data.qpdata, and the same file with other objects in it.

Nothing else imports paquo or knows Java. paquo starts a Java machine with the classes of an installed QuPath; its
own wrappers are not used, because they join the strokes of a squiggle and add objects one by one.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.errors import ProjectError
from nuclick_wsi.prompts import Plane
from qupath_extension.qpdata.contents import packed_color
from qupath_extension.qpdata.hierarchy import Color, ImageData, PathObject, PathObjectType
from qupath_extension.qpdata.rois import Roi, RoiKind

_NOTHING = np.empty(0)
_END = "EOF"


class QuPath:
    """A QuPath that runs in this process, without its window.

    Attributes
    ----------
    version
        Such as "0.5.1".
    java_class
        Returns a Java class by its full name.
    """

    def __init__(self, java_class: Any, java_error: type[Exception], version: str) -> None:
        self.version = version
        self.java_class = java_class
        self._error = java_error

    @classmethod
    def start(cls) -> "QuPath":
        """Start the QuPath that paquo finds; the one that runs already, where one does.

        Raises
        ------
        ProjectError
            paquo is not installed, or finds no QuPath, or its Java does not start.
        """
        try:
            jpype = import_module("jpype")
            version = import_module("paquo.java").qupath_version
        except ImportError as error:
            raise ProjectError(f'paquo cannot be loaded ({error}): pip install "nuclick-wsi[qupath]"') from error
        except Exception as error:  # each version of paquo, jpype and Java has errors of its own
            raise ProjectError(
                f"paquo cannot start a QuPath ({error}): name the folder of one with PAQUO_QUPATH_DIR"
            ) from error
        qupath = cls(jpype.JClass, jpype.JException, str(version))
        qupath._quieten()
        return qupath

    def read(self, path: Path) -> ImageData:
        """Read the objects of a data.qpdata; what was drawn only of annotations.

        Raises
        ------
        ProjectError
            QuPath cannot read the file.
        """
        with self._guarded(path):
            _, contents = self._read_all(path)
            hierarchy = self._hierarchy_in(contents)
            colors: dict[str, Color] = {}
            objects = tuple(self._object(one, colors) for one in hierarchy.getAllObjects(False))
            return ImageData(objects, colors, self._properties_in(contents))

    def rewrite(self, source: Path, target: Path, obsolete: Collection[str], features: bytes) -> None:
        """Write a data.qpdata as it is, but with some objects gone and others there.

        Detections go under the annotation that contains them, all else under the root; what is drawn around an
        object that goes stays where it is.

        Parameters
        ----------
        obsolete
            Ids of the objects that go.
        features
            What comes, as a GeoJSON FeatureCollection.

        Raises
        ------
        ProjectError
            QuPath cannot read or write it.
        """
        with self._guarded(source):
            head, contents = self._read_all(source)
            hierarchy = self._hierarchy_in(contents)
            ids = set(obsolete)
            gone = [one for one in hierarchy.getAllObjects(False) if str(one.getID()) in ids] if ids else []
            hierarchy.removeObjects(self._list(gone), True)
            self._add(hierarchy, self._objects_of(features))
            is_hierarchy = self.java_class("qupath.lib.objects.hierarchy.PathObjectHierarchy")
            self._write_all(target, head, [hierarchy if isinstance(one, is_hierarchy) else one for one in contents])

    def _add(self, hierarchy: Any, new: Any) -> None:
        detections = self._list([one for one in new if one.isDetection()])
        # Inserting only these leaves everything else where the user has it, which resolving the hierarchy would not.
        hierarchy.insertPathObjects(detections)
        hierarchy.addObjects(self._list([one for one in new if not one.isDetection()]))

    def _objects_of(self, features: bytes) -> Any:
        stream = self.java_class("java.io.ByteArrayInputStream")(features)
        return self.java_class("qupath.lib.io.PathIO").readObjectsFromGeoJSON(stream)

    def _read_all(self, path: Path) -> tuple[str, list[Any]]:
        """Return the first line of a data.qpdata and all objects in it, the last of which says that it is complete.

        Reading and writing all of them, and not only those that QuPath's own reader asks for, keeps everything: the
        slide's server, which need not be found here, stains, workflow and properties.
        """
        file = self.java_class("java.io.BufferedInputStream")(self.java_class("java.io.FileInputStream")(str(path)))
        try:
            stream = self.java_class("qupath.lib.io.PathIO").createObjectInputStream(file)
            head = str(stream.readUTF())
            # A stream finds classes with its caller's class loader, and a caller outside Java has none: Groovy,
            # which every QuPath has, calls it for us.
            caller = self.java_class("org.codehaus.groovy.runtime.InvokerHelper")
            contents: list[Any] = []
            while not contents or str(contents[-1]) != _END:
                contents.append(caller.invokeMethod(stream, "readObject", None))
            return head, contents
        finally:
            file.close()

    def _write_all(self, path: Path, head: str, contents: list[Any]) -> None:
        file = self.java_class("java.io.BufferedOutputStream")(self.java_class("java.io.FileOutputStream")(str(path)))
        try:
            stream = self.java_class("java.io.ObjectOutputStream")(file)
            stream.writeUTF(head)
            for one in contents:
                stream.writeObject(one)
            stream.flush()
        finally:
            file.close()

    def _hierarchy_in(self, contents: list[Any]) -> Any:
        java_class = self.java_class("qupath.lib.objects.hierarchy.PathObjectHierarchy")
        found = [one for one in contents if isinstance(one, java_class)]
        if len(found) != 1:
            raise ValueError(f"it holds {len(found)} hierarchies of objects")
        # As QuPath does: what comes out of a stream lacks its caches.
        hierarchy = java_class()
        hierarchy.setHierarchy(found[0])
        return hierarchy

    def _properties_in(self, contents: list[Any]) -> dict[str, str]:
        """Return the texts among the image's properties."""
        java_map = self.java_class("java.util.Map")
        text = self.java_class("java.lang.String")
        entries = [entry for one in contents if isinstance(one, java_map) for entry in one.entrySet()]
        return {str(one.getKey()): str(one.getValue()) for one in entries if isinstance(one.getValue(), text)}

    def _object(self, one: Any, colors: dict[str, Color]) -> PathObject:
        kind = _type_of(one)
        path_class = one.getPathClass()
        class_name = None if path_class is None else _text(path_class.toString())
        if class_name is not None and class_name not in colors:
            color = path_class.getColor()
            packed = None if color is None else packed_color(int(color))
            colors.update({class_name: packed} if packed else {})
        drawn = self._roi(one.getROI()) if kind is PathObjectType.ANNOTATION else None
        name = _text(one.getName())
        return PathObject(kind, str(one.getID()), None, name, class_name, bool(one.isLocked()), {}, drawn)

    def _roi(self, roi: Any) -> Roi | None:
        if roi is None:
            return None
        plane = Plane(int(roi.getC()), int(roi.getZ()), int(roi.getT()))
        name = str(roi.getClass().getSimpleName()).removesuffix("ROI")
        kind = RoiKind(name) if name in set(RoiKind) else RoiKind.OTHER
        if kind is RoiKind.GEOMETRY:
            wkb = self.java_class("org.locationtech.jts.io.WKBWriter")().write(roi.getGeometry())
            return Roi(kind, plane, _NOTHING, _NOTHING, shapely.from_wkb(np.asarray(memoryview(wkb)).tobytes()))
        if kind in (RoiKind.POINTS, RoiKind.LINE, RoiKind.POLYLINE):
            return Roi(kind, plane, *_vertices(roi))
        return Roi(kind, plane, _NOTHING, _NOTHING)

    def _list(self, objects: Collection[Any]) -> Any:
        made = self.java_class("java.util.ArrayList")(len(objects))
        for one in objects:
            made.add(one)
        return made

    def _quieten(self) -> None:
        """Have QuPath log errors only: its notes on every file would run through the progress bar."""
        root = self.java_class("org.slf4j.LoggerFactory").getLogger("ROOT")
        try:
            root.setLevel(self.java_class("ch.qos.logback.classic.Level").ERROR)
        except (AttributeError, TypeError, self._error):
            return  # another logger than that of the versions known: its messages stay

    @contextmanager
    def _guarded(self, path: Path) -> Iterator[None]:
        """Turn what Java throws into one clear message."""
        try:
            yield
        except (self._error, ValueError, shapely.errors.ShapelyError) as error:
            raise ProjectError(
                f"{path}: QuPath {self.version} cannot work on it ({error}). It is as it was; --project-access files "
                "does without QuPath."
            ) from error


def _type_of(one: Any) -> PathObjectType:
    # A cell is a detection and so is a tile: the more special ones come first.
    if one.isCell():
        return PathObjectType.CELL
    if one.isTile():
        return PathObjectType.TILE
    if one.isAnnotation():
        return PathObjectType.ANNOTATION
    if one.isDetection():
        return PathObjectType.DETECTION
    return PathObjectType.TMA_CORE if one.isTMACore() else PathObjectType.OTHER


def _text(value: Any) -> str | None:
    return None if value is None else str(value) or None


def _vertices(roi: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = [(float(point.getX()), float(point.getY())) for point in roi.getAllPoints()]
    x, y = np.array(points, np.float64).reshape(-1, 2).T
    return x, y
