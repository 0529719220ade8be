"""Results of earlier runs that the engine may use again: the masks of prompts for which nothing has changed.

Each prompt's result is looked up by a digest of all that its mask depends on. Overlaps are settled afterwards, among
old and new masks alike, so a run with a cache gives the same result as one without.
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
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.slides.slide import Frame

Decoded = Patch | Rejection
"""The result of one prompt before overlaps are settled."""


class ResultCache(Protocol):
    """Keeps the results of prompts on one slide, with one model for each kind of object."""

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        """Return the result of a prompt that was kept with this input digest; None where there is none."""
        ...

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        """Keep the result of a prompt, in the place of the one that was kept of it before."""
        ...


class NoCache:
    """A cache that keeps nothing."""

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        """Return None."""
        return None

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """What a cache has of some prompts.

    Attributes
    ----------
    found
        The results of those that it has.
    missing
        The views of the others.
    digests
        The input digests of the others, by prompt id.
    """

    cache: ResultCache
    found: list[Decoded] = field(default_factory=list)
    missing: list[View] = field(default_factory=list)
    digests: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(
        cls, cache: ResultCache, signals: SignalField, views: Sequence[View], grid: Grid, rule: MaskRule
    ) -> "CacheLookup":
        """Look up every prompt that the views are of, in the order of its first view."""
        lookup = cls(cache)
        by_prompt: dict[int, list[View]] = {}
        for view in views:
            by_prompt.setdefault(view.prompt, []).append(view)
        for index, own in by_prompt.items():
            prompt, digest = signals.prompts[index], input_digest(signals, own, grid, rule)
            decoded = cache.recall(prompt, digest)
            if decoded is None:
                lookup.missing.extend(own)
                lookup.digests[prompt.id] = digest
            else:
                lookup.found.append(decoded)
        return lookup

    def storing(self, new: Iterable[tuple[Prompt, Decoded]]) -> Iterator[Decoded]:
        """Yield the results of missing prompts, each kept in the cache."""
        for prompt, decoded in new:
            self.cache.remember(prompt, self.digests[prompt.id], decoded)
            yield decoded


def input_digest(signals: SignalField, views: Sequence[View], grid: Grid, rule: MaskRule) -> bytes:
    """Return a digest of all that a prompt's mask depends on, beside the slide's pixels and the model.

    That is where its views are, every pixel of their inclusion and exclusion maps, and the rule of its mask. A
    neighbour counts exactly where it is drawn in a map.

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
    """Return a digest of all that a prompt's mask depends on beside its input digest: slide, model, program.

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
