"""The device that a network computes on, by its name."""

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
