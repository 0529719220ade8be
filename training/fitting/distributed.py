"""What a run computes on: one device, or several processes with a device each, which agree after every step.

`torchrun --nproc-per-node N -m nuclick_training fit ...` starts such processes, by torch's own means.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nuclick_wsi.errors import DeviceError
from nuclick_wsi.models.devices import choose_device


@dataclass(frozen=True, slots=True)
class TrainingProcess:
    """One of `processes` that train together; the one of rank 0 writes files and prints."""

    device: torch.device
    rank: int = 0
    processes: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and scores the validation objects."""
        return self.rank == 0

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return the network whose gradients are the mean of all processes'."""
        if self.processes == 1:
            return network
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices)

    def agreed(self, *values: float) -> list[float]:
        """Return the values of process 0."""
        if self.processes == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, 0)
        return shared.tolist()


@contextmanager
def training_process(device: str) -> Iterator[TrainingProcess]:
    """Join the process group that torchrun started, or train as a single process.

    Raises
    ------
    DeviceError
        The device is not there, or there are more processes than GPUs.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        yield TrainingProcess(choose_device(device))
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = _one_each(device, local)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield TrainingProcess(chosen, distributed.get_rank(), processes)
    finally:
        distributed.destroy_process_group()


def _one_each(device: str, local: int) -> torch.device:
    """Return the device of one of several processes on a computer."""
    kind = choose_device(device).type
    if kind != "cuda":
        return torch.device("cpu")  # there is one of each other kind
    if local >= torch.cuda.device_count():
        raise DeviceError(
            f"Process {local} of torchrun has no GPU: there are {torch.cuda.device_count()}. Start as many processes "
            "as there are GPUs (--nproc-per-node), or use --device cpu."
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)
