"""What every target has: small slides of real tissue, and places on them to click."""

from pathlib import Path

from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

SIDE = 256
"""Of a slide, in px."""
PLACES = [(x + 7.5, y + 3.5) for y in range(20, 240, 44) for x in range(20, 240, 44)]


def write_slide(path: Path) -> None:
    """Write a slide, and the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, immunohistochemistry()[:SIDE, -SIDE:].copy(), PixelSize(0.5, 0.5))
