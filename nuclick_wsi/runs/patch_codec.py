"""Encoding the result of a prompt as bytes, and decoding it, without loss of anything that is used.

Only the probabilities of the mask's pixels and of those around it are kept: the others are not used once the mask is
cut out.
"""

import json
import struct
import zlib
from collections.abc import Callable

import numpy as np

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.masks import dilated
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.result_cache import Decoded

_PATCH, _REJECTION = b"D", b"R"
"""What bytes begin with; `P` and `C` were laid out otherwise, and are computed anew."""
_HEAD = struct.Struct("<6i")
"""The window, how many pixels the signal has, and how many bytes are packed."""


def encode(decoded: Decoded) -> bytes:
    """Return a mask with its probabilities, or a rejection, as bytes."""
    if isinstance(decoded, Rejection):
        return _REJECTION + json.dumps([decoded.reason.name, decoded.detail]).encode()
    window, signal = decoded.window, decoded.signal
    probabilities = decoded.probabilities[dilated(decoded.mask)].astype("<f4")
    # Bytes of equal weight side by side. The signs and exponents of neighbouring pixels are nearly the same; to pack
    # the rest takes five times as long, and saves nothing.
    *digits, exponents = np.ascontiguousarray(probabilities.view(np.uint8).reshape(-1, 4).T)
    packed = zlib.compress(np.packbits(decoded.mask).tobytes() + exponents.tobytes(), 1)
    head = _HEAD.pack(window.x, window.y, window.width, window.height, len(signal), len(packed))
    return b"".join((_PATCH, head, packed, *(one.tobytes() for one in digits), signal.astype("<i4").tobytes()))


def decode(prompt: Prompt, content: bytes) -> Decoded:
    """Return what `encode` was given; probabilities that were not kept are 0.

    Raises
    ------
    ValueError
        If `encode` does not return such bytes.
    """
    try:
        return _KINDS[content[:1]](prompt, content[1:])
    except (KeyError, TypeError, IndexError, struct.error, zlib.error) as error:
        raise ValueError(f"not the result of a prompt: {error}") from error


def _rejection(prompt: Prompt, content: bytes) -> Rejection:
    reason, detail = json.loads(content)
    return Rejection.of(prompt, Reason[reason], str(detail))


def _patch(prompt: Prompt, content: bytes) -> Patch:
    x, y, width, height, signal_size, packed_size = _HEAD.unpack_from(content)
    window, end = Window(x, y, width, height), _HEAD.size + packed_size
    packed = np.frombuffer(zlib.decompress(content[_HEAD.size : end]), np.uint8)
    if not 0 < width * height <= 8 * packed.size or width < 0:
        raise ValueError(f"a window of {width} x {height} px does not fit what was kept of it")
    bits, exponents = np.split(packed, [-(-width * height // 8)])
    mask = np.unpackbits(bits, count=width * height).reshape(window.shape).astype(np.bool_)
    kept = dilated(mask)
    digits, signal = np.split(np.frombuffer(content[end:], np.uint8), [3 * exponents.size])
    probabilities = np.zeros(window.shape, np.float32)
    shuffled = np.concatenate((digits, exponents)).reshape(4, -1)
    probabilities[kept] = np.ascontiguousarray(shuffled.T).view("<f4").ravel()
    positions = signal.view("<i4").reshape(signal_size, 2).astype(np.int64)
    return Patch(prompt, window, mask, probabilities, positions)


_KINDS: dict[bytes, Callable[[Prompt, bytes], Decoded]] = {_PATCH: _patch, _REJECTION: _rejection}
