"""The outlines of a run that its ASAP file does not have yet: few in memory, whatever their number."""

from collections.abc import Collection, Iterator, Mapping, Set

from asap_bridge.annotations import Annotation
from asap_bridge.results import annotations_of_instance, color_of_class
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import Results


class NewOutlines(Collection[Annotation]):
    """The outlines that a file does not have yet, made from their instances each time that they are gone through.

    Parameters
    ----------
    users
        Prompts whose outlines are the user's.
    there
        Where in the file outlines of earlier runs are, by name and group.

    Attributes
    ----------
    kept
        The places of those that are as they should be.
    kinds
        What kinds of object are in each group, of new outlines and of those that are there.
    groups
        Those of the new ones.
    """

    def __init__(self, results: Results, users: Set[str], there: Mapping[tuple[str, str | None], int]) -> None:
        self._results, self._users, self._there = results, users, there
        self.kept: set[int] = set()
        self.kinds: dict[str | None, set[ObjectKind]] = {}
        self.classes: set[str | None] = set()
        self.groups: set[str | None] = set()
        self._count = 0
        for instance in self._instances():
            self.classes.add(instance.class_name)
            for ring in self._rings(instance):
                self.kinds.setdefault(ring.group, set()).add(instance.kind)
                place = there.get((ring.name, ring.group))
                if place is None:
                    self.groups.add(ring.group)
                    self._count += 1
                else:
                    self.kept.add(place)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Annotation]:
        for instance in self._instances():
            yield from (ring for ring in self._rings(instance) if (ring.name, ring.group) not in self._there)

    def __contains__(self, one: object) -> bool:
        return any(one is other for other in self)

    def _instances(self) -> Iterator[Instance]:
        return (one for one in self._results.instances if one.prompt_id not in self._users)

    def _rings(self, instance: Instance) -> Iterator[Annotation]:
        return annotations_of_instance(instance, color_of_class(instance.class_name, self._results.class_colors))
