"""What a user's corrections are worth: the worst objects of an evaluation after one, two and three corrective marks.

A simulated user looks at each of the worst outlines, marks the middle of its largest error (an Ignore click on what is
too much, a stroke from the prompt into what is missing), has the image outlined again, and so on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nuclick_training.datasets.data import Labels, image_path
from nuclick_training.evaluation.evaluate import Evaluation, images_of, picture_of
from nuclick_training.evaluation.metrics import overlaps
from nuclick_training.evaluation.results import labels_of
from nuclick_training.fitting.pixel_sizes import pixel_size_of, settled_mpp
from nuclick_training.sampling.corrections import corrective_mark
from nuclick_training.sampling.sampling import target_of
from nuclick_training.sampling.simulate import simulated_prompts
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.models.card import find_model, read_card
from nuclick_wsi.prompts import Click, Prompt, Role, Squiggle
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.settings import MaskSettings, Settings
from nuclick_wsi.slides.readers import open_slide

Outlining = Callable[[str, Labels, Sequence[Prompt]], Labels]
"""From an image's name, its true objects and its prompts to the instance map of their outlines."""

_MARGIN = 60
"""Pixels of the picture around an object and its outline in which errors are looked for."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """What became of the worst objects.

    Attributes
    ----------
    objects
        How many there are in all.
    dice
        (rounds + 1, N) float64, of the N worst: before any correction, after one, and so on.
    marked
        (rounds, N) bool: which got a mark; the others had no error that was deep enough.
    """

    objects: int
    dice: npt.NDArray[np.float64]
    marked: npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Image:
    """One image, the prompts that it has by now, and the instance map of their outlines."""

    name: str
    labels: Labels
    prompts: dict[int, Prompt]
    ignored: list[Prompt] = field(default_factory=list)
    drawn: Labels = field(init=False)

    def outline(self, outlined: Outlining) -> None:
        """Let the engine draw the present prompts."""
        self.drawn = outlined(self.name, self.labels, [*self.prompts.values(), *self.ignored])

    def dice(self) -> dict[int, float]:
        """Return the Dice of each object with the outline of its own prompt."""
        counts = overlaps(self.labels, self.drawn)
        return dict(zip(counts.true_labels.tolist(), counts.dice_by_label.tolist(), strict=True))

    def correct(self, number: int, rng: np.random.Generator, least_depth: float) -> bool:
        """Mark the largest error of one outline; return whether there was one deep enough."""
        both = np.argwhere((self.labels == number) | (self.drawn == number))
        low = np.maximum(both.min(axis=0) - _MARGIN, 0)
        box = tuple(slice(begin, end + _MARGIN) for begin, end in zip(low, both.max(axis=0), strict=True))
        mark = corrective_mark(self.drawn[box] == number, target_of(self.labels[box], number), rng, least_depth)
        if mark is None:
            return False
        missing, pixels = mark[0], mark[1] + low
        prompt = self.prompts[number]
        if missing:
            self.prompts[number] = replace(prompt, signal=_with_stroke(prompt.signal, pixels))
        else:
            ignored = f"ignored {len(self.ignored)}"
            click = Click(_middle(pixels[0]))
            self.ignored.append(Prompt(ignored, prompt.kind, click, "Ignore*", role=Role.EXCLUDE_ONLY))
        return True


def correct(
    asked: Evaluation, rounds: int = 3, share: float = 0.2, seed: int = 0, least_depth: float = 1
) -> Corrections:
    """Correct the worst share of an evaluation's objects, round by round.

    The worst are those with the lowest Dice of all objects of all images before any correction. Errors less than
    `least_depth` pixels deep are left.
    """
    outlined, rng = outlined_as(asked), np.random.default_rng(seed)
    kind = read_card(find_model(asked.model)).kind
    images = []
    for name in images_of(asked):
        labels = picture_of(asked, name).labels
        prompts = {int(prompt.id): prompt for prompt in simulated_prompts(labels, kind, asked.click_at)}
        images.append(_Image(name, labels, prompts))
        images[-1].outline(outlined)
    scored = [(dice, index, number) for index, image in enumerate(images) for number, dice in image.dice().items()]
    worst = sorted(scored)[: max(1, round(share * len(scored)))]
    dice, marked = [[before for before, _, _ in worst]], []
    for _ in range(rounds):
        marked.append([images[index].correct(number, rng, least_depth) for _, index, number in worst])
        for index in sorted({index for _, index, _ in worst}):
            images[index].outline(outlined)
        after = [image.dice() for image in images]
        dice.append([after[index][number] for _, index, number in worst])
    return Corrections(len(scored), np.array(dice), np.array(marked))


def outlined_as(asked: Evaluation) -> Outlining:
    """Return what outlines prompts of an image as the evaluation would, and draws the instance map."""
    card = read_card(find_model(asked.model))
    registry = ModelRegistry([asked.model], asked.device, asked.batch_size, threads=asked.threads)
    mpp = settled_mpp(asked.mpp, asked.data.name, card)
    settings = Settings(masks=MaskSettings(threshold=asked.threshold))

    def outlined(name: str, labels: Labels, prompts: Sequence[Prompt]) -> Labels:
        pixel_size = pixel_size_of(labels, mpp, card)
        with open_slide(image_path(asked.data, name)) as slide:
            outcome = segment(slide, PromptSet(tuple(prompts)), registry, pixel_size, settings)
        return labels_of(outcome.instances, (labels.shape[0], labels.shape[1]))

    return outlined


def _with_stroke(signal: Click | Squiggle, pixels: Pixels) -> Squiggle:
    """Return a prompt's signal with a stroke along pixels; a click is joined to them, as one line."""
    ends = (_middle(pixels[0]), _middle(pixels[-1]))
    if isinstance(signal, Click):
        return Squiggle(((signal.point, *dict.fromkeys(ends)),))
    stroke = ends if ends[0] != ends[1] else (ends[0], Point(ends[0].x + 1, ends[0].y))
    return Squiggle((*signal.strokes, stroke))


def _middle(pixel: npt.NDArray[np.int64]) -> Point:
    return Point(float(pixel[1]) + 0.5, float(pixel[0]) + 0.5)
