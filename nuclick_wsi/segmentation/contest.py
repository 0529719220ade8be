"""The contest of patches for pixels: in rounds each gives up what it cannot keep, until all can keep what they hold.

It takes the patches of `stitch`, which says by what rule; `winners` finds who wins first, `claims` who comes next.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Role
from nuclick_wsi.segmentation.arrays import Mask, Pixels
from nuclick_wsi.segmentation.claims import Claims, Numbers, PackedMask, Ranking, packed
from nuclick_wsi.segmentation.giving_back import give_back
from nuclick_wsi.segmentation.masks import bounding_box, inside_box, keep_touched, label_parts
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.squares import Squares
from nuclick_wsi.segmentation.steps import OnStep, nobody
from nuclick_wsi.segmentation.winners import first_wins

Places: TypeAlias = NDArray[np.int32]
"""Pixels as flat indices into a patch's window."""

_NOTHING: Places = np.empty(0, np.int32)
_BETWEEN_STEPS = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Inherited:
    """Pixels that came to a patch when others gave them up, of those that some claims are on.

    Attributes
    ----------
    pixels
        Their numbers among those.
    places
        The pixels in the patch's window.
    """

    pixels: Numbers
    places: Places

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
    when its first winner gives it up, for most never do. What a patch keeps in a round its signal touches, so in the
    next one only what has come since has to be looked at.

    Parameters
    ----------
    patches
        As `settle_overlaps` takes them.
    smallest_px
        As in `settle_overlaps`.
    moving
        So many patches, the first ones, give up claims; the others keep theirs. None for all.
    on_step
        Is told how far each round is.
    """

    patches: Sequence[Patch]
    smallest_px: int
    moving: int | None = None
    on_step: OnStep = nobody
    squares: Squares = field(init=False)
    _ranking: Ranking = field(init=False)
    _won: dict[int, Mask] = field(init=False)
    """Of each moving patch that has lost a pixel, those on which no better claim stands; after a round, what it holds
    of these."""
    _own: dict[int, int] = field(init=False)
    """How many pixels these patches have in their masks."""
    _has: dict[int, int] = field(init=False)
    """How many of them they have won."""
    _gained: dict[int, list[Places]] = field(default_factory=dict, init=False)
    """What has come to a patch since it was looked at."""
    _inherited: dict[int, dict[Claims, _Inherited]] = field(default_factory=dict, init=False)
    _signals: dict[int, Pixels] = field(default_factory=dict, init=False)
    """Of patches, their signals in their windows."""
    _left: dict[int, int] = field(default_factory=dict, init=False)
    """How many pixels a patch that holds nothing had under its signal when it gave them up as too few."""
    _gave_up: set[int] = field(default_factory=set, init=False)
    """The patches that have given up a pixel."""
    _rounds: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        ranks = np.empty(len(self.patches), np.int64)
        ranks[sorted(range(len(self.patches)), key=lambda index: self.patches[index].prompt.id)] = range(len(ranks))
        moving = len(self.patches) if self.moving is None else self.moving
        self.squares = Squares.of(self.patches)
        self._ranking = Ranking(self.patches, self.squares, ranks)
        won = first_wins(self.patches, self.squares, ranks)
        self._won = {index: mask for index, mask in won.items() if index < moving}
        self._own = {index: int(np.count_nonzero(self.patches[index].mask)) for index in self._won}
        self._has = {index: int(np.count_nonzero(mask)) for index, mask in self._won.items()}

    def settle(self) -> None:
        """Settle all claims."""
        open_claims = set(self._won)
        while open_claims:
            while open_claims:
                open_claims = self._round(open_claims, 1)
            # A part may be small only because of a claim that fell later: judge sizes once all else is settled.
            small = {index for index in self._won if self._has_lost(index) and self._may_have_small_part(index)}
            open_claims = self._round(small, self.smallest_px)
        give_back(self._ranking, self._won, self._gave_up)
        self._has |= {index: int(np.count_nonzero(self._won[index])) for index in self._gave_up}

    def look(self) -> Mask:
        """Find what each patch wins before any gives up a claim; return which of them cannot keep all of that.

        The others never give up a pixel but those that such a patch has given up before.
        """
        cannot = np.zeros(len(self.patches), np.bool_)
        for index in self._won:
            cannot[index] = len(self._fallen(index, 1)) > 0 or self._has_small_part(index)
        return cannot

    def end_of(self, index: int) -> Patch | Rejection | None:
        """Return what a patch ends as: a patch, a rejection, or None for a neighbour that holds nothing."""
        patch = self.patches[index]
        if not self._has_lost(index):
            return patch
        if self._has[index]:
            return Patch.cropped(patch.prompt, patch.window, self._won[index], patch.probabilities, patch.signal)
        return _rejection(patch, self._left[index], self.smallest_px) if patch.prompt.role is Role.SEGMENT else None

    def _round(self, open_claims: Collection[int], smallest_px: int) -> set[int]:
        """Give up the parts that cannot be kept; return the patches that gain by it."""
        self._rounds += 1
        fallen: dict[int, Places] = {}
        for done, index in enumerate(open_claims):
            if done % _BETWEEN_STEPS == 0:
                self.on_step(f"overlaps, round {self._rounds}", done, len(open_claims))
            if len(places := self._fallen(index, smallest_px)):
                fallen[index] = places
        gaining: set[int] = set()
        for claims, pixels in self._freed(fallen).items():
            gaining |= self._inherit(claims, *claims.fall(pixels))
        return gaining

    def _freed(self, fallen: dict[int, Places]) -> dict[Claims, Numbers]:
        """Return the claims on what patches give up, each with the numbers of the pixels."""
        freed: dict[Claims, list[Numbers]] = {}
        first: dict[int, PackedMask] = {}
        for index, places in fallen.items():
            never_fell = np.zeros(self.patches[index].mask.size, np.bool_)
            never_fell[places] = True
            for claims, inherited in self._inherited.pop(index, {}).items():
                gone = never_fell[inherited.places]
                if gone.any():
                    freed.setdefault(claims, []).append(inherited.pixels[gone])
                    never_fell[inherited.places[gone]] = False
                if not gone.all():
                    self._inherited.setdefault(index, {})[claims] = inherited.of(~gone)
            if never_fell.any():
                first[index] = packed(never_fell)
        fell_before = {claims: np.concatenate(pixels) for claims, pixels in freed.items()}
        told = partial(self.on_step, f"overlaps, round {self._rounds}: what was given up")
        return fell_before | {claims: claims.pixels for claims in self._ranking.below(first, told)}

    def _inherit(self, claims: Claims, pixels: Numbers, best: Numbers) -> set[int]:
        """Give pixels to the owners of the claims that are best now; return the moving patches among these."""
        moving = len(self.patches) if self.moving is None else self.moving
        order = np.argsort(claims.owners[best], kind="stable")
        owners, begins = np.unique(claims.owners[best][order], return_index=True)
        gaining = set()
        for owner, of_owner in zip(owners.tolist(), np.split(order, begins[1:]), strict=False):
            if owner < moving:
                of_pixels = pixels[of_owner]
                gained = _Inherited(of_pixels, self._places(owner, claims.positions[of_pixels]))
                self._won[owner].ravel()[gained.places] = True
                self._has[owner] += len(gained.places)
                self._gained.setdefault(owner, []).append(gained.places)
                of_patch = self._inherited.setdefault(owner, {})
                of_patch[claims] = of_patch[claims].and_more(gained) if claims in of_patch else gained
                gaining.add(owner)
        return gaining

    def _places(self, index: int, positions: NDArray[np.int32]) -> Places:
        """Return positions on the grid as places in a patch's window."""
        window = self.patches[index].window
        places: Places = (positions[:, 0] - window.y) * np.int32(window.width) + positions[:, 1] - window.x
        return places

    def _has_lost(self, index: int) -> bool:
        """Whether a patch has not all of its mask."""
        return index in self._won and self._has[index] < self._own[index]

    def _may_have_small_part(self, index: int) -> bool:
        """Whether its parts have to be measured: a click holds one part, a squiggle may hold several."""
        return len(self.patches[index].signal) > 1 or self._has[index] < self.smallest_px

    def _has_small_part(self, index: int) -> bool:
        if not self._has_lost(index) or not self._may_have_small_part(index):
            return False
        return not np.array_equal(self._touched(index, self.smallest_px), self._won[index])

    def _touched(self, index: int, smallest_px: int) -> Mask:
        """Return the parts of what a patch has won that its signal touches and that are large enough."""
        won = self._won[index]
        kept = np.zeros_like(won)
        # Under many others a patch holds little of its window.
        box = bounding_box(won)
        if box is not None:
            kept[box] = keep_touched(won[box], inside_box(self._signal(index), box), smallest_px)
        return kept

    def _signal(self, index: int) -> Pixels:
        if index not in self._signals:
            self._signals[index] = self.patches[index].signal_in(self.patches[index].window)
        return self._signals[index]

    def _fallen(self, index: int, smallest_px: int) -> Places:
        """Take from what a patch has won what it cannot keep; return that."""
        gained = self._gained.pop(index, None)
        if not self._has_lost(index):
            return _NOTHING
        won, left = self._won[index], 0
        if gained is None or smallest_px > 1:
            kept = self._touched(index, smallest_px)
            fallen = np.flatnonzero(won & ~kept).astype(np.int32)
            if len(fallen) == self._has[index] and smallest_px > 1:
                left = int(np.count_nonzero(self._touched(index, 1)))
        else:
            fallen = self._apart(index, np.concatenate(gained))
        won.ravel()[fallen] = False
        if len(fallen):
            self._gave_up.add(index)
        self._has[index] -= len(fallen)
        if self._has[index]:
            self._left.pop(index, None)
        else:
            self._left.setdefault(index, left)
        return fallen

    def _apart(self, index: int, gained: Places) -> Places:
        """Return what came to a patch and is connected neither with what it held before nor with its signal."""
        won = self._won[index]
        rows, columns = np.divmod(gained, won.shape[1])
        # All that a pixel touches is in the box around the pixels and one more.
        upright, level = (slice(max(int(each.min()) - 1, 0), int(each.max()) + 2) for each in (rows, columns))
        box = upright, level
        rows, columns = rows - upright.start, columns - level.start
        labels, count = label_parts(won[box])
        is_new = np.zeros(labels.shape, np.bool_)
        is_new[rows, columns] = True
        keep = np.zeros(count + 1, np.bool_)
        keep[labels[~is_new]] = True
        keep[labels[tuple(inside_box(self._signal(index), box).T)]] = True
        fallen: Places = gained[~keep[labels[rows, columns]]]
        return fallen


def _rejection(patch: Patch, left: int, smallest_px: int) -> Rejection:
    """Return why a patch is gone."""
    had = int(patch.mask.sum())
    if left == 0:
        return Rejection.of(patch.prompt, Reason.TAKEN, f"all of its {had} px of the network's grid went to neighbours")
    detail = f"neighbours left it {left} of its {had} px of the network's grid; the smallest object has {smallest_px}"
    return Rejection.of(patch.prompt, Reason.TOO_SMALL, detail)
