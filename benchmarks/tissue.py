"""How good the outlines of a real QuPath project are: Dice of each prompt's outline against the object it was drawn in.

Runs the shipped models over the project in ../shared/data/qupath/tissue_v0.5.1 (clicks and squiggles drawn in QuPath
0.5.1 on slides that no training has seen) and compares with the instance maps beside it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import nuclick_wsi as nw
from nuclick_training.evaluation.results import labels_of
from nuclick_wsi.prompts import ObjectChoice, Role
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.signals import rasterize
from qupath_extension.project import ProjectImage, read_project

PROJECT = Path(__file__).resolve().parents[2] / "shared" / "data" / "qupath" / "tissue_v0.5.1"
SLIDE_GRID = Grid(1.0, 1.0)


def object_under(prompt: nw.Prompt, truth: np.ndarray) -> int:
    """Return the number of the object that most of a prompt's pixels lie in, 0 where that is the background."""
    strokes = [np.array([(point.x, point.y) for point in stroke]) for stroke in prompt.signal.strokes]
    rows, columns = rasterize(strokes).T
    inside = (rows >= 0) & (columns >= 0) & (rows < truth.shape[0]) & (columns < truth.shape[1])
    under = truth[rows[inside], columns[inside]]
    return int(np.bincount(under[under > 0]).argmax()) if (under > 0).any() else 0


def scores_of(image: ProjectImage, registry: nw.ModelRegistry, truth: np.ndarray) -> tuple[nw.Outcome, list[float]]:
    """Return an image's outcome, and the Dice of every prompt: 0 where it has no outline."""
    assert image.pixel_size is not None
    prompts = image.prompts(ObjectChoice.AUTO)
    with nw.open_slide(image.find_slide()) as slide:
        outcome = nw.segment(slide, prompts, registry, image.pixel_size)
    numbers = {instance.prompt_id: number for number, instance in enumerate(outcome.instances, start=1)}
    numbered = [replace(instance, prompt_id=str(numbers[instance.prompt_id])) for instance in outcome.instances]
    outlines = labels_of(numbered, truth.shape)
    dice = []
    for prompt in prompts.prompts:
        if prompt.role is Role.SEGMENT:
            mine, real = outlines == numbers.get(prompt.id, -1), truth == object_under(prompt, truth)
            dice.append(2 * float((mine & real).sum()) / float(mine.sum() + real.sum()))
    return outcome, dice


def main() -> None:
    if not PROJECT.is_dir():
        print(f"skipped: needs the real project in {PROJECT}, which is not part of this one")
        return
    registry = nw.ModelRegistry()
    table = Table("image", "prompts", "outlines", "rejected", "mean Dice per object", "median")
    for image in read_project(PROJECT).images:
        path = PROJECT / "truth" / f"{Path(image.name).stem}.png"
        if path.exists():
            outcome, dice = scores_of(image, registry, np.array(Image.open(path)).astype(np.int64))
            counts = (str(len(dice)), str(len(outcome.instances)), str(len(outcome.rejections)))
            table.add_row(image.name, *counts, f"{np.mean(dice):.3f}", f"{np.median(dice):.3f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
