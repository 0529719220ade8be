"""Masks that overlap become masks that do not: each pixel goes to one prompt.

It takes the masks of all prompts of one kind, each in its place on the grid, and returns the same without shared
pixels, and a rejection for each prompt that has nothing left. Neighbours that touch stay separate instances.
"""

from collections.abc import Sequence

from nuclick_wsi.instances import Rejection
from nuclick_wsi.segmentation.contest import Contest
from nuclick_wsi.segmentation.patch import Patch


def settle_overlaps(patches: Sequence[Patch], smallest_px: int) -> tuple[list[Patch], list[Rejection]]:
    """Give each pixel that several masks claim to one of them.

    It goes to the higher probability, then to the nearer signal, then to the smaller prompt id; but a prompt's own
    signal pixels stay with it. A mask keeps only those parts that its signal still touches, each of at least
    `smallest_px` pixels. A claim that falls with such a part, or with its prompt, falls to the next best, so no
    object loses pixels to one that is rejected. What nobody holds in the end goes back to a mask that had it and is
    connected with it. The order of the patches decides nothing.

    Parameters
    ----------
    patches
        As `decode_mask` makes them, with prompt ids of their own; none is changed.
    smallest_px
        As in the `MaskRule` that made them.

    Returns
    -------
    settled
        Patches without a common pixel, in the order of the input.
    rejections
        `TAKEN` for each that has no pixel left, `TOO_SMALL` for each that has too few; none for a neighbour, which
        asks for no outline.
    """
    contest = Contest(patches, smallest_px)
    contest.settle()
    ends = [contest.end_of(index) for index in range(len(patches))]
    return [one for one in ends if isinstance(one, Patch)], [one for one in ends if isinstance(one, Rejection)]
