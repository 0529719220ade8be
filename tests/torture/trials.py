"""One trial: a fault in the middle of runs, a last run without one, and what is there afterwards."""

import random
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from torture.children import Child, Ended
from torture.targets import Target, fresh


@dataclass
class Row:
    """One line of the table: a fault, how often it was made, and what of it was not survived."""

    fault: str
    target: str
    times: int = 0
    losses: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def lost(self, what: str) -> None:
        """Note something that must not be."""
        self.losses.append(what)


class Bench:
    """A target, made once, with the results of a run that nothing disturbs.

    Attributes
    ----------
    folder
        Where each trial works, always the same place: names of inputs are part of results.
    """

    def __init__(self, target: Target, place: Path) -> None:
        self.target = target
        self.folder, self._pristine, self._logs = place / "work", place / "pristine", place / "logs"
        self.folder.mkdir(parents=True)
        self.arguments = target.make(self.folder)
        shutil.copytree(self.folder, self._pristine, symlinks=True)
        self.untouched = target.users(self._pristine)
        self._drawn = target.things(self._pristine)
        self.undisturbed = self.run(self.faults())
        assert self.undisturbed.code == 0, self.undisturbed.said
        self.reference = target.results(self.folder)

    def faults(self, **variables: str | int) -> dict[str, str]:
        """Return variables of `faulty_calls.c` for the folder."""
        return {"FAULT_UNDER": str(self.folder), **{name: str(value) for name, value in variables.items()}}

    def fresh(self) -> None:
        """Put the folder back as it was before any run."""
        fresh(self._pristine, self.folder)

    def start(
        self,
        faults: Mapping[str, str] | None = None,
        at_put: tuple[int, Callable[[], None]] | None = None,
        prepare: Callable[[], None] = lambda: None,
        more: Sequence[str] = (),
        logs: str = "",
    ) -> Child:
        """Start a run that goes on beside."""
        return Child([*self.arguments, *more], Path(f"{self._logs}{logs}"), faults, at_put, prepare)

    def run(
        self,
        faults: Mapping[str, str] | None = None,
        at_put: tuple[int, Callable[[], None]] | None = None,
        prepare: Callable[[], None] = lambda: None,
        more: Sequence[str] = (),
    ) -> Ended:
        """Run to the end."""
        return self.start(faults, at_put, prepare, more).ended()

    def check(self, row: Row, ended: Ended, codes: tuple[int, ...] = (0, 1)) -> None:
        """Note how a disturbed run ended, and see that the next one makes all good."""
        row.times += 1
        row.seen.add(f"exit code {ended.code}")
        if ended.code not in codes or not ended.is_clean:
            row.lost(f"exit code {ended.code}: {ended.said[-400:]}")
        self.check_users(row)
        self.check_recovery(row)

    def check_users(self, row: Row) -> None:
        """Note where a file of the user's is not as it was."""
        now = self.target.results(self.folder) if self.folder.exists() else {}
        for name, content in self.untouched.items():
            if now.get(name) != content:
                row.lost(f"{name} of the user's is not as it was")
        found = self._things(row)
        for name, drawn in self._drawn.items():
            if not drawn <= found.get(name, set()):
                row.lost(f"{name} lacks something of the user's")

    def _things(self, row: Row) -> Mapping[str, Set[object]]:
        try:
            return self.target.things(self.folder)
        except Exception as error:  # noqa: BLE001 - whatever a reader says of a file that is not whole
            row.lost(f"a file of the user's cannot be read: {error}")
            return {}

    def check_recovery(self, row: Row) -> None:
        """Run once more without a fault, and note where what is there is not what an undisturbed run leaves."""
        ended = self.run()
        if ended.code != 0 or not ended.is_clean:
            row.lost(f"the next run ended with {ended.code}: {ended.said[-400:]}")
        now = self.target.results(self.folder)
        for name in sorted(now.keys() ^ self.reference.keys()):
            row.lost(f"{name} is {'left over' if name in now else 'missing'}")
        for name in sorted(now.keys() & self.reference.keys()):
            if now[name] != self.reference[name]:
                row.lost(f"{name} differs from an undisturbed run's")


def moments(chance: random.Random, most: int, count: int) -> list[int]:
    """Return numbers from 1 to `most`, spread over the whole and each at most once where there are enough."""
    numbers = list(range(1, most + 1))
    return sorted(chance.sample(numbers, min(count, most)))
