"""Small QuPath projects on real tissue, written as QuPath writes them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qpdata_writer import Drawn, qpdata
from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

SIDE = 256


@dataclass
class Image:
    """One image of a project: what is drawn on it, and how QuPath opens it."""

    name: str
    drawn: list[Drawn] = field(default_factory=list)
    mpp: float | None = 0.5
    builder: dict[str, Any] = field(default_factory=dict)
    has_slide: bool = True


def write_project(folder: Path, *images: Image) -> Path:
    """Write a project and its slides, and return the .qpproj; where it says it lies, it never lay."""
    entries = []
    for number, image in enumerate(images, start=1):
        (folder / "slides").mkdir(parents=True, exist_ok=True)
        if image.has_slide:
            size = PixelSize(image.mpp, image.mpp) if image.mpp else None
            write_pyramid(folder / "slides" / image.name, immunohistochemistry()[:SIDE, -SIDE:].copy(), size)
        data = folder / "data" / str(number) / "data.qpdata"
        data.parent.mkdir(parents=True)
        data.write_bytes(qpdata(*image.drawn))
        entries.append({"serverBuilder": _builder(image), "entryID": number, "imageName": image.name})
    content = {"version": "0.5.1", "uri": "file:/never/there/project.qpproj", "images": entries}
    path = folder / "project.qpproj"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _builder(image: Image) -> dict[str, Any]:
    length = {"value": image.mpp, "unit": "µm"} if image.mpp else {"value": 1, "unit": "px"}
    plain = {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
        "uri": f"file:/never/there/slides/{image.name}",
        "args": [],
        "metadata": {
            "name": image.name,
            "width": SIDE,
            "height": SIDE,
            "pixelCalibration": {"pixelWidth": length, "pixelHeight": length},
        },
    }
    return {**plain, **image.builder}
