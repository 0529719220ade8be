"""Patches that come region by region are settled, and leave, as soon as nothing that is still to come can touch them.

The result is the one that settling all at once gives. What makes that possible: in a contest, a patch that can keep all
that it wins at first never gives up more than what another gave up before it. So a patch that cannot is settled with
all that share a pixel with it, and on from those among them that cannot either; any other patch holds what it won at
first. Such a group is held until its last member is known, and it ends where everybody can keep what they win.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nuclick_wsi.instances import Rejection
from nuclick_wsi.prompts import Role
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.contest import Contest
from nuclick_wsi.segmentation.groups import joined
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.steps import OnStep, nobody

Numbers = NDArray[np.int64]

_WORTH_TELLING = 1000
"""Patches that are settled at once: fewer take less than some seconds."""


@dataclass(slots=True, eq=False)
class _Held:
    """A patch that is not done with.

    Attributes
    ----------
    last
        The number of the last region in which a patch may come that touches this one.
    at_first
        What the patch ends as if it gives up nothing; None as long as it is not known.
    settled
        What it ends as, in a tuple of one; None as long as it is not settled.
    """

    patch: Patch
    last: int
    at_first: tuple[Patch | Rejection | None] | None = None
    settled: tuple[Patch | Rejection | None] | None = None
    is_out: bool = False

    @property
    def to_draw(self) -> bool:
        """Whether an outline of it is wanted, or may be, and has not been given out."""
        if self.is_out or self.patch.prompt.role is not Role.SEGMENT:
            return False
        return self.settled is None or isinstance(self.settled[0], Patch)


@dataclass(frozen=True, slots=True)
class Settled:
    """What is settled for good.

    Attributes
    ----------
    wanted
        Patches of which an outline is wanted, each given out once.
    beside
        Others that may touch one of these; what they end as is known too.
    rejections
        Of prompts that have no pixel left, or too few.
    """

    wanted: list[Patch]
    beside: list[Patch]
    rejections: list[Rejection]


class Settler:
    """Settles patches that come region by region.

    Parameters
    ----------
    smallest_px
        As `settle_overlaps` takes it.
    on_step
        Is told how far the rounds are in which many patches are settled at once.
    """

    def __init__(self, smallest_px: int, on_step: OnStep = nobody) -> None:
        self._smallest_px = smallest_px
        self._on_step = on_step
        self._held: list[_Held] = []
        self._pairs: list[tuple[_Held, _Held]] = []
        """Patches that are settled together."""

    @property
    def waiting(self) -> int:
        """How many patches are held."""
        return len(self._held)

    def add(self, patches: Sequence[Patch], last: Numbers) -> None:
        """Take the patches of a region.

        Parameters
        ----------
        last
            For each, the number of the last region in which a patch may come that touches it.
        """
        self._held += [_Held(patch, number) for patch, number in zip(patches, last.tolist(), strict=True)]

    def advance(self, region: int) -> Settled:
        """Settle what can be settled once the patches of so many regions, up to this number, have come."""
        if not self._held:
            return Settled([], [], [])
        near = _Near([one.patch for one in self._held])
        complete = np.array([one.last <= region for one in self._held])
        self._look(near, complete)
        unsettled = np.array([one.settled is None for one in self._held])
        closed = self._closed(near, complete, unsettled)
        rejections = self._settle(near, closed)
        unsettled &= ~closed
        wanted = np.array([one.to_draw for one in self._held]) & ~unsettled
        wanted &= ~near.to_any(unsettled)
        beside = near.to_any(wanted) & ~wanted
        for index in np.flatnonzero(wanted).tolist():
            self._held[index].is_out = True
        settled = Settled(self._patches(wanted), self._patches(beside), rejections)
        self._drop(near, unsettled)
        return settled

    def _look(self, near: "_Near", complete: Mask) -> None:
        """Find which of the patches whose rivals are all known can keep what they win at first."""
        new = complete & np.array([one.at_first is None for one in self._held])
        members, contest = self._contest(near, new)
        if contest is None:
            return
        cannot = contest.look()
        for number in range(int(new.sum())):
            members[number].at_first = (contest.end_of(number),)
        for group in joined(contest.patches, contest.squares, cannot):
            self._pairs += [(members[group[0]], members[other]) for other in group[1:]]

    def _closed(self, near: "_Near", complete: Mask, unsettled: Mask) -> Mask:
        """Return which unsettled patches have all their group here."""
        open_ones = ~complete & unsettled
        waits = unsettled & near.to_any(open_ones)
        groups = self._groups()
        closed: Mask = unsettled & ~np.isin(groups, groups[waits])
        return closed

    def _groups(self) -> Numbers:
        """Return the number of each held patch's group."""
        places = {id(one): place for place, one in enumerate(self._held)}
        ends = np.array([(places[id(one)], places[id(two)]) for one, two in self._pairs], np.int64).reshape(-1, 2)
        count = len(self._held)
        graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
        groups: Numbers = connected_components(graph, directed=False)[1].astype(np.int64)
        return groups

    def _settle(self, near: "_Near", closed: Mask) -> list[Rejection]:
        """Settle whole groups; return the rejections that come of it."""
        joined = {id(one) for pair in self._pairs for one in pair}
        together = closed & np.array([id(one) in joined for one in self._held])
        members, contest = self._contest(near, together)
        if contest is not None:
            contest.settle()
            for number in range(int(together.sum())):
                members[number].settled = (contest.end_of(number),)
        for index in np.flatnonzero(closed & ~together).tolist():
            self._held[index].settled = self._held[index].at_first
        ends = [self._held[index].settled for index in np.flatnonzero(closed).tolist()]
        return [end[0] for end in ends if end is not None and isinstance(end[0], Rejection)]

    def _contest(self, near: "_Near", moving: Mask) -> tuple[list[_Held], Contest | None]:
        """Return a contest of some patches with all near them, these last; None without any."""
        if not moving.any():
            return [], None
        others = near.to_any(moving) & ~moving
        members = [self._held[index] for index in (*np.flatnonzero(moving), *np.flatnonzero(others))]
        count = int(moving.sum())
        on_step = self._on_step if count > _WORTH_TELLING else nobody
        return members, Contest([one.patch for one in members], self._smallest_px, count, on_step)

    def _patches(self, chosen: Mask) -> list[Patch]:
        """Return what is left of some settled patches."""
        ends = [self._held[index].settled for index in np.flatnonzero(chosen).tolist()]
        return [end[0] for end in ends if end is not None and isinstance(end[0], Patch)]

    def _drop(self, near: "_Near", unsettled: Mask) -> None:
        """Let go of what no patch needs that is held for an outline or for a group."""
        needs = unsettled | np.array([one.to_draw for one in self._held])
        kept = needs | near.to_any(needs)
        self._held = [one for one, stays in zip(self._held, kept.tolist(), strict=True) if stays]
        self._pairs = [pair for pair in self._pairs if pair[0].settled is None]


class _Near:
    """Which patches lie near which: their windows share a pixel, or touch."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        edges = np.array([patch.window.edges for patch in patches])
        self._boxes = shapely.box(*edges.T)

    def to_any(self, chosen: Mask) -> Mask:
        """Return which patches lie near one of those chosen, these among them."""
        near = chosen.copy()
        if chosen.any():
            # One of those chosen for each is enough: all pairs of ten thousand in one place would be many millions.
            tree = shapely.STRtree(self._boxes[chosen])
            hit = tree.query_nearest(self._boxes, max_distance=0.5, all_matches=False)[0]
            near[hit] = True
        return near
