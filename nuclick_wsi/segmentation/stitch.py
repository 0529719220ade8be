"""Masks that overlap become masks that do not: each pixel goes to one prompt.

It takes the masks of all prompts of one kind, each in its place on the grid, and returns the same without shared
pixels, and a rejection for each prompt that has nothing left. Neighbours that touch stay separate instances.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Role
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.claims import Claims, Numbers
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
    contest = Contest(patches, smallest_px)
    contest.settle()
    ends = [contest.end_of(index) for index in range(len(patches))]
    return [one for one in ends if isinstance(one, Patch)], [one for one in ends if isinstance(one, Rejection)]


@dataclass(slots=True, eq=False)
class Contest:
    """Claims that only shrink, until each part that a patch holds is touched by its signal.

    Each round works on the claims as they stood at its start, so the order within a round decides nothing. A patch
    gives up what it has won and nothing else, so the claims on a pixel fall in the order of their rank.

    Parameters
    ----------
    patches
        As `settle_overlaps` takes them.
    smallest_px
        As in `settle_overlaps`.
    moving
        So many patches, the first ones, give up claims; the others keep theirs. None for all.
    """

    patches: Sequence[Patch]
    smallest_px: int
    moving: int | None = None
    claims: Claims = field(init=False)
    held: dict[int, Mask] = field(default_factory=dict, init=False)
    """What each patch holds, of those that have lost a pixel."""
    _best: Numbers = field(init=False)
    """Of each contested pixel, the claim that it goes to."""
    _given_up: dict[int, Mask] = field(default_factory=dict, init=False)
    _left: dict[int, int] = field(default_factory=dict, init=False)
    """How many pixels a patch that holds nothing had under its signal when it gave them up as too few."""

    def __post_init__(self) -> None:
        self.claims = Claims.of(self.patches)
        self._best = self.claims.starts[:-1].copy()

    def settle(self) -> None:
        """Settle all claims."""
        open_claims = self._contested()
        while open_claims:
            while open_claims:
                open_claims = self._round(open_claims, 1)
            # A part may be small only because of a claim that fell later: judge sizes once all else is settled.
            small = {index for index in self.held if self._may_have_small_part(index)}
            open_claims = self._round(small, self.smallest_px)

    def look(self) -> Mask:
        """Find what each patch wins before any gives up a claim; return which of them cannot keep all of that.

        The others never give up a pixel but those that such a patch has given up before.
        """
        cannot = np.zeros(len(self.patches), np.bool_)
        for index in self._contested():
            cannot[index] = self._fallen(index, 1) is not None or (index in self.held and self._has_small_part(index))
        return cannot

    def end_of(self, index: int) -> Patch | Rejection | None:
        """Return what a patch ends as: a patch, a rejection, or None for a neighbour that holds nothing."""
        patch, held = self.patches[index], self.held.get(index)
        if held is None:
            return patch
        if held.any():
            return Patch.cropped(patch.prompt, patch.window, held, patch.probabilities, patch.signal)
        return _rejection(patch, self._left[index], self.smallest_px) if patch.prompt.role is Role.SEGMENT else None

    def _contested(self) -> set[int]:
        moving = len(self.patches) if self.moving is None else self.moving
        return {index for index in np.unique(self.claims.owners).tolist() if index < moving}

    def _round(self, open_claims: Iterable[int], smallest_px: int) -> set[int]:
        """Give up the parts that cannot be kept; return the patches that gain by it."""
        fallen = {index: part for index in open_claims if (part := self._fallen(index, smallest_px)) is not None}
        freed = [self._give_up(index, part) for index, part in fallen.items()]
        pixels = np.concatenate([np.empty(0, np.int64), *freed])
        self._best[pixels] += 1
        still = pixels[self._best[pixels] < self.claims.starts[pixels + 1]]
        gaining: list[int] = np.unique(self.claims.owners[self._best[still]]).tolist()
        moving = len(self.patches) if self.moving is None else self.moving
        return {index for index in gaining if index < moving}

    def _give_up(self, index: int, part: Mask) -> Numbers:
        """Give up a part of what a patch has won; return the contested pixels in it."""
        before = self._given_up.get(index)
        self._given_up[index] = part if before is None else before | part
        own = self.claims.of_patch(index)
        pixels = self.claims.pixels[own]
        # A claim that was given up before is no longer the best one of its pixel.
        freed: Numbers = pixels[part.ravel()[self.claims.places[own]] & (self._best[pixels] == own)]
        return freed

    def _may_have_small_part(self, index: int) -> bool:
        """Whether its parts have to be measured: a click holds one part, a squiggle may hold several."""
        return len(self.patches[index].signal) > 1 or int(np.count_nonzero(self.held[index])) < self.smallest_px

    def _has_small_part(self, index: int) -> bool:
        patch, held = self.patches[index], self.held[index]
        if not self._may_have_small_part(index):
            return False
        return not np.array_equal(keep_touched(held, patch.signal_in(patch.window), self.smallest_px), held)

    def _won(self, index: int) -> Mask:
        """Return the pixels on which no better claim stands."""
        won = self.patches[index].mask.copy()
        if index in self._given_up:
            won &= ~self._given_up[index]
        own = self.claims.of_patch(index)
        lost = self._best[self.claims.pixels[own]] != own
        won.ravel()[self.claims.places[own[lost]]] = False
        return won

    def _fallen(self, index: int, smallest_px: int) -> Mask | None:
        """Update what a patch holds; return what it cannot keep of that, if anything."""
        won, patch = self._won(index), self.patches[index]
        if np.array_equal(won, patch.mask):
            self.held.pop(index, None)
            return None
        signal = patch.signal_in(patch.window)
        kept = keep_touched(won, signal, smallest_px)
        self.held[index] = kept
        if kept.any():
            self._left.pop(index, None)
        else:
            self._left.setdefault(index, int(keep_touched(won, signal).sum()))
        fallen: Mask = won & ~kept
        return fallen if fallen.any() else None


def _rejection(patch: Patch, left: int, smallest_px: int) -> Rejection:
    """Return why a patch is gone."""
    had = int(patch.mask.sum())
    if left == 0:
        return Rejection.of(patch.prompt, Reason.TAKEN, f"all of its {had} px of the network's grid went to neighbours")
    detail = f"neighbours left it {left} of its {had} px of the network's grid; the smallest object has {smallest_px}"
    return Rejection.of(patch.prompt, Reason.TOO_SMALL, detail)
