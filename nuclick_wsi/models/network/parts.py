"""Which part of each layer is needed for a part of the features: convolutions look beyond it, coarser ones further.

A part that is computed in a window with all that its kernels reach is the same as the whole to the last bit.
"""

from collections.abc import Sequence

import torch

from nuclick_wsi.scale import Window


def needed_parts(part: Window, whole: Window, reaches: Sequence[int]) -> list[Window]:
    """Return the windows that are needed at strides 4, 8 and so on for a window of pixels, each in its own pixels.

    Parameters
    ----------
    part
        In pixels, inside the whole.
    whole
        Begins at 0; its sides are multiples of the last stride.
    reaches
        How far the layers at strides 2, 4 and so on look, in pixels of these; each is fed by the next stride.
    """
    needed = []
    for reach in reaches:
        part, whole = _halved(part), _halved(whole)
        inside = _grown(part, reach).intersection(whole)
        assert inside is not None, "a part lies inside the whole"
        part = inside
        needed.append(_halved(part))
    return needed


def doubled(window: Window) -> Window:
    """Return the same window in pixels of half the size."""
    return Window(2 * window.x, 2 * window.y, 2 * window.width, 2 * window.height)


def cut(features: torch.Tensor, window: Window, outer: Window) -> torch.Tensor:
    """Return the part in a window of B x C x H x W features that fill an outer one."""
    rows, columns = window.slices_in(outer)
    return features[:, :, rows, columns]


def _grown(window: Window, pixels: int) -> Window:
    return Window(window.x - pixels, window.y - pixels, window.width + 2 * pixels, window.height + 2 * pixels)


def _halved(window: Window) -> Window:
    """Return all pixels of twice the size that have a part of a window."""
    left, top = window.x // 2, window.y // 2
    return Window(left, top, (window.right + 1) // 2 - left, (window.bottom + 1) // 2 - top)
