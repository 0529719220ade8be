"""Model files and checkpoints, damaged: the header and card of a safetensors file, the pickle in a .pth."""

import io
import json
import pickletools
import struct
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch

from fuzz.mutations import damaged_bytes, damaged_json
from fuzz.target import Target
from nuclick_wsi.models.card import METADATA_KEY, find_model, read_card
from nuclick_wsi.models.checkpoints import read_checkpoint
from nuclick_wsi.models.network import build
from nuclick_wsi.models.weights import load_model, save_model

_CONFIG = {"trunk": [4, 4, 4, 4, 4], "features": 4, "dilations": [1, 2], "far": 32.0}
_WORDS = (
    "name", "kind", "nucleus", "architecture", "glance", "nuclick", "squiggle", "unet", "config", "trunk", "width",
    "dilations", "features", "encoder", "lite0", "crop_size", "mpp", "threshold", "data", "licence", "scores",
    "calibration", "created", "2026-01-01", "__metadata__", "data_offsets", "dtype", "shape", "F64", "BF16",
)  # fmt: skip


@cache
def model() -> bytes:
    """Return the smallest model file that there is."""
    card = replace(read_card(find_model("nuclei")), architecture="glance", config=_CONFIG)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_model(path, build("glance", _CONFIG), card)
        return path.read_bytes()


def make_model(random: Random) -> bytes:
    data = model()
    if random.random() < 0.2:
        return damaged_bytes(random, data)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    if random.random() < 0.6:
        card = json.loads(header["__metadata__"][METADATA_KEY])
        header["__metadata__"][METADATA_KEY] = damaged_json(random, card, _WORDS).decode(errors="replace")
        text = json.dumps(header).encode()
    else:
        text = damaged_json(random, header, _WORDS)
    length = len(text) if random.random() < 0.95 else random.choice((0, 2**31, 2**63, 2**64 - 1, len(text) * 2))
    return struct.pack("<Q", length) + text + data[8 + struct.unpack("<Q", data[:8])[0] :]


def read_model(data: bytes, folder: Path) -> None:
    path = folder / "a.safetensors"
    path.write_bytes(data)
    card = read_card(path)
    card.to_json()
    load_model(path)


@cache
def checkpoints() -> tuple[bytes, ...]:
    """Return small checkpoints: plain, nested, with views of one storage, and in the layout before torch 1.6."""
    shared = torch.arange(12.0)
    contents = (
        {"conv_block_1.0.weight": torch.ones(2, 3), "b": torch.zeros(3, dtype=torch.int64)},
        {"state_dict": {"module.a": shared[:4], "module.b": shared.view(3, 4).t()}, "epoch": 3},
    )
    found = []
    for content in contents:
        for is_zip in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=is_zip)
            found.append(file.getvalue())
    return tuple(found)


_GLOBALS = (
    b"cos\nsystem\n(S'touch /tmp/nuclick-was-here'\ntR",
    b"cbuiltins\neval\n(S'1'\ntR",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n)R",
    b"ctorch\nload\n(S'/etc/passwd'\ntR",
    b"cnumpy.core.multiarray\nscalar\n",
)


def make_checkpoint(random: Random) -> bytes:
    data = random.choice(checkpoints())
    if not data.startswith(b"PK") or random.random() < 0.2:
        return damaged_bytes(random, data)
    old, new = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                content = _damaged_pickle(random, content)
            elif random.random() < 0.1:
                content = damaged_bytes(random, content)
            archive.writestr(name, content)
    return new.getvalue()


def _damaged_pickle(random: Random, content: bytes) -> bytes:
    """Return a pickle with instructions inserted, taken away or with other arguments."""
    places = [place for _, _, place in pickletools.genops(content) if place is not None]
    out = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.choice(places)
        match random.randrange(4):
            case 0:
                out[place:place] = random.choice(_GLOBALS)
            case 1:
                del out[place : place + random.choice((1, 2, 5))]
            case 2:
                number = random.choice((0, 1, 255, 2**31 - 1, -1, -(2**31), 10**6))
                out[place:place] = b"J" + struct.pack("<i", number)
            case _:
                out[place:place] = random.choice(
                    (b"(" * 3000, b"]" * 3000 + b"a" * 2999, b"N", b"}", b")", b"\x85", b"R")
                )
    return bytes(out)


def read_pth(data: bytes, folder: Path) -> None:
    path = folder / "a.pth"
    path.write_bytes(data)
    read_checkpoint(path)


TARGETS = {"model": Target(make_model, read_model), "checkpoint": Target(make_checkpoint, read_pth)}
