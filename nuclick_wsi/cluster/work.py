"""What a worker does: the masks of some prompts on one slide, as a result cache keeps them.

It needs the slide and the models, and nothing of the project. What it sees of the prompts around is what the whole
slide's prompts would show it, so its results have the same digests, and are found as those of an earlier run are.
"""

import os
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from nuclick_wsi.choices import ModelTerms, Precision, ReaderChoice
from nuclick_wsi.errors import ClusterError, NuclickError
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.runs.patch_codec import encode
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.context_keys import context_keys
from nuclick_wsi.segmentation.crops import SignalField
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.prediction import MaskPredictor
from nuclick_wsi.segmentation.result_cache import Decoded
from nuclick_wsi.segmentation.settings import Settings, mask_rule
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.resample import grid_for
from nuclick_wsi.slides.slide import Frame


@dataclass(frozen=True, slots=True)
class Setup:
    """How all work of a run is done; models are names of shipped ones, or paths as the workers have them."""

    models: tuple[str, ...] = ()
    device: str = "auto"
    batch_size: int | None = None
    terms: ModelTerms = ModelTerms.ANY
    precision: Precision = Precision.SINGLE
    tta: bool = False
    reader: ReaderChoice = ReaderChoice.AUTO
    settings: Settings = Settings()


@dataclass(frozen=True, slots=True)
class Unit:
    """Prompts of one kind that are predicted together, with those that may be drawn in their views.

    Attributes
    ----------
    slide
        Its path as the workers have it.
    prompts
        In the order that they have among all prompts of the slide.
    wanted
        Indices of those whose masks are asked for.
    """

    setup: Setup
    slide: str
    frame: Frame
    pixel_size: PixelSize
    kind: ObjectKind
    prompts: tuple[Prompt, ...]
    wanted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A result as a cache keeps it: prompt, input digest, and mask or rejection as `patch_codec` encodes it."""

    prompt: int
    digest: bytes
    decoded: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """What a worker worked with. `context` is a digest of it all, and the rest says why one differs.

    Unlike the key of a journal it knows nothing of when a slide was changed last, which copies of it may not keep.
    """

    context: bytes
    fingerprint: str
    reader: str
    model: str
    host: str

    @classmethod
    def of(cls, registry: ModelRegistry, kind: ObjectKind, slide: str, reader: str, frame: Frame) -> "Seen":
        """Return what this machine works with; `slide` is the fingerprint."""
        context = context_keys(registry, [kind], slide, reader, frame)[kind]
        return cls(context, slide, reader, registry.model(kind).sha256, socket.gethostname())

    def require_same(self, here: "Seen") -> None:
        """Refuse results of another slide, model or program.

        Raises
        ------
        ClusterError
            If they are.
        """
        if self.context == here.context:
            return
        parts = {
            "the slide under that path is another file": self.fingerprint != here.fingerprint,
            f"the slide is read by {self.reader}, and here by {here.reader}": self.reader != here.reader,
            "the model is another file": self.model != here.model,
        }
        why = [what for what, differs in parts.items() if differs] or ["nuclick-wsi is of another version"]
        raise ClusterError(f"on the worker {self.host}, {' and '.join(why)}: its results are not taken.")


@dataclass(frozen=True, slots=True)
class Done:
    """The results of a unit. Prompts where the slide could not be read have none."""

    seen: Seen
    rows: tuple[Row, ...]


@dataclass(slots=True)
class _Collector:
    """A result cache that recalls nothing and keeps what it is to remember, as rows."""

    numbers: dict[str, int]
    rows: list[Row] = field(default_factory=list)

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        return None

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        self.rows.append(Row(self.numbers[prompt.id], digest, encode(decoded)))


def work_on(unit: Unit) -> Done:
    """Return the results of a unit.

    Raises
    ------
    ClusterError
        If the slide or a model cannot be used here; the message names this machine.
    """
    try:
        return _worked_on(unit)
    except NuclickError as error:
        raise ClusterError(
            f"on the worker {socket.gethostname()}: {error} Workers need slides and models under the same paths as "
            "here, or under those that `paths` in the cluster's .toml says."
        ) from error


def _worked_on(unit: Unit) -> Done:
    registry = _registry(unit.setup)
    segmenter = registry.segmenter(unit.kind)
    with open_slide(unit.slide, reader=unit.setup.reader, frame=unit.frame) as slide:
        grid = grid_for(slide.info, unit.pixel_size, segmenter.card.mpp)
        rule = mask_rule(segmenter.card, unit.setup.settings.masks, grid)
        rows = _Collector({prompt.id: number for number, prompt in enumerate(unit.prompts)})
        signals = SignalField(unit.prompts)
        predictor = MaskPredictor(slide, segmenter, unit.setup.settings, signals, grid, rule, rows)
        predictor.predict(predictor.views(unit.wanted), lambda: None)
        own = _fingerprint(slide.info.path, *_stamp(slide.info.path))
        seen = Seen.of(registry, unit.kind, own, slide.info.reader, unit.frame)
    return Done(seen, tuple(rows.rows))


@lru_cache(maxsize=4)
def _registry(setup: Setup) -> ModelRegistry:
    """Return the models of a run, which stay loaded from unit to unit; each unit has one core or the GPU."""
    return ModelRegistry(
        setup.models,
        setup.device,
        setup.batch_size,
        terms=setup.terms,
        threads=1,
        precision=setup.precision,
        tta=setup.tta,
    )


@lru_cache(maxsize=256)
def _fingerprint(path: Path, size: int, changed: int) -> str:
    return fingerprint(path)


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116
    return status.st_size, status.st_mtime_ns
