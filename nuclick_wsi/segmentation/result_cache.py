"""Results of earlier runs that the engine may use again: the masks of prompts for which nothing has changed.

Each prompt's result is looked up by a digest of all that its mask depends on. Overlaps are settled afterwards, among
old and new masks alike, so a run with a cache gives the same result as one without.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.instances import Rejection
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.marks import packed
from nuclick_wsi.segmentation.masks import MaskRule
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.slides.slide import Frame

_RULES = 3
"""Raised where the same inputs come to give another mask, so that results of earlier programs are not taken."""

_DRAWN_AT_ONCE = 32
"""Views whose maps are made together: few, as each may show thousands of other prompts."""

Decoded = Patch | Rejection
"""The result of one prompt before overlaps are settled."""


@dataclass(frozen=True, slots=True)
class Result:
    """What has come of one prompt, and whether it took a further look in a wider crop."""

    prompt: Prompt
    decoded: Decoded
    looked_again: bool


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
        The input digests of the others, by prompt id: as long as the first look is enough, and else.
    """

    cache: ResultCache
    found: list[Decoded] = field(default_factory=list)
    missing: list[View] = field(default_factory=list)
    digests: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, cache: ResultCache, signals: SignalField, views: Sequence[View], grid: Grid, rule: MaskRule
    ) -> "CacheLookup":
        """Look up every prompt that the views are of, in the order of its first view."""
        lookup = cls(cache)
        by_prompt: dict[int, list[View]] = {}
        for view in views:
            by_prompt.setdefault(view.prompt, []).append(view)
        digests = list(_digests(signals, list(by_prompt.values()), grid, rule))
        # One after the other: among digests, which go through much memory, each look-up would cost three times as much.
        for (index, own), (digest, wide) in zip(by_prompt.items(), digests, strict=True):
            prompt = signals.prompts[index]
            decoded = cache.recall(prompt, digest) or (cache.recall(prompt, wide) if wide != digest else None)
            if decoded is None:
                lookup.missing.extend(own)
                lookup.digests[prompt.id] = digest, wide
            else:
                lookup.found.append(decoded)
        return lookup

    def storing(self, new: Iterable[Result]) -> Iterator[Decoded]:
        """Yield the results of missing prompts, each kept in the cache."""
        for result in new:
            digest, wide = self.digests[result.prompt.id]
            self.cache.remember(result.prompt, wide if result.looked_again else digest, result.decoded)
            yield result.decoded


def _digests(
    signals: SignalField, views: Sequence[Sequence[View]], grid: Grid, rule: MaskRule
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the input digests of each prompt: as long as the first look is enough, and else."""
    for own, digest in zip(views, input_digests(signals, views, grid, rule), strict=True):
        is_gland = signals.prompts[own[0].prompt].kind is ObjectKind.GLAND
        yield digest, digest_of_wider_looks(digest, signals, own) if is_gland else digest


def input_digests(signals: SignalField, views: Sequence[Sequence[View]], grid: Grid, rule: MaskRule) -> Iterator[bytes]:
    """Yield a digest for each prompt of all that its mask depends on, beside the slide's pixels and the model.

    That is where its views are, every pixel of their inclusion and exclusion maps, and the rule of its mask. A
    neighbour counts exactly where it is drawn in a map.

    Parameters
    ----------
    views
        Of each prompt, all that it has.
    grid, rule
        Those of its kind.
    """
    begin = hashlib.sha256(repr((grid, rule)).encode())
    maps = _packed_maps(signals, [view for own in views for view in own])
    for own in views:
        digest = begin.copy()
        digest.update(signals.pixels(own[0].prompt, grid).tobytes())
        for view in own:
            digest.update(repr((view.grid, view.window)).encode())
            digest.update(next(maps).data)
            digest.update(signals.excluded(view, grid).tobytes())
        yield digest.digest()


def _packed_maps(signals: SignalField, views: Iterable[View]) -> Iterator[NDArray[np.uint8]]:
    """Yield both maps of each view as bits."""
    left = iter(views)
    while some := list(islice(left, _DRAWN_AT_ONCE)):
        yield from packed(signals.marks(some), len(some), some[0].window.width)


def digest_of_wider_looks(digest: bytes, signals: SignalField, views: Sequence[View]) -> bytes:
    """Return a digest of all that the mask of a gland depends on that has been looked at again in wider crops.

    Where those lie depends on what the network has seen, so every prompt that they may reach counts.

    Parameters
    ----------
    digest
        The input digest.
    views
        All first ones of the prompt.
    """
    return hashlib.sha256(digest + b"".join(map(signals.drawn_in_reach, views))).digest()


def context_key(fingerprint: str, reader: str, frame: Frame, model_sha256: str) -> bytes:
    """Return a digest of all that a prompt's mask depends on beside its input digest: slide, model, program.

    Parameters
    ----------
    fingerprint
        Of the slide's content.
    reader
        Library and version that read the slide.
    """
    seen = (_RULES, fingerprint, reader, frame.value, model_sha256)
    return hashlib.sha256(f"nuclick-wsi {_version()} {seen}".encode()).digest()


@cache
def _version() -> str:
    return version("nuclick-wsi")
