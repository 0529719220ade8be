"""The table of all prompts of a run that got no outline: one line each, with its place and the reason."""

import csv
import io
from collections.abc import Iterable

from nuclick_wsi.runs.report import ImageReport

COLUMNS = ("image", "x", "y", "class", "object", "reason", "detail", "prompt", "slide")


def rejections_csv(images: Iterable[ImageReport]) -> bytes:
    """Return the rejections of a run as a CSV file in UTF-8; x and y are slide pixels (level 0), empty if unknown."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    for image in images:
        for one in image.rejections:
            x, y = (f"{one.position.x:.2f}", f"{one.position.y:.2f}") if one.position else ("", "")
            what = (one.class_name or "", one.kind or "", one.reason.value, one.detail)
            writer.writerow((image.name, x, y, *what, one.prompt_id, image.slide or ""))
    return target.getvalue().encode()
