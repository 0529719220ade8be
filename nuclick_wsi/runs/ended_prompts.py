"""What the prompts of one image have ended as, for the report of a run; the instances themselves go into a spool."""

from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nuclick_wsi.instances import Instance, Reason, Rejection
from nuclick_wsi.runs.instance_spool import InstanceSpool
from nuclick_wsi.runs.report import ImageReport, Status


@dataclass(frozen=True, slots=True)
class EndedPrompts:
    """The ends of all prompts of an image.

    Attributes
    ----------
    instances
        How many there are.
    rejections
        Sorted by prompt id.
    unsure
        How sure the instances are that are less so than a limit, by prompt id, the least sure first.
    """

    instances: int
    rejections: Sequence[Rejection]
    unsure: Mapping[str, float]

    @classmethod
    def of(cls, ends: Iterable[Instance | Rejection], spool: InstanceSpool, limit: float) -> "EndedPrompts":
        """Go through the ends, and put the instances among them into a spool."""
        rejections: list[Rejection] = []
        # Not in pairs: a million of these take 90 MB.
        names, doubts = list[str](), array("d")
        for end in ends:
            if isinstance(end, Rejection):
                rejections.append(end)
                continue
            spool.add(end)
            if end.sureness is not None and end.sureness < limit:
                names.append(end.prompt_id)
                doubts.append(end.sureness)
        rejections.sort(key=lambda one: one.prompt_id)
        order = sorted(range(len(names)), key=names.__getitem__)
        order.sort(key=doubts.__getitem__)
        return cls(len(spool), rejections, {names[place]: doubts[place] for place in order})

    @property
    def unread(self) -> Collection[str]:
        """Ids of the prompts where the slide could not be read."""
        return {one.prompt_id for one in self.rejections if one.reason is Reason.UNREADABLE}

    def described_in(self, report: ImageReport) -> ImageReport:
        """Return a report that says what the prompts have ended as."""
        done = Status.DONE if self.instances else Status.NO_OUTLINES
        return replace(
            report,
            status=Status.INCOMPLETE if self.unread else done,
            instances=self.instances,
            unsure=self.unsure,
            rejections=self.rejections,
        )
