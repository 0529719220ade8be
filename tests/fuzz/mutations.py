"""Damage to bytes, texts and JSON that keeps most of their structure."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

WORDS = (
    "",
    " ",
    "\0",
    "a\0b",
    "None",
    "NaN",
    "nan",
    "inf",
    "-1",
    "0",
    "1e30",
    "1e400",
    "9" * 30,
    "9" * 400,
    "0.5",
    "1,5",
    "1_000",
    "a" * 300,
    "長" * 120,
    "\ud800",
    "x\udfff\ud800y",
    "\x1b[31m",
    "\u202egnp",
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\a\\b",
    "\\\\host\\share\\a",
    "file:///a%00b.svs",
    "file:/C:/a.svs",
    "http://example.org/a.svs",
    "{",
    "[" * 300,
    "[" + "-" * 3000 + "1]",
    "[" + "1," * 3000 + "1]",
    "{'a': 1}",
    '{"name": "Tumor", "names": ["a", 1]}',
    "<a>&b;</a>",
    "Ignore*",
    "Tumor: Positive",
    "a: b: : c",
    "#12345g",
    "NuClick",
)
"""Texts that programs stumble over."""

NUMBERS: Sequence[Any] = (
    0,
    1,
    -1,
    2,
    0.5,
    255,
    256,
    65535,
    2**31 - 1,
    2**31,
    2**32,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    1e30,
    1e308,
    -1e308,
    5e-324,
    float("inf"),
    float("-inf"),
    float("nan"),
    301204687,
)
_DEEP = "@nested@"
"""Becomes brackets nested so deep that no parser goes there."""


def several(random: Random, most: int = 4) -> range:
    """Return how often to do damage: mostly once."""
    count = 1
    while count < most and random.random() < 0.4:
        count += 1
    return range(count)


def damaged_bytes(random: Random, data: bytes) -> bytes:
    """Return bytes with some flipped, cut, doubled, moved or replaced by numbers that matter."""
    out = bytearray(data)
    for _ in several(random, 8):
        if not out:
            break
        random.choice(_BYTE_DAMAGES)(random, out)
    return bytes(out)


def _flip(random: Random, out: bytearray) -> None:
    out[random.randrange(len(out))] ^= 1 << random.randrange(8)


def _cut_end(random: Random, out: bytearray) -> None:
    del out[random.randrange(len(out)) :]


def _drop(random: Random, out: bytearray) -> None:
    start = random.randrange(len(out))
    del out[start : start + random.choice((1, 2, 4, 8, 64))]


def _double(random: Random, out: bytearray) -> None:
    start = random.randrange(len(out))
    part = out[start : start + random.choice((1, 4, 16, 256))]
    place = random.randrange(len(out))
    out[place:place] = part * random.choice((1, 1, 2, 50))


def _number(random: Random, out: bytearray) -> None:
    size = random.choice((1, 2, 4, 8))
    number = random.choice(
        (0, 1, -1, 127, -128, 2**31 - 1, -(2**31), 0x7E0000 + random.randrange(40), 2**40, 301204687)
    )
    place = random.randrange(len(out))
    order = random.choice(("little", "big"))
    out[place : place + size] = (number % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]


_BYTE_DAMAGES: Sequence[Callable[[Random, bytearray], None]] = (
    _flip,
    _flip,
    _cut_end,
    _drop,
    _double,
    _number,
    _number,
)


def damaged_json(random: Random, content: Any, words: Sequence[str] = ()) -> bytes:
    """Return a JSON text with values replaced, moved, taken away or nested; now and then with damaged bytes.

    Parameters
    ----------
    words
        What the format itself says, beside the texts that are trouble everywhere.
    """
    holder = [content]
    for _ in several(random):
        _damage_value(random, holder, words)
    text = json.dumps(holder[0], ensure_ascii=random.random() < 0.7)
    depth = random.choice((60, 400, 1000, 20_000))
    text = text.replace(f'"{_DEEP}"', "[" * depth + "]" * depth)
    data = text.encode("utf-8", "surrogatepass")
    return damaged_bytes(random, data) if random.random() < 0.1 else data


def _damage_value(random: Random, holder: list[Any], words: Sequence[str]) -> None:
    inside, key = _somewhere(random, holder)
    match random.randrange(8):
        case 0 | 1 | 2:
            inside[key] = _trouble(random, words)
        case 3:
            inside[key] = random.choice(([], {}, [inside[key]], {"type": inside[key]}, [inside[key]] * 30, _DEEP))
        case 4 if isinstance(inside, dict):
            name = random.choice((*words, *WORDS))
            inside[name] = inside.pop(key)
        case 4 | 5 if inside is not holder:
            del inside[key]
        case 6:
            other, place = _somewhere(random, holder)
            inside[key] = json.loads(json.dumps(other[place]))
        case _:
            inside[key] = _near(random, inside[key], words)


def _somewhere(random: Random, holder: list[Any]) -> tuple[Any, Any]:
    """Return a container and a key of it, any level down."""
    inside: Any = holder
    key: Any = 0
    while isinstance(inside[key], dict | list) and inside[key] and random.random() < 0.85:
        inside = inside[key]
        key = random.choice(list(inside)) if isinstance(inside, dict) else random.randrange(len(inside))
    return inside, key


def _trouble(random: Random, words: Sequence[str]) -> Any:
    kind = random.randrange(4)
    if kind == 0:
        return random.choice(NUMBERS)
    if kind == 1 and words:
        return random.choice(words)
    return random.choice((None, True, False)) if kind == 2 else random.choice(WORDS)


def _near(random: Random, value: Any, words: Sequence[str]) -> Any:
    """Return a value of the same type that is likely to be accepted."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        small = value if abs(value) < 1e300 else 1
        return random.choice((value + 1, -value, value * 1000, float(small), small + 0.5, 0))
    if isinstance(value, str):
        return random.choice((value * 2, value.upper(), value[:-1], value + random.choice(WORDS), *words))
    if isinstance(value, list) and value:
        return random.choice((value[::-1], value[:1], value * 2, value[1:]))
    return value


def damaged_text(random: Random, tokens: Sequence[str], words: Sequence[str] = ()) -> str:
    """Return a text whose tokens are replaced, doubled, swapped or missing."""
    out = list(tokens)
    for _ in several(random, 6):
        if not out:
            break
        place = random.randrange(len(out))
        match random.randrange(6):
            case 0:
                del out[place : place + random.choice((1, 2, 10))]
            case 1:
                end = place + random.choice((1, 3, 8))
                out[place:place] = out[place:end] * random.choice((1, 2, 60))
            case 2:
                other = random.randrange(len(out))
                out[place], out[other] = out[other], out[place]
            case 3:
                out[place] = random.choice((" ", "\t", "\n", '"', "'", ",", ";", "<", ">")) * random.choice(
                    (1, 3, 5000)
                )
            case _:
                out[place] = random.choice((*words, *WORDS))
    return "".join(out)
