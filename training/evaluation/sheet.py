"""A contact sheet of a store: patches with the outlines of their objects, and the clicks or squiggles of a user.

It is for checking a store by eye before training.
"""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nuclick_training.datasets.data import Labels, Rgb, objects_of
from nuclick_training.datasets.split_assignment import PARTS
from nuclick_training.datasets.store import Store
from nuclick_training.datasets.store_values import StoredPatch
from nuclick_training.sampling.squiggles import Mask, Strokes, depth_of, random_squiggle
from nuclick_wsi.prompts import ObjectKind

_LEAST_SIDE = 480
"""Smaller patches are shown larger, by a whole factor."""
_CAPTION = 22
_GAP = 8
_OUTLINE, _PROMPT, _RIM, _PAPER, _INK = (255, 225, 0), (0, 160, 255), (255, 255, 255), (255, 255, 255), (0, 0, 0)
_UNKNOWN = 0.4
"""How bright the part of a patch is of which nothing is known."""


def contact_sheet(store: Store, part: str | None, count: int, seed: int) -> tuple[bytes, int]:
    """Return a PNG of up to `count` patches, from as many parts and slides as there are, and how many it shows.

    Parameters
    ----------
    part
        train, validation or test, of which there must be a patch; None for all.
    """
    chosen = _chosen(store, part, count, np.random.default_rng(seed))
    drawn = [_drawn(store, index, np.random.default_rng((seed, index))) for index in chosen]
    columns = min(len(drawn), math.ceil(math.sqrt(len(drawn) * 4 / 3)))
    width, height = max(picture.width for picture in drawn), max(picture.height for picture in drawn)
    rows = math.ceil(len(drawn) / columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _PAPER)
    for place, picture in enumerate(drawn):
        row, column = divmod(place, columns)
        sheet.paste(picture, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    target = io.BytesIO()
    sheet.save(target, "PNG")
    return target.getvalue(), len(drawn)


def _chosen(store: Store, part: str | None, count: int, rng: np.random.Generator) -> list[int]:
    """Choose patches at random, each time from the part and the slide that have the fewest so far."""
    slides = store.patches["slide"]
    parts = np.array([PARTS.index(slide.part) for slide in store.slides])[slides]
    left = [index for index in rng.permutation(len(slides)).tolist() if part in (None, PARTS[parts[index]])]
    seen_parts, seen_slides = np.zeros(len(PARTS), int), np.zeros(len(store.slides), int)
    chosen: list[int] = []
    while left and len(chosen) < count:
        index = min(left, key=lambda one: (seen_parts[parts[one]], seen_slides[slides[one]]))
        left.remove(index)
        seen_parts[parts[index]] += 1
        seen_slides[slides[index]] += 1
        chosen.append(index)
    return sorted(chosen, key=lambda one: (parts[one], slides[one], one))


def _drawn(store: Store, index: int, rng: np.random.Generator) -> Image.Image:
    """Return one patch with a line of text above it."""
    patch = store.patch(index)
    slide = store.slides[int(store.patches["slide"][index])]
    factor = max(1, round(_LEAST_SIDE / store.terms.patch))
    columns, rows = (
        factor * (size - start) for size, start in ((slide.columns, patch.window.x), (slide.rows, patch.window.y))
    )
    tissue = Image.fromarray(_with_outlines(patch, factor)[:rows, :columns])
    _draw_prompts(ImageDraw.Draw(tissue), patch.labels, store.terms.kind, factor, rng)
    x, y = store.position(index)
    picture = Image.new("RGB", (tissue.width, tissue.height + _CAPTION), _PAPER)
    text = f"{slide.part}  {slide.name}  ({x:.0f}, {y:.0f})"
    ImageDraw.Draw(picture).text((2, 3), text, _INK, ImageFont.load_default(14))
    picture.paste(tissue, (0, _CAPTION))
    return picture


def _with_outlines(patch: StoredPatch, factor: int) -> Rgb:
    """Return the patch enlarged, dark where nothing is known, each object's outermost pixels coloured."""
    dark = (patch.image * _UNKNOWN).astype(np.uint8)
    picture = np.where(patch.known[..., None], patch.image, dark).repeat(factor, axis=0).repeat(factor, axis=1)
    picture[_edges(patch.labels.repeat(factor, axis=0).repeat(factor, axis=1))] = _OUTLINE
    return picture


def _edges(labels: Labels) -> Mask:
    """Return the pixels of objects that have another object, or none, beside them."""
    padded = np.pad(labels, 1, mode="edge")
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    edges: Mask = (labels != 0) & np.any([labels != other for other in beside], axis=0)
    return edges


def _draw_prompts(
    pen: ImageDraw.ImageDraw, labels: Labels, kind: ObjectKind, factor: int, rng: np.random.Generator
) -> None:
    for _, box, mask in objects_of(labels):
        corner = np.array((box[1].start, box[0].start))
        if kind is ObjectKind.GLAND:
            _draw_squiggle(pen, [(stroke + corner) * factor for stroke in random_squiggle(mask, rng)])
        else:
            x, y = (_click(mask, rng) + corner) * factor
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), _PROMPT, _RIM)


def _draw_squiggle(pen: ImageDraw.ImageDraw, strokes: Strokes) -> None:
    for width, color in ((5, _RIM), (3, _PROMPT)):
        for stroke in strokes:
            points = [(float(x), float(y)) for x, y in stroke]
            pen.line(points, color, width, joint="curve")
            for x, y in (points[0], points[-1]):  # round ends; the squiggle of a round gland may be one point
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), color)


def _click(mask: Mask, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return x and y of a random pixel's centre, two pixels inside where the object is that thick."""
    depth = depth_of(mask)
    row, column = rng.choice(np.argwhere(depth >= min(2.0, depth.max())))
    return np.array((column + 0.5, row + 0.5))
