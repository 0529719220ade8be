"""How good a model is on labelled pictures: the engine itself runs on simulated clicks or squiggles.

A model is run on a folder of images and instance maps; the result has every object's outcome and scores.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from nuclick_training.datasets.data import Picture, image_path, picture_names, read_picture
from nuclick_training.datasets.registration import registered
from nuclick_training.datasets.splits import SPLITS
from nuclick_training.evaluation.ablations import NeighboursStay, WithoutNeighbours
from nuclick_training.evaluation.results import Findings, ImageResult, Trial
from nuclick_training.fitting.pixel_sizes import Mpp, pixel_size_of, settled_mpp
from nuclick_training.sampling.simulate import jittered, simulated_prompts
from nuclick_wsi.choices import ClickAt
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.models.card import ModelCard, find_model, read_card
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.segmentation.eight_ways import EightWays
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, Segmenter
from nuclick_wsi.segmentation.settings import MaskSettings, Settings
from nuclick_wsi.slides.readers import open_slide


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to measure.

    Attributes
    ----------
    data
        Folder that holds images/ and labels/.
    split
        `train`, `validation` or `test` of a data set that nuclick_training.datasets.splits divides, or `all`.
    kind, threshold
        None takes the model's.
    jitter
        Distances in pixels of the images by which clicks are moved, each in a trial of its own. Exclusion maps show the
        others where they were, as in the paper.
    exclusion
        Whether prompts see each other.
    tta
        Whether each prompt is seen in all eight turns and flips.
    registered
        Whether each instance map is first moved onto its picture, by what the picture alone tells.
    """

    model: str | Path
    data: Path
    mpp: Mpp = None
    split: str = "all"
    kind: ObjectKind | None = None
    click_at: ClickAt = ClickAt.CENTROID
    threshold: float | None = None
    jitter: tuple[float, ...] = ()
    exclusion: bool = True
    tta: bool = False
    registered: bool = False
    device: str = "cpu"
    batch_size: int | None = None
    threads: int | None = None


class EvaluationProgress(Protocol):
    """Receives the progress of an evaluation."""

    def image_started(self, name: str, prompts: int) -> None:
        """An image is about to go through the network."""

    def prompts_done(self, count: int) -> None:
        """`count` more prompts are through."""

    def image_ended(self, report: object) -> None:
        """An image is through."""


class NoProgress:
    """Shows no progress."""

    def image_started(self, name: str, prompts: int) -> None:
        """Do nothing."""

    def prompts_done(self, count: int) -> None:
        """Do nothing."""

    def image_ended(self, report: object) -> None:
        """Do nothing."""


def evaluate(asked: Evaluation, progress: EvaluationProgress | None = None) -> Findings:
    """Run the engine on every picture of the split, once for every trial, and score its outlines.

    Raises
    ------
    SettingsError
        The split or the pixel size is not known, or the model is for another kind of object, or cannot be jittered.
    """
    names = images_of(asked)
    card = read_card(find_model(asked.model))
    _check(asked, card)
    mpp = settled_mpp(asked.mpp, asked.data.name, card)
    registry = ModelRegistry([asked.model], asked.device, asked.batch_size, threads=asked.threads)
    runner = _Runner(asked, _seen_as_asked(registry.segmenter(card.kind), asked), mpp, progress or NoProgress())
    trials = tuple(Trial(jitter, tuple(runner.run(name, jitter) for name in names)) for jitter in (0, *asked.jitter))
    return Findings(card, registry.model(card.kind).sha256, _training_overlap(card, asked.data.name, names), trials)


def images_of(asked: Evaluation) -> list[str]:
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


def picture_of(asked: Evaluation, name: str) -> Picture:
    """Return one picture with the true objects that outlines are measured by."""
    picture = read_picture(asked.data, name, 1.0)
    return replace(picture, labels=registered(picture.image, picture.labels)) if asked.registered else picture


def _check(asked: Evaluation, card: ModelCard) -> None:
    if asked.kind not in (None, card.kind):
        raise SettingsError(f"{asked.model} is for a {card.kind}, not for a {asked.kind}.")
    if asked.jitter and card.kind is ObjectKind.GLAND:
        raise SettingsError(f"--jitter moves clicks, and {asked.model} takes squiggles: leave it away.")


def _seen_as_asked(segmenter: Segmenter, asked: Evaluation) -> Segmenter:
    if not asked.exclusion:
        segmenter = WithoutNeighbours(segmenter)
    return EightWays(segmenter) if asked.tta else segmenter


@dataclass(frozen=True, slots=True)
class _Runner:
    """What all pictures of an evaluation are run with."""

    asked: Evaluation
    segmenter: Segmenter
    mpp: float | Literal["auto"]
    progress: EvaluationProgress

    def run(self, name: str, jitter: float) -> ImageResult:
        """Outline one picture's objects and score them."""
        labels = picture_of(self.asked, name).labels
        segmenter = self.segmenter
        prompts = simulated_prompts(labels, segmenter.card.kind, self.asked.click_at)
        if jitter:
            segmenter = NeighboursStay(segmenter, prompts)
            prompts = jittered(prompts, jitter, Size(labels.shape[1], labels.shape[0]))
        pixel_size = pixel_size_of(labels, self.mpp, segmenter.card)
        self.progress.image_started(name, len(prompts))
        with open_slide(image_path(self.asked.data, name)) as slide:
            outcome = segment(
                slide,
                PromptSet(tuple(prompts)),
                FixedSegmenters({segmenter.card.kind: segmenter}),
                pixel_size,
                Settings(masks=MaskSettings(threshold=self.asked.threshold)),
                on_progress=self.progress.prompts_done,
            )
        result = ImageResult.of(name, pixel_size.mean, labels, prompts, outcome)
        self.progress.image_ended(result)
        return result


def _training_overlap(card: ModelCard, folder: str, names: Sequence[str]) -> str:
    """Return whether a model was trained or tuned on these images, by what its card says."""
    known = [source.name for source in card.data]
    if not known:
        return f"The card of {card.name} does not say what it was trained on, so these images may be part of it."
    if folder not in known:
        trained_on = f"{folder} is not in the training data of {card.name} ({', '.join(known)})"
        return f"{trained_on}: to this model it is another domain."
    if folder not in SPLITS:
        return f"{folder} is in the training data of {card.name}: these scores may measure fit, not quality."
    parts = Counter(SPLITS[folder].part_of(name) for name in names)
    if parts["train"]:
        share = f"{parts['train']} of these {len(names)} images"
        return f"{share} trained {card.name}: these scores measure its fit to them, not its quality on other images."
    if parts["validation"]:
        return f"{parts['validation']} of these {len(names)} images chose settings of {card.name}; none trained it."
    return f"None of these {len(names)} images trained {card.name} or chose its settings."
