"""Files of marks, damaged: GeoJSON, plain and packed; tables; ASAP's XML; and files of options."""

import gzip
import io
import json
import os
import re
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson
from asap_files import annotation, group
from dark_segmenter import BOTH
from made_slides import array_slide, smooth_image

from asap_bridge.document import Edit, read_document
from asap_bridge.feature_annotations import asap_of_features
from asap_bridge.features import features_of as features_of_asap
from asap_bridge.inspection import described_file
from asap_bridge.jobs import AsapChoice
from asap_bridge.selection import GroupRule
from asap_bridge.selection import prompts_of as prompts_of_asap
from fuzz.mutations import WORDS, damaged_bytes, damaged_json, damaged_text
from fuzz.target import Target
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.cli.run_file import Key, read_run_file
from nuclick_wsi.formats.feature_geojson import features_of_geojson, geojson_of_features
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.formats.prompt_files import read_prompts
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.prompts import ObjectChoice, Prompt
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.settings import Settings

SLIDE = array_slide(smooth_image(256, 192))
SETTINGS = Settings(workers=0)
_MOST = 8
"""Prompts of an input that are outlined: what is fuzzed is how they are read."""

GEOJSON_WORDS = (
    "FeatureCollection",
    "Feature",
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
    "geometries",
    "coordinates",
    "features",
    "geometry",
    "nucleusGeometry",
    "properties",
    "classification",
    "childObjects",
    "measurements",
    "color",
    "colorRGB",
    "names",
    "name",
    "plane",
    "objectType",
    "object_type",
    "annotation",
    "detection",
    "cell",
    "PathDetectionObject",
    "id",
    "type",
)


def segmented(prompts: PromptSet, data: bytes) -> None:
    """Outline some prompts of some inputs and write the results, as a run and the server do."""
    if zlib.crc32(data) % 32:
        return  # it takes ten times as long as reading
    few = [one for one in prompts.prompts if one.kind in BOTH.by_kind and _is_near(one)][:_MOST]
    wanted = replace(prompts, prompts=tuple(few))
    outcome = segment(SLIDE, wanted, BOTH, PixelSize(0.25, 0.25), SETTINGS)
    orjson.dumps(feature_collection(outcome.instances, ObjectType.DETECTION, prompts.class_colors))
    orjson.dumps([one.as_json() for one in outcome.rejections])
    orjson.dumps(dict(prompts.left_alone))


def _is_near(prompt: Prompt) -> bool:
    """Whether a line stays near the slide: how long ones are outlined is no matter of how they are read."""
    return all(max(abs(point.x), abs(point.y)) < 5000 for stroke in prompt.signal.strokes for point in stroke)


def drawn(kind: str, coordinates: Any, number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a feature as QuPath exports it."""
    return {
        "type": "Feature",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "geometry": {"type": kind, "coordinates": coordinates, **more.pop("place", {})},
        "properties": {"objectType": "annotation", **more},
    }


def geojson() -> dict[str, Any]:
    """Return a collection that has a little of everything."""
    tumor = {"classification": {"name": "Tumor: Positive", "color": [200, 0, 10]}}
    square = [[[10.5, 10], [60, 10], [60, 70], [10.5, 10]]]
    inner = {"type": "Polygon", "coordinates": [[[20, 20], [30, 20], [30, 30], [20, 20]]]}
    nested = drawn("Point", [40, 50], 9)
    return {
        "type": "FeatureCollection",
        "features": [
            drawn("Point", [100.25, 90], 1, **tumor),
            drawn("MultiPoint", [[20, 30], [25, 35.5]], 2, name="mine", isLocked=True),
            drawn("LineString", [[20, 40], [60, 44], [70, 60]], 3, classification={"names": ["Gland", "A"]}),
            drawn("MultiLineString", [[[150, 40], [160, 44]], [[150, 60], [160, 64]]], 4, place={"plane": {"z": 0}}),
            drawn("Polygon", square, 5, measurements={"Area": 1.5, "NuClick: Mean probability": 0.5}),
            drawn("MultiPolygon", [square], 6, color=[1, 2, 3], childObjects=[nested]),
            {**drawn("Polygon", square, 7, objectType="cell"), "nucleusGeometry": inner},
            {"type": "Feature", "id": "PathAnnotationObject", "geometry": {"type": "GeometryCollection", "geometries": [
                {"type": "Point", "coordinates": [5, 6]}, inner]}, "properties": {"classification": '{"name": "B"}'}},
            drawn("Point", [70, 80], 8, classification={"name": "Ignore*", "colorRGB": -377282}),
        ],
        "generator": "nuclick-wsi",
        "nuclei": {"00000000-0000-4000-8000-000000000007": "00000000-0000-4000-8000-000000000077"},
    }  # fmt: skip


_GEOJSON = json.dumps(geojson())
_RULE = GroupRule()


def make_geojson(random: Random) -> bytes:
    content = json.loads(_GEOJSON)
    if random.random() < 0.5:
        content["features"] = random.sample(content["features"], random.randrange(1, 4))
    if random.random() < 0.2:
        content = content["features"]
    data = damaged_json(random, content, GEOJSON_WORDS)
    if random.random() < 0.05:
        return b"\n".join(json.dumps(one).encode() for one in geojson()["features"]) + b"\n" + data
    return data


def read_geojson(data: bytes, folder: Path) -> None:
    path = folder / "marks.geojson"
    path.write_bytes(data)
    try:
        segmented(read_prompts(path, ObjectChoice.AUTO), data)
    finally:
        features = features_of_geojson(data, str(path))
        again = features_of_geojson(geojson_of_features(features).content, "what was written")
        asap_of_features(again)


def make_packed(random: Random) -> bytes:
    data = make_geojson(random)
    if random.random() < 0.03:
        data += b" " * random.choice((1 << 20, 1 << 24))
    if random.random() < 0.5:
        return _perhaps_damaged(random, gzip.compress(data, 1))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(random.choice((1, 1, 3))):
            archive.writestr(random.choice(("a.geojson", "../../a.json", "/a.json", "b/", f"{number}.json")), data)
    return _perhaps_damaged(random, packed.getvalue())


def _perhaps_damaged(random: Random, data: bytes) -> bytes:
    """Return an archive, damaged or whole: the checksums of a damaged one keep most of its content from being read."""
    return damaged_bytes(random, data) if random.random() < 0.5 else data


def read_packed(data: bytes, folder: Path) -> None:
    path = folder / ("marks.zip" if data[:1] == b"P" else "marks.geojson.gz")
    path.write_bytes(data)
    read_prompts(path, ObjectChoice.AUTO)


_TABLES = (
    "x,y,class\n10.5,20,Tumor\n30,40,\n",
    "x;y;class;z\n10,5;20;Tumor;0\n30;40,25;Stroma;1\n",
    "slide\tx_um\ty_um\tcolor\na.svs\t10\t20\t#ff0000\nb.svs\t5\t6\t-377282\n",
    '"Image","Object type","Classification","ROI","Centroid X µm","Centroid Y µm","Num points"\n'
    '"a.svs","Annotation","Tumor","Points",10,20,1\n"a.svs","Detection","","Polygon",30,40,NaN\n',
    "10,20\n30,40\n",
)
_TABLE_WORDS = ("x", "y", "class", "slide", "centroid x px", "x_um", "Centroid X (µm)", "_" * 5000 + " a b", "\ufeff")


def make_table(random: Random) -> bytes:
    text = damaged_text(random, re.findall(r"[^,;\t\n\"]+|.|\n", random.choice(_TABLES)), _TABLE_WORDS)
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    data = text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
    return damaged_bytes(random, data) if random.random() < 0.2 else data


def read_table(data: bytes, folder: Path) -> None:
    path = folder / "marks.csv"
    path.write_bytes(data)
    segmented(read_prompts(path, ObjectChoice.CELL_AND_NUCLEUS, slide="a.svs", pixel_size=0.5), data)


_PLACES = [(10.5, 20), (30, 40), (50, 60.25), (70, 20)]
_ASAP = (
    '<?xml version="1.0"?>\n<ASAP_Annotations>\n\t<Annotations>\n'
    + annotation("Dot", _PLACES[:1], "Annotation 0", "Tumor")
    + annotation("PointSet", _PLACES, "mine {00000000-0000-4000-8000-000000000001/1.0}", "clicks")
    + annotation("Polygon", _PLACES, "NuClick 00000000-0000-4000-8000-000000000002 1.0 0123abcd sure 0.91", "NuClick")
    + annotation("Spline", _PLACES, "a", "squiggles")
    + annotation("Measurement", _PLACES[:2])
    + annotation("Rectangle", _PLACES, "r", "holes")
    + "\t</Annotations>\n\t<AnnotationGroups>\n"
    + "".join(map(group, ("Tumor", "clicks", "squiggles", "NuClick")))
    + group("holes", parent="Tumor")
    + "\t</AnnotationGroups>\n</ASAP_Annotations>\n"
)
_ASAP_TOKENS = re.findall(r'<[/\w?]+|"[^"]*"|>|[^<>"]+', _ASAP)
_ASAP_WORDS = (
    *(f'"{word}"' for word in WORDS[:30]),
    '"None"',
    '"Tumor"',
    '"holes"',
    '"PointSet"',
    '"Dot"',
    '"1,5"',
    '"2"',
    "<!DOCTYPE a [<!ENTITY b 'cccc'>]>",
    '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    "&b;",
    "&#0;",
    "&#x10FFFF;",
    "<![CDATA[ ]]>",
    '<?xml version="1.0" encoding="utf-16"?>',
    '<?xml version="1.0" encoding="rot13"?>',
    '<?xml version="1.0" encoding="cp037"?>',
    '<?xml version="1.0"' + " " * 3000 + 'encoding="latin-1"?>',
    "<a " * 300,
    "<Annotations>",
    "</Annotations>",
    "<Annotations/>",
    "<Group>" * 200,
)


def make_asap(random: Random) -> bytes:
    text = damaged_text(random, _ASAP_TOKENS, _ASAP_WORDS)
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8", "utf-16", "latin-1"))
    data = text.encode(encoding, "surrogatepass" if encoding != "latin-1" else "replace")
    return damaged_bytes(random, data) if random.random() < 0.2 else data


def read_asap(data: bytes, folder: Path) -> None:
    path = folder / "marks.xml"
    path.write_bytes(data)
    os.utime(path, (0, 0))  # the end of a file that is being written would be waited for
    document = read_document(path)
    prompts = prompts_of_asap(document.annotations, ObjectChoice.AUTO, _RULE)
    features = features_of_asap(document, _RULE)
    geojson_of_features(features)
    edited = document.edited(Edit(drop=range(len(document.annotations)), add=document.annotations))
    (folder / "edited.xml").write_bytes(edited)
    described_file(folder / "edited.xml", AsapChoice())
    segmented(prompts, data)


_KEYS = {
    "target": Key("target", Path, False),
    "model": Key("model", str, True),
    "mpp": Key("mpp", float, False),
    "batch-size": Key("batch_size", int, False),
    "preview": Key("preview", bool, False),
    "slides": Key("slides", Path, False),
}
_TOML = (
    'target = "project.qpproj"\nmodel = ["nuclei", "a.safetensors"]\nmpp = 0.25\nbatch-size = 8\n'
    'preview = true\nslides = "~/slides"\n'
)
_TOML_WORDS = (
    "[" * 2000,
    "a." * 3000,
    "{a={a={a=1}}}",
    '"""',
    "inf",
    "1979-05-27T07:32:00Z",
    "0x" + "f" * 400,
    "1e400",
    '"~nobody/x"',
    '"\\u0000"',
    '"\\ud800"',
    "'''",
    "[[a]]",
    "\n[a]\n",
    "=",
    "true",
    '"~"',
)


def make_options(random: Random) -> bytes:
    text = damaged_text(random, re.findall(r'[\w-]+|"[^"]*"|.|\n', _TOML), _TOML_WORDS)
    data = text.encode("utf-8", "surrogatepass")
    return damaged_bytes(random, data) if random.random() < 0.2 else data


def read_options(data: bytes, folder: Path) -> None:
    path = folder / "run.toml"
    path.write_bytes(data)
    read_run_file(path, _KEYS)


TARGETS = {
    "geojson": Target(make_geojson, read_geojson),
    "packed geojson": Target(make_packed, read_packed),
    "table": Target(make_table, read_table),
    "asap": Target(make_asap, read_asap),
    "options": Target(make_options, read_options),
}
