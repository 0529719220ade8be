"""A project whose files QuPath itself has written, for runs that write into its hierarchy: `... FOLDER` makes one.

It is made in a process of its own, because one in which a Java machine runs cannot be copied.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import shapely

from nuclick_wsi.demo import make_demo
from qupath_extension.paquo_access import QuPath
from qupath_extension.qpdata.hierarchy import read_image_data
from torture.tissue import PLACES, SIDE, write_slide


def write_qupath_project(folder: Path) -> Path:
    """Write a project of two images with clicks and of one without into a folder; return its .qpproj."""
    subprocess.run([sys.executable, "-m", "torture.qupath_project", folder], check=True)
    return folder / "project.qpproj"


def _annotation(number: int, shape: shapely.Geometry, **properties: Any) -> Mapping[str, Any]:
    return {
        "type": "Feature",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "geometry": shapely.geometry.mapping(shape),
        "properties": {"objectType": "annotation", **properties},
    }


_CLICKS = _annotation(1, shapely.MultiPoint(PLACES))
_OTHERS = (
    _annotation(2, shapely.box(0, 0, 150, 150), name="region", isLocked=True),
    _annotation(
        3, shapely.box(30, 30, 40, 42), objectType="detection", classification={"name": "Tumor", "color": [200, 0, 0]}
    ),
)
"""What the user has beside clicks: an annotation that contains outlines, and a detection of another program."""
_IMAGES = {"a.svs": (_CLICKS, *_OTHERS), "b.svs": (_CLICKS, *_OTHERS), "c.svs": _OTHERS}


def _write(folder: Path) -> None:
    project = make_demo(folder)
    shutil.rmtree(folder / "slides")
    (folder / "data").rename(folder / "demo")
    content = json.loads(project.read_text(encoding="utf-8"))
    (entry,) = content["images"]
    entries, qupath = [], QuPath.start()
    for number, (name, drawn) in enumerate(_IMAGES.items(), start=1):
        write_slide(folder / "slides" / name)
        entries.append(_entry(entry, number, folder / "slides" / name))
        shutil.copytree(folder / "demo" / "1", folder / "data" / str(number))
        _draw(qupath, folder / "demo" / "1" / "data.qpdata", folder / "data" / str(number) / "data.qpdata", drawn)
    shutil.rmtree(folder / "demo")
    project.write_text(json.dumps(content | {"images": entries, "lastID": len(entries)}), encoding="utf-8")


def _entry(demo: Mapping[str, Any], number: int, slide: Path) -> Mapping[str, Any]:
    builder = demo["serverBuilder"]
    metadata = {**builder["metadata"], "name": slide.name, "width": SIDE, "height": SIDE, "levels": []}
    return {
        **demo,
        "serverBuilder": {**builder, "uri": slide.as_uri(), "metadata": metadata},
        "entryID": number,
        "imageName": slide.name,
    }


def _draw(qupath: QuPath, demo: Path, data: Path, drawn: Sequence[Mapping[str, Any]]) -> None:
    """Do as a user does who deletes all that the demo has, draws, and saves."""
    obsolete = {str(one.id) for one in read_image_data(demo).objects}
    qupath.rewrite(demo, data, obsolete, orjson.dumps({"type": "FeatureCollection", "features": drawn}))


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
