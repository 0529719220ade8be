"""The log of a training run: log.csv, a line per check, a progress bar on a terminal, optionally tensorboard's events.

The events are written into the folder tensorboard/ beside log.csv.
"""

import csv
import io
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.files import write_atomically

LOG = "log.csv"
_BAR = 24


class TrainingLog(Protocol):
    """Receives the progress of a run."""

    def stepped(self, step: int, progress: float, loss: float) -> None:
        """One step is done."""
        ...

    def checked(self, step: int, minutes: float, figures: Mapping[str, float]) -> None:
        """The validation objects have been scored; without any, `figures` has the loss alone."""
        ...

    def noted(self, text: str) -> None:
        """Show a message."""
        ...


class NoLog:
    """Logs nothing: for all processes but the main one."""

    def stepped(self, step: int, progress: float, loss: float) -> None:
        """Do nothing."""

    def checked(self, step: int, minutes: float, figures: Mapping[str, float]) -> None:
        """Do nothing."""

    def noted(self, text: str) -> None:
        """Do nothing."""


class RunLog:
    """Writes log.csv and prints a line per check; on a terminal, a bar shows the progress between two checks.

    Parameters
    ----------
    step
        The step at which the run begins or is resumed; lines of log.csv about later steps are dropped.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        self._log = folder / LOG
        self._held_out = ""
        self._shown = 0.0
        self._started = time.monotonic()
        self._begun: float | None = None
        self._board = _board(folder / "tensorboard", step) if tensorboard else None
        _drop_after(self._log, step)

    def stepped(self, step: int, progress: float, loss: float) -> None:
        """Move the bar on, twice a second at most."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = progress
        if not sys.stdout.isatty() or now - self._shown < 0.5:
            return
        self._shown = now
        share = min(progress, 1.0)
        done = round(share * _BAR)
        gained = progress - self._begun
        left = f", {(1 - share) / gained * (now - self._started) / 60:.0f} min left" if gained > 0 else ""
        bar = f"[{'#' * done}{'.' * (_BAR - done)}] {share:.0%}, step {step}, loss {loss:.3f}{self._held_out}{left}"
        print(f"\r\x1b[K{bar}", end="", flush=True)

    def checked(self, step: int, minutes: float, figures: Mapping[str, float]) -> None:
        """Append a line to the log and print it."""
        if "dice" in figures:
            self._held_out = f", held-out Dice {figures['dice']:.3f}"
        line = {"step": step, "minutes": minutes, **figures}
        fresh = not self._log.exists()
        with self._log.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, line)
            if fresh:
                writer.writeheader()
            writer.writerow({key: value if isinstance(value, int) else f"{value:.4f}" for key, value in line.items()})
        self.noted(" ".join(f"{key} {value:.4g}" for key, value in line.items()))
        if self._board is not None:
            for key, value in figures.items():
                self._board.add_scalar(key, value, step)
            self._board.flush()

    def noted(self, text: str) -> None:
        """Print a line in the place of the bar."""
        print(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, flush=True)


class _Board(Protocol):
    """The part of tensorboard's writer that is used."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def flush(self) -> None: ...


def _board(folder: Path, step: int) -> _Board:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (needs a package of its own)
    except ImportError as error:
        raise SettingsError(
            "--tensorboard needs the package tensorboard: pip install 'nuclick-wsi[train]', or go without; log.csv has "
            "the same figures."
        ) from error
    board: _Board = SummaryWriter(folder, purge_step=step + 1)
    return board


def _drop_after(log: Path, step: int) -> None:
    """Remove the lines about later steps from a log."""
    if not log.exists():
        return
    with log.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    text = io.StringIO()
    csv.writer(text).writerows([header, *(row for row in rows if int(row[0]) <= step)])
    write_atomically(log, text.getvalue().encode())
