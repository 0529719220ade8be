"""Faults other than kills, each made a few times: disks, slides, journals, signals, other runs, users."""

import errno
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nuclick_wsi.slides.readers.framed import FramedSlide
from torture.children import Child, Ended, move_clock, obey_rights, tell_itself
from torture.trials import Bench, Row, moments

Action = Callable[[], None]
_READS = 2
"""How often a run reads a slide, at least."""


def disk(bench: Bench, times: int, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of disks that are full from some write on, read-only or slow, and of a clock that jumps."""
    room = bench.undisturbed.room
    for name, number, at in (
        ("disk full from the Nth write on", errno.ENOSPC, moments(chance, room, times)),
        ("disk read-only from the Nth write on", errno.EROFS, [1, *moments(chance, room, times // 4)]),
        ("disk answers EIO from the Nth write on", errno.EIO, moments(chance, room, max(1, times // 4))),
    ):
        row = Row(name, bench.target.name)
        for call in at:
            _with_faults(bench, row, FAULT_CALL=call, FAULT_ERRNO=number)
        yield row
    row = Row("slow folder (50 ms a write)", bench.target.name)
    _with_faults(bench, row, FAULT_SLOW_MS=50)
    yield row
    row = Row("clock a day back, then a day ahead", bench.target.name)
    for seconds in (-86400, 86400):
        _with_faults(bench, row, FAULT_CLOCK=seconds)
    yield row
    row = Row("clock jumps an hour back half-way, or ahead", bench.target.name)
    for seconds in (-3600, 3600):
        bench.fresh()
        half = len(bench.undisturbed.puts) // 2
        bench.check(row, bench.run(at_put=(half, partial(move_clock, seconds))), (0,))
    yield row
    row = Row("folders that may not be written to", bench.target.name)
    bench.fresh()
    with _read_only(bench.folder):
        ended = bench.run(prepare=obey_rights)
    bench.check(row, ended, (1,))
    yield row


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Take away the right to write into a folder and all below it."""
    folders = [folder, *(one for one in folder.rglob("*") if one.is_dir())]
    for one in folders:
        one.chmod(0o555)
    try:
        yield
    finally:
        for one in folders:
            one.chmod(0o755)


def _with_faults(bench: Bench, row: Row, **variables: int) -> None:
    bench.fresh()
    bench.check(row, bench.run(bench.faults(**variables)))


def slides(bench: Bench, times: int, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of a slide that vanishes, is cut or is overwritten while it is read, and put back after."""
    spoils: tuple[tuple[str, Callable[[Path], None]], ...] = (
        ("slide vanishes half-way", Path.unlink),
        ("slide is cut short half-way", lambda path: os.truncate(path, 4096)),
        ("slide becomes a folder half-way", _become_folder),
        ("a tile is overwritten half-way", _tear),
    )
    for name, spoil in spoils:
        row = Row(name, bench.target.name)
        for at in moments(chance, _READS, times):
            bench.fresh()
            slide = sorted(bench.folder.rglob("*.svs"))[1]
            copy = shutil.copy2(slide, bench.folder.parent / "copy.svs")
            ended = bench.run(prepare=partial(_before_read, at, partial(spoil, slide)))
            if slide.is_dir():
                slide.rmdir()
            shutil.copy2(copy, slide)
            bench.check(row, ended)
        yield row


def _tear(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(path.stat().st_size // 3)
        file.write(random.Random(0).randbytes(40))


def _become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def inside(bench: Bench, times: int, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of threads that die while they read, and of a device without memory."""
    row = Row("a reading thread dies", bench.target.name)
    for at in moments(chance, _READS, times):
        bench.fresh()
        ended = bench.run(prepare=partial(_before_read, at, _die))
        row.times += 1
        row.seen.add(f"exit code {ended.code}")
        if ended.code != 1:  # a fault of the program itself, which is said with a traceback in the record
            row.lost(f"exit code {ended.code}: {ended.said[-400:]}")
        bench.check_users(row)
        bench.check_recovery(row)
    yield row
    row = Row("the device has no memory left", bench.target.name)
    for at in moments(chance, 2, times):
        bench.fresh()
        bench.check(row, bench.run(prepare=partial(_device_is_full, at)))
    yield row


def _before_read(at: int, action: Action) -> None:
    """Have something happen just before the Nth reading of a slide."""
    read, seen = FramedSlide.read, 0

    def watched(self: FramedSlide, *given: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == at:
            action()
        return read(self, *given)

    FramedSlide.read = watched  # type: ignore[method-assign]


def _die() -> None:
    raise MemoryError("no memory for a tile")


def _device_is_full(at: int) -> None:
    """Have the Nth batch find no memory, as torch says it."""
    real, seen = torch.inference_mode, 0

    def full() -> Any:
        nonlocal seen
        seen += 1
        if seen == at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real()

    torch.inference_mode = full  # type: ignore[assignment, misc]


def signals(bench: Bench, times: int, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of signals that ask a run to end."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name)
        row = Row(name, bench.target.name)
        for at in moments(chance, len(bench.undisturbed.puts), times):
            bench.fresh()
            ended = bench.run(at_put=(at, partial(tell_itself, number)))
            if ended.code == 128 + number and list(bench.folder.rglob("run.lock")):
                row.lost("the lock is left")
            bench.check(row, ended, (128 + number,))
        yield row


def others(bench: Bench, times: int) -> Iterator[Row]:
    """Yield what comes of two runs at once, of the lock of one that was killed, and of a project that is deleted."""
    row = Row("two runs at once", bench.target.name)
    for _ in range(times):
        bench.fresh()
        both = [bench.start(logs=str(number)) for number in range(2)]
        ended = [child.ended() for child in both]
        refused = [one for one in ended if "Another run is at work" in one.said]
        row.seen.add(f"{len(refused)} refused")
        if any(one.code != (1 if one in refused else 0) for one in ended):
            row.lost(f"exit codes {[one.code for one in ended]}")
        if any(
            f"process {child.number} on " not in one.said for one in refused for child in both if _is_other(child, one)
        ):
            row.lost("the message does not name the process")
        row.times += 1
        bench.check_users(row)
        bench.check_recovery(row)
    yield row
    row = Row("project removed half-way", bench.target.name)
    for at in range(1, times + 1):
        bench.fresh()
        ended = bench.run(at_put=(at, partial(shutil.rmtree, bench.folder)))
        row.times += 1
        row.seen.add(f"exit code {ended.code}")
        if ended.code not in (0, 1) or not ended.is_clean:
            row.lost(f"exit code {ended.code}: {ended.said[-400:]}")
    bench.fresh()
    yield row


def _is_other(child: Child, refused: Ended) -> bool:
    return f"process {child.number} " in refused.said


def users(bench: Bench) -> Iterator[Row]:
    """Yield what comes of results that the user has deleted or edited between runs."""
    row = Row("result deleted between runs", bench.target.name)
    bench.fresh()
    bench.run()
    for path in bench.folder.rglob("*.geojson"):
        path.unlink()
        row.times += 1
    for path in (one for name in ("*.xml", "*.qpdata") for one in bench.folder.rglob(f"{name}.backup")):
        # the user goes back to the file as it was
        shutil.copyfile(path, path.with_suffix(""))
        row.times += 1
    bench.check_users(row)
    bench.check_recovery(row)
    yield row
    row = Row("result edited between runs", bench.target.name)
    bench.fresh()
    bench.run()
    # What a user edits in ASAP or in QuPath's hierarchy stays in that file: tests of their sinks have that.
    edited = {path: path.read_bytes() + b"\n" for path in bench.folder.rglob("*.geojson")}
    for path, content in edited.items():
        path.write_bytes(content)
        row.times += 1
    bench.run()
    for path, content in edited.items():
        backup = path.with_name(f"{path.name}.backup")
        if not backup.exists() or backup.read_bytes() != content:
            row.lost(f"what the user made of {path.name} is gone")
        backup.unlink(missing_ok=True)
    bench.check_recovery(row)
    if row.times:
        yield row
