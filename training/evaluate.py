"""How good a model is on labelled pictures: the engine itself runs on simulated clicks or squiggles.

A model and a folder of images and instance maps go in, a table of scores per image and their mean comes out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from rich.console import Console
from rich.table import Table
from skimage.draw import polygon2mask

from nuclick_wsi.choices import ClickAt
from nuclick_wsi.engine import segment
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Squiggle
from nuclick_wsi.readers import open_slide
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmenter import CropSegmenter, Segmenter, choose_device
from nuclick_wsi.settings import MaskSettings, Settings
from nuclick_wsi.weights import load_model

from .data import Labels, image_path, objects_of, picture_names, read_labels
from .metrics import (
    aggregated_jaccard,
    glas_f1,
    mean_dice_by_label,
    object_dice,
    overlaps,
    panoptic,
    pixel_dice,
)
from .recipes import known_pixel_size
from .splits import SPLITS
from .squiggles import Mask, depth_of, walked_skeleton

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to measure.

    Attributes
    ----------
    data
        Folder that holds images/ and labels/.
    mpp
        Microns per picture pixel; None takes what is known of our own data sets.
    split
        `train`, `validation` or `test` of a data set that nuclick_training.splits divides, or `all`.
    kind
        None takes the model's.
    threshold
        None takes the model's.
    """

    model: str | Path
    data: Path
    mpp: float | None = None
    split: str = "all"
    kind: ObjectKind | None = None
    click_at: ClickAt = ClickAt.CENTROID
    threshold: float | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class ImageScores:
    """The scores of one image, by the names that the table shows."""

    name: str
    objects: int
    outlines: int
    scores: Scores


def evaluate(asked: Evaluation, on_image: Callable[[ImageScores], None] = lambda _: None) -> list[ImageScores]:
    """Run the engine on every picture of the split and score its outlines.

    Raises
    ------
    SettingsError
        The split or the pixel size is not known, or the model is for another kind of object.
    """
    names = _names(asked)
    mpp = asked.mpp or known_pixel_size(asked.data.name)
    if mpp is None:
        raise SettingsError(f"The pixel size of {asked.data.name} is not known: give it with --mpp.")
    model = load_model(asked.model)
    if asked.kind not in (None, model.card.kind):
        raise SettingsError(f"{asked.model} is for a {model.card.kind}, not for a {asked.kind}.")
    segmenter = CropSegmenter(model, choose_device(asked.device))
    results = []
    for name in names:
        results.append(_scored(name, asked, segmenter, PixelSize(mpp, mpp)))
        on_image(results[-1])
    return results


def simulated_prompts(labels: Labels, kind: ObjectKind, click_at: ClickAt, seed: int = 0) -> list[Prompt]:
    """Return one prompt per object, its id the object's number; the same for the same labels and seed."""
    rng = np.random.default_rng(seed)
    prompts = []
    for number, box, mask in objects_of(labels):
        corner = (box[1].start, box[0].start)
        signal = _squiggle(mask, corner) if kind is ObjectKind.GLAND else _click(mask, corner, click_at, rng)
        prompts.append(Prompt(str(number), kind, signal))
    return prompts


def labels_of(instances: Sequence[Instance], shape: tuple[int, int]) -> Labels:
    """Draw outlines as an instance map: a pixel belongs to the outline that its centre lies in."""
    labels = np.zeros(shape, np.int32)
    for instance in instances:
        for polygon in shapely.get_parts(instance.polygon):
            left, top, right, bottom = (int(bound) for bound in shapely.bounds(polygon))
            window = labels[top : bottom + 1, left : right + 1]
            inside = _drawn(polygon.exterior, window.shape, (left, top))
            for hole in polygon.interiors:
                inside &= ~_drawn(hole, window.shape, (left, top))
            window[inside & (window == 0)] = int(instance.prompt_id)
    return labels


def mean_scores(results: Sequence[ImageScores]) -> Scores:
    """Return the mean of every score over the images."""
    return {key: float(np.mean([result.scores[key] for result in results])) for key in results[0].scores}


def print_scores(results: Sequence[ImageScores], console: Console) -> None:
    """Print a table: a line per image and their mean."""
    columns = list(results[0].scores)
    table = Table("image", "objects", "outlines", *columns)
    for result in results:
        figures = (f"{result.scores[column]:.3f}" for column in columns)
        table.add_row(result.name, str(result.objects), str(result.outlines), *figures)
    table.add_section()
    objects, outlines = (sum(getattr(result, key) for result in results) for key in ("objects", "outlines"))
    mean = mean_scores(results)
    table.add_row(
        f"mean of {len(results)}", str(objects), str(outlines), *(f"{mean[column]:.3f}" for column in columns)
    )
    console.print(table)


def _names(asked: Evaluation) -> list[str]:
    """Return the names of the pictures of the split."""
    names = picture_names(asked.data)
    if asked.split == "all":
        return names
    if asked.data.name not in SPLITS:
        raise SettingsError(f"No split is known for {asked.data.name}; known are {', '.join(SPLITS)}. Use --split all.")
    split = SPLITS[asked.data.name]
    chosen = [name for name in names if split.part_of(name) == asked.split]
    if not chosen:
        raise SettingsError(f"{asked.data.name} has no {asked.split} images; parts are train, validation and test.")
    return chosen


def _scored(name: str, asked: Evaluation, segmenter: Segmenter, pixel_size: PixelSize) -> ImageScores:
    """Score one picture."""
    labels = read_labels(asked.data, name)
    kind = segmenter.card.kind
    prompts = simulated_prompts(labels, kind, asked.click_at)
    settings = Settings(masks=MaskSettings(threshold=asked.threshold))
    with open_slide(image_path(asked.data, name)) as slide:
        outcome = segment(slide, PromptSet(tuple(prompts)), {kind: segmenter}, pixel_size, settings)
    predicted = labels_of(outcome.instances, (labels.shape[0], labels.shape[1]))
    return ImageScores(name, len(prompts), len(outcome.instances), _scores(labels, predicted))


def _scores(labels: Labels, predicted: Labels) -> Scores:
    """Return every score of a predicted instance map."""
    counts = overlaps(labels, predicted)
    quality = panoptic(counts)
    return {
        "AJI": aggregated_jaccard(counts),
        "Dice": pixel_dice(labels, predicted),
        "DQ": quality.detection,
        "SQ": quality.segmentation,
        "PQ": quality.quality,
        "F1": glas_f1(counts),
        "object Dice": object_dice(counts),
        "Dice per object": mean_dice_by_label(counts),
    }


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


def _drawn(ring: shapely.LinearRing, shape: tuple[int, ...], corner: tuple[int, int]) -> Mask:
    """Return which pixel centres lie in a ring."""
    corners = shapely.get_coordinates(ring) - corner - 0.5
    return np.asarray(polygon2mask(shape, corners[:, ::-1]))
