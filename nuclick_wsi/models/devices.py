"""The device that a network computes on, by its name, and how many cores this process may use."""

import os
from pathlib import Path

import torch

from nuclick_wsi.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """Return the device of a name: auto, cpu, cuda, cuda:N or mps; auto takes the first of cuda, mps, cpu.

    Raises
    ------
    DeviceError
        If the name is none of these, or that device is not on this machine.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
        raise DeviceError(f"There is no device {name!r}. Accepted are auto, cpu, cuda, cuda:0, cuda:1, ... and mps.")
    found = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= found:
        raise DeviceError(
            f"The device {name!r} is not on this machine: torch {torch.__version__} sees {found} of its kind. "
            "Use --device auto, or run `nuclick-wsi doctor` to see what is missing."
        )
    return torch.device(name)


def choose_devices(name: str) -> tuple[torch.device, ...]:
    """Return the devices of a name: all GPUs that torch sees for cuda, and for auto where there is one; else one.

    Raises
    ------
    DeviceError
        As `choose_device` does.
    """
    device = choose_device(name)
    if device.type != "cuda" or device.index is not None:
        return (device,)
    return tuple(torch.device("cuda", number) for number in range(torch.cuda.device_count()))


def stay_on_one_core() -> None:
    """Have torch compute each layer on the thread that asks for it, from now on and in the whole process.

    The layers are small: threads inside of them wait for each other, most of all where other programs run. Loading a
    model takes 0.6 s of the processor with two such threads and 0.08 s without.
    """
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may keep busy: those that it may run on, and no more than its quota pays for.

    Containers and cluster jobs limit a process by the one or the other.

    Parameters
    ----------
    cgroup
        Where Linux shows the control group's files.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *_quotas(cgroup)]))


def _quotas(cgroup: Path) -> list[int]:
    """Return the whole cores that a control group's quota pays for, rounded up; none where nothing is limited."""
    try:
        if (cgroup / "cpu.max").is_file():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return [-(-int(quota) // int(period))] if int(quota) > 0 else []
    except (OSError, ValueError):  # no control group; or "max", which is no limit
        return []
