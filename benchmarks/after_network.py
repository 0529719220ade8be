"""What every prompt costs after the network in processor time: decode, settle, draw its outline.

An outline is drawn between pixels; what one along pixel edges would cost is shown beside it. Simulated dense tissue:
round, ragged objects about 30 px across whose masks overlap their neighbours'. Each step is also timed against the
plain way of doing it, on fewer objects, and the ratio printed. Run it as
`python benchmarks/after_network.py [OBJECTS]`.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage
from skimage import morphology

from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.prompts import Click, ObjectKind, Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities
from nuclick_wsi.segmentation.clicked_parts import decode_clicks
from nuclick_wsi.segmentation.compute import batches_of
from nuclick_wsi.segmentation.contours.draw import ContourRule, draw_contours
from nuclick_wsi.segmentation.contours.outlines import outline
from nuclick_wsi.segmentation.masks import MaskRule
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.stitch import settle_overlaps

CROP = 128
SPACING = 26
RULE = MaskRule(threshold=0.5, smallest_px=50, fill_holes_px=30)
GRID = Grid(downsample=1.07, pixel_area_um2=0.0625)
SLIDE = Size(100_000, 100_000)
TOLERANCE = 0.1
PLAIN_OBJECTS = 200
TOGETHER = 32
CENTRE: Pixels = np.array([[CROP // 2, CROP // 2]])


@dataclass(frozen=True)
class Prediction:
    """One prompt's crop."""

    prompt: Prompt
    window: Window
    probabilities: Probabilities


def simulated_predictions(count: int) -> list[Prediction]:
    """Crops of objects on a jittered lattice; 64 shapes serve them all, so that any number fits in memory."""
    rng = np.random.default_rng(0)
    shapes = [simulated_object(rng) for _ in range(64)]
    side = int(np.ceil(count**0.5))
    predictions = []
    for number in range(count):
        row, column = divmod(number, side)
        x, y = (np.array([column, row]) * SPACING + rng.integers(-5, 6, 2)).tolist()
        prompt = Prompt(f"{number:06d}", ObjectKind.NUCLEUS, Click(Point(x, y)))
        predictions.append(Prediction(prompt, Window(x, y, CROP, CROP), shapes[number % len(shapes)]))
    return predictions


def simulated_object(rng: np.random.Generator) -> Probabilities:
    """A ragged disc with a pale spot, and specks around it."""
    rows, columns = np.mgrid[:CROP, :CROP] - CROP / 2
    noise = ndimage.gaussian_filter(rng.normal(size=(CROP, CROP)), 2)
    radius = rng.uniform(12, 18)
    logits = (radius - np.hypot(rows, columns) + 12 * noise) / 1.5
    specks = np.where(np.hypot(rows, columns) > 40, 60 * noise - 12, -np.inf)
    probabilities: Probabilities = (1 / (1 + np.exp(-np.maximum(logits, specks)))).astype(np.float32)
    return probabilities


def plain_decode(probabilities: Probabilities) -> Mask:
    """The paper's steps with scikit-image on the whole crop."""
    filled = probabilities >= RULE.threshold
    labels, count = ndimage.label(~filled)
    for label in range(1, count + 1):
        if (labels == label).sum() <= RULE.fill_holes_px:
            filled[labels == label] = True
    seed = np.zeros(filled.shape)
    seed[tuple(CENTRE.T)] = filled[tuple(CENTRE.T)]
    kept: Mask = morphology.reconstruction(seed, filled.astype(float)) > 0
    return kept


def plain_outline(patch: Patch) -> shapely.Geometry:
    """The union of one square for each pixel."""
    rows, columns = np.nonzero(patch.mask)
    x, y = columns + patch.window.x, rows + patch.window.y
    return shapely.union_all(shapely.box(*(GRID.to_slide(edge) for edge in (x, y, x + 1, y + 1))))


def plain_settle(patches: Sequence[Patch]) -> dict[tuple[int, int], str]:
    """The owner of each pixel, one pixel at a time; only probabilities and ids count."""
    owners: dict[tuple[int, int], tuple[float, str]] = {}
    for patch in patches:
        for row, column in np.argwhere(patch.mask).tolist():
            claim = (float(patch.probabilities[row, column]), patch.prompt.id)
            pixel = (row + patch.window.y, column + patch.window.x)
            owners[pixel] = max(owners.get(pixel, claim), claim)
    return {pixel: name for pixel, (_, name) in owners.items()}


def decoded(predictions: Sequence[Prediction]) -> list[Patch]:
    """Decode as many together as a run does."""
    patches = []
    for some in batches_of(predictions, TOGETHER):
        parts = decode_clicks([one.probabilities for one in some], np.repeat(CENTRE, len(some), axis=0), RULE)
        for one, part in zip(some, parts, strict=True):
            if part is not None:
                window = Window(one.window.x + part.column, one.window.y + part.row, *part.mask.shape[::-1])
                signal = CENTRE + np.array([one.window.y, one.window.x])
                patches.append(Patch(one.prompt, window, part.mask, part.probabilities, signal))
    return patches


def milliseconds(work: Callable[[], object], count: int) -> float:
    """Processor time of the best of three runs, for one of so many objects."""
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best / count * 1000


def main(count: int) -> None:
    predictions = simulated_predictions(count)
    patches = decoded(predictions)
    settled, rejections = settle_overlaps(patches, RULE.smallest_px)
    few_predictions, few, few_settled = predictions[:PLAIN_OBJECTS], patches[:PLAIN_OBJECTS], settled[:PLAIN_OBJECTS]
    lost = 1 - sum(int(patch.mask.sum()) for patch in settled) / sum(int(patch.mask.sum()) for patch in patches)
    print(f"{count} objects, {len(rejections)} rejected; neighbours contest and lose {lost:.0%} of all pixels")
    rule = ContourRule(RULE.threshold, TOLERANCE)
    drawn = draw_contours(settled, [], GRID, SLIDE, rule)
    edges = [outline(patch.mask, patch.window, GRID) for patch in settled]
    vertices, of_edges = (shapely.get_num_coordinates(list(shapes)).mean() for shapes in (drawn, edges))
    print(f"{vertices:.0f} vertices each at {TOLERANCE} px of the grid; along pixel edges {of_edges:.0f}")
    steps = {
        "decode": (
            milliseconds(lambda: decoded(predictions), count),
            milliseconds(
                lambda: [plain_decode(prediction.probabilities) for prediction in few_predictions], len(few_predictions)
            ),
        ),
        "settle": (
            milliseconds(lambda: settle_overlaps(patches, RULE.smallest_px), count),
            milliseconds(lambda: plain_settle(few), len(few)),
        ),
        "contour": (
            milliseconds(lambda: draw_contours(settled, [], GRID, SLIDE, rule), len(settled)),
            milliseconds(lambda: [plain_outline(patch) for patch in few_settled], len(few_settled)),
        ),
        "edges": (
            milliseconds(lambda: [outline(patch.mask, patch.window, GRID) for patch in settled], len(settled)),
            milliseconds(lambda: [plain_outline(patch) for patch in few_settled], len(few_settled)),
        ),
    }
    print(f"{'step':10}{'ms':>8}{'plain':>10}{'ratio':>8}")
    for name, (ours, plain) in steps.items():
        print(f"{name:10}{ours:8.3f}{plain:10.3f}{plain / ours:8.1f}")
    print(f"{'all':10}{sum(ours for name, (ours, _) in steps.items() if name != 'edges'):8.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
