"""Where networks compute, how much at once and how exactly: on cores of a CPU side by side, or a batch on each GPU."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.choices import Precision
from nuclick_wsi.errors import DeviceError
from nuclick_wsi.models.devices import stay_on_one_core, usable_cores
from nuclick_wsi.segmentation.pipeline import ordered_map

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_PIXELS = {"cpu": 8 * 128 * 128, "mps": 32 * 128 * 128, "cuda": 256 * 128 * 128}
"""Pixels in a batch. More are slower on a CPU, which then spends its time on page faults, and gain little on a GPU."""

NO_TURN: AbstractContextManager[object] = nullcontext()
"""Where one thread alone uses a network, it need not wait for a turn."""

_THREADS_OF_A_GPU = 2
"""While one thread's batch is on the GPU, the other prepares its own."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Where a network computes, how much at once and how exactly.

    Attributes
    ----------
    device
        As `devices.choose_device` returns it.
    batch_size
        Crops per batch; None for what suits the device and the crop's size.
    turn
        Held while a batch goes through the network: where several requests share a GPU, one goes at a time.
    threads
        That compute batches side by side on a CPU, one core each; None for all cores that this process may use. The
        network's layers are small: threads inside of them would mostly wait for each other, most of all where other
        programs run too. No result depends on it.
    precision
        Of the network's sums; what goes in and what comes out is float32 in any case.
    beside
        More GPUs of the same kind. Each batch goes to one that is free.
    """

    device: torch.device
    batch_size: int | None = None
    turn: AbstractContextManager[object] = NO_TURN
    threads: int | None = None
    precision: Precision = Precision.SINGLE
    beside: tuple[torch.device, ...] = ()
    _free: "SimpleQueue[torch.device]" = field(default_factory=SimpleQueue, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for device in self.devices:
            self._free.put(device)

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """All devices; the network is on each of them."""
        return self.device, *self.beside

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield `work(item)` for every item, in order, computed side by side."""
        on_cpu = self.device.type == "cpu"
        threads = self.threads or usable_cores() if on_cpu else _THREADS_OF_A_GPU * len(self.devices)
        return ordered_map(work, items, threads if threads > 1 else 0)

    @contextmanager
    def inference(self) -> Iterator[torch.device]:
        """Compute in the block without gradients, on the device that it is given: the CPU, or a GPU of its own.

        On a CPU, one core is all that this process' torch uses from then on: `threads` run beside each other instead.
        """
        half = self.precision is Precision.HALF
        with self._device() as device, torch.inference_mode(), torch.autocast(device.type, torch.float16, half):
            yield device

    @contextmanager
    def _device(self) -> Iterator[torch.device]:
        if self.device.type == "cpu":
            stay_on_one_core()
            with self.turn:
                yield self.device
            return
        device = self._free.get()
        try:
            with self.turn:
                yield device
        finally:
            self._free.put(device)


class Portions:
    """Computes batches in portions that a device has memory for, and remembers how large they may be."""

    def __init__(self) -> None:
        self._most: int | None = None

    def each(self, compute: Callable[[Sequence[Item]], Result], batch: Sequence[Item]) -> Iterator[Result]:
        """Yield `compute(portion)` for the portions of a batch, in order: as a rule there is one.

        Raises
        ------
        DeviceError
            If there is no memory even for one item.
        """
        left = [batch]
        while left:
            portion = left.pop()
            if self._most is not None and len(portion) > self._most:
                left += [portion[self._most :], portion[: self._most]]
                continue
            try:
                result = compute(portion)
            except RuntimeError as error:
                self._take_less(len(portion), error)
                left.append(portion)
            else:
                yield result

    def _take_less(self, count: int, error: RuntimeError) -> None:
        """Halve the portions after an error for lack of memory; any other is raised again."""
        # Apple's GPUs say it in words alone.
        if not isinstance(error, torch.OutOfMemoryError) and "out of memory" not in str(error):
            raise error
        if count == 1:
            raise DeviceError(
                f"The device has no memory for a single crop or block ({error}). Close what else computes on it, or "
                "name another with --device; cpu is always there."
            ) from error
        self._most = count // 2


def batches_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield so many successive items at a time, fewer at the end."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def probabilities_of(logits: torch.Tensor) -> NDArray[np.float32]:
    """Return the probabilities of N x 1 x H x W logits on any device: float32 (N, H, W)."""
    result: NDArray[np.float32] = torch.sigmoid(logits[:, 0].float()).cpu().numpy()
    return result
