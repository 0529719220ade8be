"""QuPath's files, damaged: data.qpdata, the JSON of a project; and the requests that QuPath's menu sends."""

import json
from pathlib import Path
from random import Random
from typing import Any

import shapely
from qpdata_writer import Drawn, PathClass, geometry, line, points, polygon, polyline, qpdata, rectangle

from fuzz.marks import GEOJSON_WORDS, geojson, segmented
from fuzz.mutations import damaged_bytes, damaged_json
from fuzz.target import Target
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.formats.feature_geojson import geojson_of_features
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.server.auth import AllowedFolders
from nuclick_wsi.server.segment_request import read_request
from qupath_extension.features import features_of
from qupath_extension.project import read_project
from qupath_extension.qpdata.hierarchy import read_image_data
from qupath_extension.requested_image import read_image
from qupath_extension.result_files import image_stem
from qupath_extension.selection import prompts_of

_TUMOR = PathClass("Positive", parent=PathClass("Tumor"))
_SQUARE = polygon((10, 10), (60, 10), (60, 70))
_STREAMS = (
    qpdata(Drawn(points((20, 30), (40, 50)), path_class=_TUMOR, name="ä\0𝄞"), Drawn(line(10, 20, 60, 70))),
    qpdata(
        Drawn(polyline((10, 20), (30, 40), (60, 20)), is_locked=True, metadata={"key": "value"}),
        Drawn(geometry(shapely.MultiLineString([[(1, 2), (30, 40)], [(50, 60), (70, 60)]]), z=0)),
        Drawn(_SQUARE, "PathCellObject", _TUMOR, nucleus=rectangle(20, 20, 30, 30)),
    ),
    qpdata(
        Drawn(_SQUARE, children=[Drawn(points((5, 6)), children=[Drawn(None, name="empty")])]),
        Drawn(geometry(shapely.box(1, 2, 30, 40)), "PathDetectionObject"),
        Drawn(points(), "PathFutureObject"),
        version=4,
    ),
)


def make_stream(random: Random) -> bytes:
    data = random.choice(_STREAMS)
    if random.random() < 0.1:
        other = random.choice(_STREAMS)
        data = data[: random.randrange(len(data))] + other[random.randrange(len(other)) :]
    return damaged_bytes(random, data)


def read_stream(data: bytes, folder: Path) -> None:
    path = folder / "data.qpdata"
    path.write_bytes(data)
    image = read_image_data(path)
    prompts = prompts_of(image.objects, ObjectChoice.AUTO)
    geojson_of_features(features_of(image.objects, image.class_colors))
    segmented(prompts, data)


_BUILDER: dict[str, Any] = {
    "builderType": "uri",
    "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
    "uri": "file:/slides/a.svs",
    "args": ["--series", "0", "--no-crop"],
    "metadata": {
        "name": "a.svs",
        "width": 256,
        "height": 192,
        "sizeZ": 1,
        "sizeT": 1,
        "isRGB": True,
        "pixelType": "UINT8",
        "channels": [{"name": "Red", "color": -65536}],
        "levels": [{"downsample": 1, "width": 256, "height": 192}],
        "pixelCalibration": {
            "pixelWidth": {"value": 0.25, "unit": "µm"},
            "pixelHeight": {"value": 0.25, "unit": "µm"},
        },
    },
}
_BUILDER_TEXT = json.dumps(_BUILDER)
_PLAIN_BUILDER = {key: value for key, value in _BUILDER.items() if key != "metadata"}
_FILES: dict[str, Any] = {
    "project.qpproj": {
        "version": "0.5.1",
        "uri": "file:/never/there/project.qpproj",
        "lastID": 2,
        "images": [
            {"serverBuilder": _BUILDER, "entryID": 1, "imageName": "a.svs", "metadata": {"key": "value"}},
            {"serverBuilder": {"builderType": "rotated", "rotation": "ROTATE_90", "builder": _BUILDER}, "entryID": "2"},
            {"serverBuilder": _PLAIN_BUILDER, "entryID": 3, "imageName": "b.svs", "description": "text"},
        ],
    },
    "data/3/server.json": {"builder": _PLAIN_BUILDER, "metadata": _BUILDER["metadata"]},
    "data/1/summary.json": {"timestamp": 1, "hierarchy": {"nObjects": 1, "objectTypeCounts": {"Root objects": 1}}},
    "classifiers/classes.json": {"pathClasses": [{"name": "Tumor", "color": -3670016}, {"name": "B", "color": 5}]},
}
_PROJECT_WORDS = (
    "serverBuilder",
    "entryID",
    "imageName",
    "images",
    "uri",
    "metadata",
    "builder",
    "builderType",
    "--series",
    "pathClasses",
    "color",
    "pixelCalibration",
    "value",
    "unit",
    "rotated",
    "file:/" + "長" * 120 + ".svs",
    "file://host/share/a.svs",
    "file:/%ff%fe",
)


def make_project(random: Random) -> bytes:
    """Return the name of one of a project's files, a line break, and its content."""
    name = random.choice(("project.qpproj", *_FILES))
    return name.encode() + b"\n" + damaged_json(random, json.loads(json.dumps(_FILES[name])), _PROJECT_WORDS)


def read_whole_project(data: bytes, folder: Path) -> None:
    name, _, content = data.partition(b"\n")
    for file, usual in _FILES.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content if file.encode() == name else json.dumps(usual).encode())
    project = read_project(folder)
    for image in project.images:
        assert image.folder.parent == folder / "data", "data of another project"
        assert len(f"{image_stem(image)}.geojson".encode()) < 255, "no file system takes the name"
        str(image).encode()
        for work in (image.find_slide, image.read_data):
            try:
                work()
            except NuclickError as error:
                str(error).encode()


_REQUEST_WORDS = (
    *GEOJSON_WORDS,
    "image",
    "path",
    "builder",
    "prompts",
    "points",
    "lines",
    "neighbours",
    "options",
    "object",
    "gland",
    "cell+nucleus",
    "threshold",
    "smallest",
    "1e400um2",
    "nan px",
    "tolerance",
    "pixel_edges",
    "class_colors",
    "pixel_size_um",
)


def make_request(random: Random) -> bytes:
    content: dict[str, Any] = {
        "image": {"builder": json.loads(_BUILDER_TEXT), "width": 256, "height": 192, "pixel_size_um": [0.25, 0.25]},
        "prompts": {"type": "FeatureCollection", "features": geojson()["features"][: random.randrange(1, 9)]},
        "neighbours": geojson()["features"][:2],
        "options": {"object": "auto", "as": "detection", "gland_mode": "crop", "threshold": 0.5, "smallest": "8um2",
            "fill_holes": "2um2", "tolerance": 0.1, "pixel_edges": False, "terms": "any"},
        "class_colors": {"Tumor": [200, 0, 0]},
    }  # fmt: skip
    if random.random() < 0.3:
        content = {"image": "/slides/a.svs", "points": [[20, 30], [40.5, 50]], "lines": [[[30, 40], [70, 60]]]}
    return damaged_json(random, content, _REQUEST_WORDS)


def read_one_request(data: bytes, folder: Path) -> None:
    request = read_request(data, read_image)
    try:
        real = AllowedFolders([folder]).admit(request.image.path)
        assert real.is_relative_to(folder.resolve()), "a slide outside the folder"
    except NuclickError as error:
        str(error).encode()
    segmented(request.prompts, data)
    json.dumps(request.known)


TARGETS = {
    "qpdata": Target(make_stream, read_stream),
    "project": Target(make_project, read_whole_project),
    "request": Target(make_request, read_one_request),
}
