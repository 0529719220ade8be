"""Masks that overlap become masks that do not: each pixel goes to one prompt.

It takes the masks of all prompts of one kind, each in its place on the grid, and returns the same without shared
pixels, and a rejection for each prompt that has nothing left. Neighbours that touch stay separate instances.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Role
from nuclick_wsi.segmentation.arrays import Mask, Pixels
from nuclick_wsi.segmentation.claims import Claims, Numbers, Ranking
from nuclick_wsi.segmentation.masks import bounding_box, inside_box, keep_touched
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.squares import Squares
from nuclick_wsi.segmentation.winners import first_wins


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


@dataclass(frozen=True, slots=True, eq=False)
class _Inherited:
    """Pixels that came to a patch when others gave them up, of those that some claims are on.

    Attributes
    ----------
    pixels
        Their numbers among those.
    places
        The pixels as flat indices into the patch's window.
    """

    pixels: Numbers
    places: NDArray[np.int32]

    def of(self, chosen: Mask) -> "_Inherited":
        """Return some of these pixels."""
        return _Inherited(self.pixels[chosen], self.places[chosen])

    def and_more(self, more: "_Inherited") -> "_Inherited":
        """Return these pixels and others."""
        return _Inherited(np.concatenate([self.pixels, more.pixels]), np.concatenate([self.places, more.places]))


@dataclass(slots=True, eq=False)
class Contest:
    """Claims that only shrink, until each part that a patch holds is touched by its signal.

    Each round works on the claims as they stood at its start, so the order within a round decides nothing. A patch
    gives up what it has won and nothing else, so the claims on a pixel fall in the order of their rank; they are ranked
    when its first winner gives it up, for most never do.

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
    squares: Squares = field(init=False)
    held: dict[int, Mask] = field(default_factory=dict, init=False)
    """What each patch holds, of those that have lost a pixel."""
    _ranking: Ranking = field(init=False)
    _won: dict[int, Mask] = field(init=False)
    """Of each moving patch that has lost a pixel, those on which no better claim stands."""
    _inherited: dict[int, dict[Claims, _Inherited]] = field(default_factory=dict, init=False)
    _signals: dict[int, Pixels] = field(default_factory=dict, init=False)
    """Of patches, their signals in their windows."""
    _left: dict[int, int] = field(default_factory=dict, init=False)
    """How many pixels a patch that holds nothing had under its signal when it gave them up as too few."""

    def __post_init__(self) -> None:
        ranks = np.empty(len(self.patches), np.int64)
        ranks[sorted(range(len(self.patches)), key=lambda index: self.patches[index].prompt.id)] = range(len(ranks))
        moving = len(self.patches) if self.moving is None else self.moving
        self.squares = Squares.of(self.patches)
        self._ranking = Ranking(self.patches, self.squares, ranks)
        won = first_wins(self.patches, self.squares, ranks)
        self._won = {index: mask for index, mask in won.items() if index < moving}

    def settle(self) -> None:
        """Settle all claims."""
        open_claims = set(self._won)
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
        for index in self._won:
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

    def _round(self, open_claims: Iterable[int], smallest_px: int) -> set[int]:
        """Give up the parts that cannot be kept; return the patches that gain by it."""
        fallen = {index: part for index in open_claims if (part := self._fallen(index, smallest_px)) is not None}
        gaining: set[int] = set()
        for claims, pixels in self._freed(fallen).items():
            gaining |= self._inherit(claims, *claims.fall(pixels))
        return gaining

    def _freed(self, fallen: dict[int, Mask]) -> dict[Claims, Numbers]:
        """Take away what patches give up; return the claims on it, each with the numbers of the pixels."""
        freed: dict[Claims, list[Numbers]] = {}
        first: dict[int, Mask] = {}
        for index, part in fallen.items():
            self._won[index] &= ~part
            never_fell = part.copy()
            of_patch = self._inherited.pop(index, {})
            for claims, inherited in of_patch.items():
                gone = part.ravel()[inherited.places]
                freed.setdefault(claims, []).append(inherited.pixels[gone])
                never_fell.ravel()[inherited.places[gone]] = False
                if not gone.all():
                    self._inherited.setdefault(index, {})[claims] = inherited.of(~gone)
            if never_fell.any():
                first[index] = never_fell
        fell_before = {claims: np.concatenate(pixels) for claims, pixels in freed.items()}
        return fell_before | {claims: claims.pixels for claims in self._ranking.below(first)}

    def _inherit(self, claims: Claims, pixels: Numbers, best: Numbers) -> set[int]:
        """Give pixels to the owners of the claims that are best now; return the moving patches among these."""
        moving = len(self.patches) if self.moving is None else self.moving
        order = np.argsort(claims.owners[best], kind="stable")
        owners, begins = np.unique(claims.owners[best][order], return_index=True)
        gaining = set()
        for owner, of_owner in zip(owners.tolist(), np.split(order, begins[1:]), strict=False):
            if owner < moving:
                gained = _Inherited(pixels[of_owner], claims.places[best[of_owner]])
                self._won[owner].ravel()[gained.places] = True
                of_patch = self._inherited.setdefault(owner, {})
                of_patch[claims] = of_patch[claims].and_more(gained) if claims in of_patch else gained
                gaining.add(owner)
        return gaining

    def _may_have_small_part(self, index: int) -> bool:
        """Whether its parts have to be measured: a click holds one part, a squiggle may hold several."""
        return len(self.patches[index].signal) > 1 or int(np.count_nonzero(self.held[index])) < self.smallest_px

    def _has_small_part(self, index: int) -> bool:
        held = self.held[index]
        if not self._may_have_small_part(index):
            return False
        return not np.array_equal(self._touched(index, held, self.smallest_px), held)

    def _touched(self, index: int, mask: Mask, smallest_px: int) -> Mask:
        """Return the parts of a mask in a patch's window that its signal touches and that are large enough."""
        signal = self._signals.get(index)
        if signal is None:
            signal = self._signals[index] = self.patches[index].signal_in(self.patches[index].window)
        kept = np.zeros_like(mask)
        # Under many others a patch holds little of its window.
        box = bounding_box(mask)
        if box is not None:
            kept[box] = keep_touched(mask[box], inside_box(signal, box), smallest_px)
        return kept

    def _fallen(self, index: int, smallest_px: int) -> Mask | None:
        """Update what a patch holds; return what it cannot keep of that, if anything."""
        won, patch = self._won[index], self.patches[index]
        if np.array_equal(won, patch.mask):
            self.held.pop(index, None)
            return None
        kept = self._touched(index, won, smallest_px)
        self.held[index] = kept
        if kept.any():
            self._left.pop(index, None)
        else:
            self._left.setdefault(index, int(self._touched(index, won, 1).sum()))
        fallen: Mask = won & ~kept
        return fallen if fallen.any() else None


def _rejection(patch: Patch, left: int, smallest_px: int) -> Rejection:
    """Return why a patch is gone."""
    had = int(patch.mask.sum())
    if left == 0:
        return Rejection.of(patch.prompt, Reason.TAKEN, f"all of its {had} px of the network's grid went to neighbours")
    detail = f"neighbours left it {left} of its {had} px of the network's grid; the smallest object has {smallest_px}"
    return Rejection.of(patch.prompt, Reason.TOO_SMALL, detail)
