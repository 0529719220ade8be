"""Simulated users: one click or squiggle per object of an instance map, random only by the seed."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nuclick_training.datasets.data import Labels, objects_of
from nuclick_training.sampling.squiggles import Mask, depth_of, walked_skeleton
from nuclick_wsi.choices import ClickAt
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.geometry import Point, Region, Size
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Squiggle


def simulated_prompts(labels: Labels, kind: ObjectKind, click_at: ClickAt, seed: int = 0) -> list[Prompt]:
    """Return one prompt per object, its id the object's number; the same for the same labels and seed."""
    rng = np.random.default_rng(seed)
    prompts = []
    for number, box, mask in objects_of(labels):
        corner = (box[1].start, box[0].start)
        signal = _squiggle(mask, corner) if kind is ObjectKind.GLAND else _click(mask, corner, click_at, rng)
        prompts.append(Prompt(str(number), kind, signal))
    return prompts


def jittered(prompts: Sequence[Prompt], distance: float, size: Size, seed: int = 0) -> list[Prompt]:
    """Return clicks each moved by exactly `distance` pixels, wherever it lands (paper, Table VIII).

    The direction is random, but for one seed the same at every distance; where it leads out of the picture, the click
    moves the opposite way.
    """
    directions = np.random.default_rng(seed).uniform(0, 2 * math.pi, len(prompts))
    return [_moved(prompt, distance, angle, size) for prompt, angle in zip(prompts, directions.tolist(), strict=True)]


def parse_jitter(text: str | None) -> tuple[float, ...]:
    """Return the distances that a user wrote; SettingsError where they are not numbers of pixels above 0."""
    try:
        distances = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        distances = (0.0,)
    if not all(0 < distance < math.inf for distance in distances):
        raise SettingsError(f"--jitter takes distances in pixels above 0, such as 1,3,5,10, not {text}.")
    return distances


def on_own_object(prompt: Prompt, labels: Labels) -> bool:
    """Return whether a simulated prompt begins on the object that it is meant for."""
    first = prompt.signal.strokes[0][0]
    row, column = math.floor(first.y), math.floor(first.x)
    inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
    return inside and int(labels[row, column]) == int(prompt.id)


def _moved(prompt: Prompt, distance: float, angle: float, size: Size) -> Prompt:
    ((start,),) = prompt.signal.strokes
    x, y = distance * math.cos(angle), distance * math.sin(angle)
    there, opposite = Point(start.x + x, start.y + y), Point(start.x - x, start.y - y)
    return replace(prompt, signal=Click(there if Region.of(size).contains(there) else opposite))


def _click(mask: Mask, corner: tuple[int, int], click_at: ClickAt, rng: np.random.Generator) -> Click:
    """Return a click on the centroid, on the pixel nearest to it where it lies outside, or on a random inner pixel."""
    pixels = np.argwhere(mask)
    if click_at is ClickAt.INNER:
        depth = depth_of(mask)
        row, column = rng.choice(np.argwhere(depth >= min(2.0, depth.max())))
    else:
        row, column = pixels[((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return Click(Point(corner[0] + float(column) + 0.5, corner[1] + float(row) + 0.5))


def _squiggle(mask: Mask, corner: tuple[int, int]) -> Squiggle:
    """Return the walked skeleton; a single pixel is a line of one pixel's length."""
    strokes = [stroke + corner for stroke in walked_skeleton(mask)]
    lines = [stroke if len(stroke) > 1 else np.vstack([stroke, stroke[0] + (1, 0)]) for stroke in strokes]
    return Squiggle(tuple(tuple(Point(float(x), float(y)) for x, y in line) for line in lines))
