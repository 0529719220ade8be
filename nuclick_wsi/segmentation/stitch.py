"""Masks that overlap become masks that do not: each pixel goes to one prompt.

It takes the masks of all prompts of one kind, each in its place on the grid, and returns the same without shared
pixels, and a rejection for each prompt that has nothing left. Neighbours that touch stay separate instances.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from scipy.spatial import cKDTree

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Role
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Mask, Probabilities
from nuclick_wsi.segmentation.masks import keep_touched
from nuclick_wsi.segmentation.patch import Patch


def settle_overlaps(patches: Sequence[Patch], smallest_px: int) -> tuple[list[Patch], list[Rejection]]:
    """Give each pixel that several masks claim to one of them.

    It goes to the higher probability, then to the nearer signal, then to the smaller prompt id; but a prompt's own
    signal pixels stay with it. A mask keeps only those parts that its signal still touches, each of at least
    `smallest_px` pixels. A claim that falls with such a part, or with its prompt, falls to the next best, so no
    object loses pixels to one that is rejected. The order of the patches decides nothing.

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
    contest = _Contest(patches, _find_rivals(patches))
    contest.settle(smallest_px)
    settled: list[Patch] = []
    rejections: list[Rejection] = []
    for index, patch in enumerate(patches):
        held = contest.held.get(index)
        if held is None:
            settled.append(patch)
        elif held.any():
            settled.append(Patch.cropped(patch.prompt, patch.window, held, patch.probabilities, patch.signal))
        elif patch.prompt.role is Role.SEGMENT:
            rejections.append(_rejection(patch, contest.left[index], smallest_px))
    return settled, rejections


@dataclass(frozen=True, slots=True, eq=False)
class _Rival:
    """A neighbour that claims some of a patch's pixels.

    `here` and `there` are the shared window in the patch's array and in the rival's; `stronger` is True where the
    rival gets a pixel that both claim.
    """

    index: int
    here: tuple[slice, slice]
    there: tuple[slice, slice]
    stronger: Mask


@dataclass(slots=True, eq=False)
class _Contest:
    """Claims that only shrink, until each part that a patch holds is touched by its signal.

    Each round works on the claims as they stood at its start, so the order within a round decides nothing.
    """

    patches: Sequence[Patch]
    rivals: Mapping[int, Sequence[_Rival]]
    claims: dict[int, Mask] = field(init=False)
    held: dict[int, Mask] = field(default_factory=dict)
    """What each patch holds, of those that have lost a pixel."""
    left: dict[int, int] = field(default_factory=dict)
    """How many pixels a patch that holds nothing had under its signal when it gave them up as too few."""

    def __post_init__(self) -> None:
        self.claims = {index: self.patches[index].mask for index in self.rivals}

    def settle(self, smallest_px: int) -> None:
        """Settle all claims."""
        open_claims = set(self.rivals)
        while open_claims:
            while open_claims:
                open_claims = self._round(open_claims, 1)
            # A part may be small only because of a claim that fell later: judge sizes once all else is settled.
            small = {index for index in self.held if self._may_have_small_part(index, smallest_px)}
            open_claims = self._round(small, smallest_px)

    def _round(self, open_claims: Iterable[int], smallest_px: int) -> set[int]:
        """Give up the parts that cannot be kept; return the patches that may gain by it."""
        fallen = {index: part for index in open_claims if (part := self._fallen(index, smallest_px)) is not None}
        for index, part in fallen.items():
            self.claims[index] = self.claims[index] & ~part
        return {rival.index for index in fallen for rival in self.rivals[index]}

    def _may_have_small_part(self, index: int, smallest_px: int) -> bool:
        """Whether its parts have to be measured: a click holds one part, a squiggle may hold several."""
        return len(self.patches[index].signal) > 1 or int(np.count_nonzero(self.held[index])) < smallest_px

    def _fallen(self, index: int, smallest_px: int) -> Mask | None:
        """Update what a patch holds; return what it cannot keep of that, if anything."""
        won = self.claims[index].copy()
        for rival in self.rivals[index]:
            won[rival.here] &= ~(self.claims[rival.index][rival.there] & rival.stronger)
        patch = self.patches[index]
        if np.array_equal(won, patch.mask):
            self.held.pop(index, None)
            return None
        signal = patch.signal_in(patch.window)
        kept = keep_touched(won, signal, smallest_px)
        self.held[index] = kept
        if kept.any():
            self.left.pop(index, None)
        else:
            self.left.setdefault(index, int(keep_touched(won, signal).sum()))
        fallen: Mask = won & ~kept
        return fallen if fallen.any() else None


def _find_rivals(patches: Sequence[Patch]) -> dict[int, list[_Rival]]:
    """Return the rivals of each patch that shares a pixel with another."""
    rivals: dict[int, list[_Rival]] = {}
    for one, two in _overlapping_windows(patches):
        first, second = patches[one], patches[two]
        shared = first.window.intersection(second.window)
        assert shared is not None, "the windows of a pair overlap"
        here, there = shared.slices_in(first.window), shared.slices_in(second.window)
        both = first.mask[here] & second.mask[there]
        if both.any():
            first_wins = _first_wins(first, second, shared, both)
            rivals.setdefault(one, []).append(_Rival(two, here, there, ~first_wins))
            rivals.setdefault(two, []).append(_Rival(one, there, here, first_wins))
    return rivals


def _overlapping_windows(patches: Sequence[Patch]) -> list[tuple[int, int]]:
    """Return the pairs of patches whose windows share a pixel, each once."""
    if not patches:
        return []
    # Shrunk by a quarter, windows that only touch no longer meet.
    edges = np.array([patch.window.edges for patch in patches]) - (-0.25, -0.25, 0.25, 0.25)
    boxes = shapely.box(*edges.T)
    one, two = shapely.STRtree(boxes).query(boxes)
    once = one < two
    return list(zip(one[once].tolist(), two[once].tolist(), strict=True))


def _first_wins(first: Patch, second: Patch, shared: Window, both: Mask) -> Mask:
    """Return where the first of two patches gets a pixel that both claim, as an array that fills their window."""
    strength, other = _strength(first, shared), _strength(second, shared)
    wins: Mask = strength > other
    tied = both & (strength == other)
    if tied.any():
        pixels = np.add(np.argwhere(tied), (shared.y, shared.x))
        distance, other_distance = (cKDTree(patch.signal).query(pixels)[0] for patch in (first, second))
        smaller_id = first.prompt.id < second.prompt.id
        wins[tied] = (distance < other_distance) | ((distance == other_distance) & smaller_id)
    return wins


def _strength(patch: Patch, shared: Window) -> Probabilities:
    """Return the probabilities in a window, raised above all others on the prompt's own signal."""
    strength = patch.probabilities[shared.slices_in(patch.window)]
    own = patch.signal_in(shared)
    if own.size:
        strength = strength.copy()
        strength[tuple(own.T)] += 2
    return strength


def _rejection(patch: Patch, left: int, smallest_px: int) -> Rejection:
    """Return why a patch is gone."""
    had = int(patch.mask.sum())
    if left == 0:
        return Rejection.of(patch.prompt, Reason.TAKEN, f"all of its {had} px of the network's grid went to neighbours")
    detail = f"neighbours left it {left} of its {had} px of the network's grid; the smallest object has {smallest_px}"
    return Rejection.of(patch.prompt, Reason.TOO_SMALL, detail)
