"""A contact sheet: crops side by side, each with a line of text."""

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from nuclick_wsi.instances import Instance
from nuclick_wsi.runs.preview.crops import SIDE, Crop
from nuclick_wsi.runs.preview.pictured import told_sureness

_COLUMNS = 6
_GAP = 8
_CAPTION = 38
_TITLE = 34
_PAPER, _INK, _PALE, _FRAME = (255, 255, 255), (20, 20, 20), (90, 90, 90), (200, 200, 200)


def contact_sheet(crops: Sequence[Crop], title: str) -> bytes:
    """Return crops under a title as a PNG file's content."""
    columns = min(_COLUMNS, len(crops))
    rows = math.ceil(len(crops) / columns)
    width, height = columns * (SIDE + _GAP) + _GAP, _TITLE + rows * (SIDE + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, 8), title, _INK, ImageFont.load_default(17))
    for number, crop in enumerate(crops):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (SIDE + _GAP), _TITLE + row * (SIDE + _CAPTION + _GAP)
        sheet.paste(crop.picture, (left, top))
        pen.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline=_FRAME)
        for line, (text, color) in enumerate(zip(_caption(crop), (_INK, _PALE), strict=True)):
            pen.text((left + 1, top + SIDE + 3 + 16 * line), text, color, ImageFont.load_default(13))
    target = io.BytesIO()
    sheet.save(target, "PNG")
    return target.getvalue()


def _caption(crop: Crop) -> tuple[str, str]:
    """Return what a crop shows and where it is."""
    one = crop.shown
    what = f"{one.kind}, {told_sureness(one)}, {one.area_um2:.0f} um2" if isinstance(one, Instance) else one.reason
    return what, f"x {crop.place.x:.0f}, y {crop.place.y:.0f}"
