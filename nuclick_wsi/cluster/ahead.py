"""Runs ahead of a run: has a cluster fill the journal, image by image, before the run comes to each.

What the run then does is what it does where an earlier run was killed after the network: everything is recalled,
overlaps are settled and results are written here. So results equal those of a run on this machine, and what the
cluster could not do is done here.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol

from nuclick_wsi.cluster.planning import Planner
from nuclick_wsi.cluster.work import Done, Seen, Setup, Unit
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import ImageInput, Job
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.opened_image import OpenedImage
from nuclick_wsi.runs.patch_codec import decode
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.result_cache import NoCache, ResultCache
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize
from nuclick_wsi.slides.readers import open_slide


class Pool(Protocol):
    """Workers that take units and give results in any order."""

    @property
    def room(self) -> int:
        """How many units are best under way at once: enough that no worker waits."""

    def submit(self, unit: Unit) -> Any:
        """Begin with a unit; return a handle. ClusterError where that cannot be."""

    def next_done(self, handles: Iterable[Any]) -> Any:
        """Wait until one of some handles is done; return it."""

    def result(self, handle: Any) -> Done:
        """Return the results of a handle that is done.

        Raises
        ------
        NuclickError
            As `work_on` does; `ClusterError` where the work was lost.
        """

    def cancel(self, handles: Iterable[Any]) -> None:
        """Give up work that is under way."""


class Watcher(Protocol):
    """Is told how far it is."""

    def image_started(self, name: str, prompts: int) -> None:
        """Work on an image is awaited from now on."""

    def prompts_done(self, count: int) -> None:
        """`count` more of its prompts are done."""


@dataclass(slots=True)
class _Begun:
    """An image that is being worked on."""

    job: Job
    prompts: int = 0
    done: int = 0
    units: Iterator[Unit] = field(default_factory=lambda: iter(()))
    is_sent: bool = False
    """Whether all of its units are with the workers."""
    waiting: dict[Any, Unit] = field(default_factory=dict)
    cache: ResultCache = NoCache()
    here: dict[ObjectKind, Seen] = field(default_factory=dict)
    """What the workers are to see, too."""
    error: NuclickError | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """Has the work of a run done by a cluster.

    Attributes
    ----------
    registry
        The models as they are here.
    path_of
        Returns a slide's path as the workers have it.
    """

    pool: Pool
    setup: Setup
    registry: ModelRegistry
    pixel_size: GivenPixelSize | None
    journal: Journal
    watcher: Watcher
    path_of: Callable[[Path], str]

    def of(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield the jobs in order, each when the journal has the results of its prompts.

        One of which the work failed on the cluster fails when it is read, with the reason.
        """
        fresh, self.journal.fresh = self.journal.fresh, False
        begun: deque[_Begun] = deque()
        left = iter(jobs)
        try:
            while True:
                self._send(begun, left, fresh)
                if not begun:
                    return
                first = begun[0]
                if first.is_sent and not first.waiting:
                    begun.popleft()
                    self.journal.save()  # what waits to be written is not found
                    yield first.job if first.error is None else replace(first.job, read=partial(_fail, first.error))
                    if begun:
                        self._tell(begun[0])
                else:
                    self._take_one(begun)
        finally:
            self.pool.cancel([handle for one in begun for handle in one.waiting])

    def _send(self, begun: deque[_Begun], left: Iterator[Job], fresh: bool) -> None:
        """Send units until enough are under way, of this image and of those that follow."""
        room = self.pool.room
        while sum(len(one.waiting) for one in begun) < room:
            if not begun or begun[-1].is_sent:
                job = next(left, None)
                if job is None:
                    return
                begun.append(self._begin(job, fresh))
                if len(begun) == 1:
                    self._tell(begun[0])
            self._send_one(begun[-1])

    def _send_one(self, one: _Begun) -> None:
        unit = None
        # What is wrong with an image is found again, and reported, by the run itself.
        with suppress(Exception):
            unit = next(one.units, None)
        if unit is None:
            one.is_sent = True
            return
        try:
            one.waiting[self.pool.submit(unit)] = unit
        except NuclickError as error:
            self._give_up(one, error)

    def _begin(self, job: Job, fresh: bool) -> _Begun:
        one = _Begun(job)
        if fresh:
            self.journal.image(job.identity, {}).forget_others(())
        with suppress(Exception):  # reported by the run itself
            image = job.read()
            one.prompts = image.wanted.total()
            one.units = self._units(one, image)
        return one

    def _units(self, one: _Begun, image: ImageInput) -> Iterator[Unit]:
        if not image.wanted:
            return
        path = image.find_slide()
        with open_slide(path, reader=self.setup.reader, frame=image.frame) as slide:
            opened = OpenedImage.of(image, slide, self.pixel_size, self.registry)
            for kind in image.wanted:
                one.here[kind] = Seen.of(self.registry, kind, opened.fingerprint, slide.info.reader, image.frame)
            one.cache = self.journal.image(one.job.identity, opened.context_keys(self.registry))
            yield from Planner(opened, self.registry, self.setup, self.path_of(path), one.cache).units()

    def _take_one(self, begun: deque[_Begun]) -> None:
        """Wait for the next unit to be done, of whichever image, and keep what has come of it."""
        handle = self.pool.next_done([handle for one in begun for handle in one.waiting])
        owner = next(one for one in begun if handle in one.waiting)
        unit = owner.waiting.pop(handle)
        try:
            done = self.pool.result(handle)
            done.seen.require_same(owner.here[unit.kind])
        except NuclickError as error:
            self._give_up(owner, error)
            return
        for row in done.rows:
            prompt = unit.prompts[row.prompt]
            owner.cache.remember(prompt, row.digest, decode(prompt, row.decoded))
        owner.done += len(unit.wanted)
        if owner is begun[0]:
            self.watcher.prompts_done(len(unit.wanted))

    def _give_up(self, one: _Begun, error: NuclickError) -> None:
        """Have an image fail, and with it nothing else."""
        self.pool.cancel(one.waiting)
        one.error, one.is_sent = error, True
        one.waiting.clear()
        one.units = iter(())

    def _tell(self, one: _Begun) -> None:
        self.watcher.image_started(one.job.name, one.prompts)
        self.watcher.prompts_done(one.done)


def _fail(error: NuclickError) -> NoReturn:
    raise error
