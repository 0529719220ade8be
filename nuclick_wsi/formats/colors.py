"""Colours of classes, as QuPath's files and tables write them: three numbers, one packed number, or #rrggbb."""

import colorsys
import hashlib
import re
from typing import Any

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_LARGEST = 2**32
"""Beyond the largest packed number, with opacity and without a sign."""
_NUMBER = re.compile(r"-?\d{1,10}")


def read_color(value: Any) -> Color | None:
    """Return the colour that a value means; None where it means none."""
    if isinstance(value, list) and len(value) in (3, 4) and all(_is_whole(part) for part in value):
        red, green, blue = (int(part) & 255 for part in value[:3])
        return red, green, blue
    if isinstance(value, str):
        text = value.strip()
        if found := _HEX.fullmatch(text):
            return int(found[1], 16), int(found[2], 16), int(found[3], 16)
        value = int(text) if _NUMBER.fullmatch(text) else None
    if _is_whole(value):
        packed = int(value)
        return packed >> 16 & 255, packed >> 8 & 255, packed & 255
    return None


def color_of(class_name: str) -> Color:
    """Return a clear colour that depends on the class's name alone."""
    hue = int.from_bytes(hashlib.sha256(class_name.encode()).digest()[:2]) / 65536
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def _is_whole(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= _LARGEST and value == int(value)
