"""What the engine may know from an earlier run: the masks of prompts for which nothing has changed.

Before the network is asked, every prompt is described by all that its mask depends on, and a `ResultCache` is asked for
what came of exactly that. Overlaps are settled afterwards, among remembered and new masks alike, so a run that
remembers gives what a run that does not would give.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Protocol

import numpy as np

from nuclick_wsi.instances import Rejection
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.masks import MaskRule
from nuclick_wsi.segmentation.stitch import Patch
from nuclick_wsi.slides.slide import Frame

Decoded = Patch | Rejection
"""What came of one prompt before overlaps are settled."""


class ResultCache(Protocol):
    """Keeps what came of prompts on one slide, with one model for each kind of object."""

    def recall(self, prompt: Prompt, shown: bytes) -> Decoded | None:
        """Return what came of a prompt when the same was shown to the network; None where that is not known."""
        ...

    def remember(self, prompt: Prompt, shown: bytes, decoded: Decoded) -> None:
        """Keep what came of a prompt, in the place of what was kept of it before."""
        ...


class NoCache:
    """A memory that keeps nothing."""

    def recall(self, prompt: Prompt, shown: bytes) -> Decoded | None:
        """Return None."""
        return None

    def remember(self, prompt: Prompt, shown: bytes, decoded: Decoded) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """Views of prompts, divided into what came of those that are known and the views of those that are not."""

    memory: ResultCache
    known: list[Decoded] = field(default_factory=list)
    unknown: list[View] = field(default_factory=list)
    shown: dict[str, tuple[Prompt, bytes]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, memory: ResultCache, signals: SignalField, views: Sequence[View], grid: Grid, rule: MaskRule
    ) -> "CacheLookup":
        """Ask a memory for every prompt that the views are of, in the order of its first view."""
        found = cls(memory)
        by_prompt: dict[int, list[View]] = {}
        for view in views:
            by_prompt.setdefault(view.prompt, []).append(view)
        for index, own in by_prompt.items():
            prompt, shown = signals.prompts[index], input_digest(signals, own, grid, rule)
            decoded = memory.recall(prompt, shown)
            if decoded is None:
                found.unknown.extend(own)
                found.shown[prompt.id] = prompt, shown
            else:
                found.known.append(decoded)
        return found

    def remembering(self, new: Iterable[Decoded]) -> Iterator[Decoded]:
        """Yield what came of the unknown prompts, and have the memory keep it."""
        for decoded in new:
            self.memory.remember(*self.shown[decoded.prompt_id], decoded)
            yield decoded


def input_digest(signals: SignalField, views: Sequence[View], grid: Grid, rule: MaskRule) -> bytes:
    """Return a digest of all that a prompt's mask depends on, beside the slide's pixels and the model.

    That is where its views are, every pixel of their inclusion and exclusion maps, and the rule of its mask. A
    neighbour counts exactly where it shows in a map.

    Parameters
    ----------
    views
        All of one prompt.
    grid, rule
        Those of its kind.
    """
    digest = hashlib.sha256(repr((grid, rule)).encode())
    digest.update(signals.pixels(views[0].prompt, grid).tobytes())
    for view in views:
        digest.update(repr((view.grid, view.window)).encode())
        digest.update(np.packbits(signals.signals(view) > 0).tobytes())
    return digest.digest()


def context_key(fingerprint: str, reader: str, frame: Frame, model_sha256: str) -> bytes:
    """Return a digest of all that a prompt's mask depends on beside what the network is shown: slide, model, program.

    Parameters
    ----------
    fingerprint
        Of the slide's content.
    reader
        Library and version that read the slide.
    """
    seen = (fingerprint, reader, frame.value, model_sha256)
    return hashlib.sha256(f"nuclick-wsi {_version()} {seen}".encode()).digest()


@cache
def _version() -> str:
    return version("nuclick-wsi")
