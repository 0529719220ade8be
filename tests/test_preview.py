"""The picture of a run shows every outline, also one in several parts, and every hole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import shapely
from PIL import Image

from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.preview import write_preview
from nuclick_wsi.segmentation.engine import Outcome
from nuclick_wsi.slides.readers import open_slide


def test_every_part_of_an_outline_and_its_holes_are_drawn(tmp_path: Path, make_slide: Callable[..., Path]) -> None:
    ring = shapely.box(20, 20, 90, 90).difference(shapely.box(40, 40, 70, 70))
    shape = shapely.MultiPolygon([ring, shapely.box(120, 120, 160, 160)])
    outcome = Outcome((Instance("1", ObjectKind.GLAND, shape, "Tumor", Plane(), 1.0, 0.9),), (), ())
    with open_slide(make_slide(np.full((180, 180, 3), 255, np.uint8))) as slide:
        write_preview(tmp_path / "seen.png", slide, [], outcome, {"Tumor": (250, 0, 0)})
    drawn = np.asarray(Image.open(tmp_path / "seen.png"))
    scale = drawn.shape[1] / 180
    for x, y in ((20, 55), (40, 55), (120, 140), (160, 140)):
        column, row = round(x * scale), round(y * scale)
        assert drawn[row, column - 1 : column + 2].min() < 200, (x, y)
