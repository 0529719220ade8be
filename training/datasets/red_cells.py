"""How wide red cells are in pictures of blood smears, from which the pixel size of such pictures is estimated.

`python -m nuclick_training.datasets.red_cells FOLDER` prints it for a folder of smears with outlined white cells. Red
cells are about 7.5 um wide.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from nuclick_training.datasets.data import Labels, Rgb, picture_names, read_picture

RED_CELL_UM = 7.5
_ROUGHEST_SOLIDITY = 0.95
_LONGEST_ECCENTRICITY = 0.6
_SMALLEST_SHARE = 0.006
"""Of the picture's pixels: what is smaller is a platelet."""
_LARGEST_SHARE = 0.065


def red_cell_widths(image: Rgb, labels: Labels) -> list[float]:
    """Return the widths, in pixels, of the red cells that lie alone: round pieces that are dark in green light.

    The width is that of a disc of the same area. Pieces that touch the border or a white cell are left out.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    labels
        (H, W), the white cells.
    """
    green = ndimage.gaussian_filter(image[..., 1].astype(np.float32), 1.5)
    dark = ndimage.binary_fill_holes(green < threshold_otsu(green))
    white = ndimage.binary_dilation(labels > 0, iterations=3)
    pieces = label(np.pad(dark, 1, constant_values=True))[1:-1, 1:-1]
    # Everything at the border is one piece with what was padded around it.
    found = [piece for piece in regionprops(pieces) if not white[pieces == piece.label].any()]
    return [float(piece.equivalent_diameter_area) for piece in found if _is_red_cell(piece, labels.size)]


def _is_red_cell(piece: Any, pixels: int) -> bool:
    share = piece.area / pixels
    is_round = piece.solidity >= _ROUGHEST_SOLIDITY and piece.eccentricity <= _LONGEST_ECCENTRICITY
    return bool(_SMALLEST_SHARE < share < _LARGEST_SHARE and is_round)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m nuclick_training.datasets.red_cells", description=__doc__)
    parser.add_argument("folder", type=Path, help="that holds images/ of smears and labels/ of their white cells")
    folder = parser.parse_args(arguments).folder
    medians = []
    for name in picture_names(folder):
        picture = read_picture(folder, name, 1.0)
        if widths := red_cell_widths(picture.image, picture.labels):
            medians.append(float(np.median(widths)))
    if not medians:
        print("no red cell lies alone in these pictures")
        return
    low, middle, high = np.percentile(medians, [10, 50, 90])
    print(f"{len(medians)} pictures: {middle:.0f} px, {low:.0f} to {high:.0f} between a tenth and nine tenths")
    print(f"{RED_CELL_UM / middle:.3f} um per pixel")


if __name__ == "__main__":
    main()
