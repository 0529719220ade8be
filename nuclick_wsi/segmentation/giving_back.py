"""What nobody holds once a contest has ended goes back to a mask that it is connected with.

A mask that is cut in two gives up the part without its signal. What cut it may be given up later and fall to that mask.
Then both are connected again, but the part is gone, and holes and ragged edges would stay where it was.
"""

from collections.abc import Collection, Iterator, Mapping, MutableMapping

import numpy as np
from scipy import ndimage

from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.claims import Ranking
from nuclick_wsi.segmentation.masks import bounding_box, label_parts
from nuclick_wsi.segmentation.squares import SIDE, Corner, Part, corners_of, part_of


def give_back(ranking: Ranking, held: MutableMapping[int, Mask], gave_up: Collection[int]) -> None:
    """Add to what patches hold what nobody does, as far as it is in their masks and connected with what they hold.

    What several could have goes pixel by pixel to the one that ranks first; what is cut off by that is looked at again.
    The order of the patches decides nothing.

    Parameters
    ----------
    ranking
        Of all patches.
    held
        By the number of the patch, what it holds in its window; this grows. Any other patch holds its mask.
    gave_up
        The numbers of those that have given up a pixel, all of them in `held`.
    """
    free = _free(ranking, held, gave_up)
    # Who could have a free pixel has given it up: claims fall, and end with one who keeps it or with nobody.
    while reached := dict(_reached(ranking, held, free, gave_up)):
        if not _take(ranking, held, free, reached):
            # Each is cut off by pixels that rank first with another: then only those next to a mask are given away.
            beside = {index: mask & ndimage.binary_dilation(held[index]) for index, mask in reached.items()}
            _take(ranking, held, free, beside)


def _take(
    ranking: Ranking, held: MutableMapping[int, Mask], free: Mapping[Corner, Mask], reached: Mapping[int, Mask]
) -> bool:
    """Let each patch take those of the pixels that it ranks first on, as far as they are connected with it.

    Return whether anybody took one.
    """
    taken = False
    for index, mask in ranking.first(reached):
        came = _connected(held[index], mask)
        if came.any():
            held[index] = held[index] | came
            for corner, part in _parts(index, ranking.patches[index].window, free):
                free[corner][part.there] &= ~came[part.own]
            taken = True
    return taken


def _free(ranking: Ranking, held: Mapping[int, Mask], gave_up: Collection[int]) -> dict[Corner, Mask]:
    """Return, square by square, the pixels that somebody gave up and nobody holds."""
    found = {}
    for corner in {corner for index in gave_up for corner in corners_of(ranking.patches[index].window)}:
        free = np.zeros((SIDE, SIDE), np.bool_)
        for part in ranking.squares.parts[corner]:
            if part.index in gave_up:
                free[part.there] |= ranking.patches[part.index].mask[part.own]
        for part in ranking.squares.parts[corner]:
            free[part.there] &= ~held.get(part.index, ranking.patches[part.index].mask)[part.own]
        if free.any():
            found[corner] = free
    return found


def _reached(
    ranking: Ranking, held: Mapping[int, Mask], free: Mapping[Corner, Mask], gave_up: Collection[int]
) -> Iterator[tuple[int, Mask]]:
    """Yield the patches that could have a free pixel, with all that each could have."""
    for index in gave_up:
        patch = ranking.patches[index]
        claimed = np.zeros(patch.mask.shape, np.bool_)
        for corner, part in _parts(index, patch.window, free):
            claimed[part.own] = patch.mask[part.own] & free[corner][part.there]
        connected = _connected(held[index], claimed)
        if connected.any():
            yield index, connected


def _parts(index: int, window: Window, free: Mapping[Corner, Mask]) -> Iterator[tuple[Corner, Part]]:
    """Yield the parts of a patch in squares where something is free."""
    for corner in corners_of(window):
        if corner in free:
            yield corner, part_of(index, window, corner)


def _connected(held: Mask, claimed: Mask) -> Mask:
    """Return those of some pixels beside a mask that are connected with it, if need be through others of them."""
    box = bounding_box(claimed)
    found = np.zeros_like(claimed)
    if box is not None:
        # All that a pixel touches is in the box around the pixels and one more.
        box = np.s_[max(box[0].start - 1, 0) : box[0].stop + 1, max(box[1].start - 1, 0) : box[1].stop + 1]
        labels, count = label_parts(held[box] | claimed[box])
        keep = np.zeros(count + 1, np.bool_)
        keep[labels[held[box]]] = True
        found[box] = claimed[box] & keep[labels]
    return found
