"""What the local server has outlined lately, kept in memory: a `ResultCache` that a request shares with those before.

What is kept is bounded in bytes, and what was not asked for longest goes first. Several threads may use it.
"""

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
"""Bytes that an entry takes beside its arrays: key, window, headers, the prompt with its first point."""

_POINT = 128
"""Bytes of each further point of a squiggle."""


class RecentResults:
    """What came of the prompts of recent requests, on all slides.

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

    def on_slide(self, about: Mapping[ObjectKind, bytes]) -> "SlideResultCache":
        """Return the cache of one request; `about` is what `context_key` returns for each kind of object."""
        return SlideResultCache(self, about)

    def find(self, key: bytes) -> Decoded | None:
        """Return what is kept under a key, which from now on counts as the latest; None where nothing is."""
        with self._guard:
            decoded = self._kept.get(key)
            if decoded is not None:
                self._kept.move_to_end(key)
            return decoded

    def keep(self, key: bytes, decoded: Decoded) -> None:
        """Keep what came of a prompt, and drop the oldest where that is too much."""
        with self._guard:
            self._bytes += _size(decoded) - _size(self._kept.pop(key, None))
            self._kept[key] = decoded
            while self._bytes > self._largest:
                self._bytes -= _size(self._kept.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._kept)


class SlideResultCache:
    """The `ResultCache` of one request; it counts what it could recall.

    Unlike a journal it finds results by the input digest alone: the prompt's id and class change no mask.
    """

    def __init__(self, recent: RecentResults, about: Mapping[ObjectKind, bytes]) -> None:
        self.recalled = 0
        self._recent = recent
        self._about = about

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        """Return the result that was kept with this digest and model, as this prompt's; None where there is none."""
        decoded = self._recent.find(self._about[prompt.kind] + digest)
        if decoded is None:
            return None
        self.recalled += 1
        return _for_prompt(decoded, prompt)

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        """Keep what came of a prompt."""
        self._recent.keep(self._about[prompt.kind] + digest, decoded)


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
