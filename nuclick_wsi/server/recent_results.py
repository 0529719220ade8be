"""An LRU cache of the results of recent requests, bounded in bytes, which several threads may use."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from nuclick_wsi.instances import Rejection
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.segmentation.result_cache import Decoded

LARGEST = 256 << 20
"""Bytes: some 25,000 nuclei."""

_EACH = 1024
"""Bytes that an entry takes beside its arrays: keys, windows, headers."""

_POINT = 128
"""Bytes of each further point of a squiggle, whose prompt is kept too."""


class RecentResults:
    """The results of the prompts of recent requests, on all slides; the least recently used are dropped first.

    Parameters
    ----------
    largest
        How many bytes it may take; 0 keeps nothing.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._guard = threading.Lock()
        self._kept: OrderedDict[bytes, Decoded] = OrderedDict()
        self._bytes = 0

    def on_slide(self, contexts: Mapping[ObjectKind, bytes]) -> "SlideResultCache":
        """Return the cache as one request sees it; `contexts` are the context keys of its kinds of object."""
        return SlideResultCache(self, contexts)

    def find(self, key: bytes) -> Decoded | None:
        """Return the result under a key, and mark it as the most recently used; None where there is none."""
        with self._guard:
            decoded = self._kept.get(key)
            if decoded is not None:
                self._kept.move_to_end(key)
            return decoded

    def keep(self, key: bytes, decoded: Decoded) -> None:
        """Keep a result, and drop the least recently used where the cache is full."""
        with self._guard:
            self._bytes += _size(decoded) - _size(self._kept.pop(key, None))
            self._kept[key] = decoded
            while self._bytes > self._largest:
                self._bytes -= _size(self._kept.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._kept)


class SlideResultCache:
    """The `ResultCache` of one request; it counts the results that it could recall.

    Unlike a journal it looks prompts up by the digest of their inputs alone, not by their ids, which change no mask.
    """

    def __init__(self, recent: RecentResults, contexts: Mapping[ObjectKind, bytes]) -> None:
        self.recalled = 0
        self._recent = recent
        self._contexts = contexts

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        """Return the result of a prompt with these inputs; None where it is not known."""
        decoded = self._recent.find(self._contexts[prompt.kind] + digest)
        if decoded is None:
            return None
        self.recalled += 1
        return _for_prompt(decoded, prompt)

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        """Keep the result of a prompt."""
        self._recent.keep(self._contexts[prompt.kind] + digest, decoded)


def _for_prompt(decoded: Decoded, prompt: Prompt) -> Decoded:
    """Return a result as that of another prompt."""
    if isinstance(decoded, Rejection):
        return Rejection.of(prompt, decoded.reason, decoded.detail)
    return replace(decoded, prompt=prompt)


def _size(decoded: Decoded | None) -> int:
    if decoded is None:
        return 0
    if isinstance(decoded, Rejection):
        return _EACH
    points = sum(map(len, decoded.prompt.signal.strokes)) - 1
    arrays = (decoded.mask, decoded.probabilities, decoded.signal)
    return _EACH + points * _POINT + sum(array.nbytes for array in arrays)
