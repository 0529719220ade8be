"""NuClick as this project ships it: the engine itself, with every mark of an image at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.system import Piece
from nuclick_training.datasets.data import Rgb
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Squiggle
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.slides.readers.array_source import slide_of_array


@dataclass(frozen=True, slots=True)
class NuClick:
    """A model of this project: one click in a nucleus or cell, one squiggle in a gland."""

    model: str
    kind: ObjectKind
    models: ModelRegistry = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", ModelRegistry([self.model], "cpu"))

    @property
    def name(self) -> str:
        """NuClick, and the model."""
        return f"NuClick ({self.model})"

    @property
    def action(self) -> str:
        """What the user does for one object."""
        return "one squiggle" if self.kind is ObjectKind.GLAND else "one click"

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return the pixels whose centres lie in each mark's outline."""
        prompts = [Prompt(str(mark.number), self.kind, self._signal(mark)) for mark in marks]
        with slide_of_array(image) as slide:
            outcome = segment(slide, prompts, self.models, mpp)
        found = {instance.prompt_id: _piece(instance, image.shape) for instance in outcome.instances}
        return [found.get(prompt.id) for prompt in prompts]

    def _signal(self, mark: Mark) -> Click | Squiggle:
        if self.kind is not ObjectKind.GLAND:
            return Click(Point(*mark.click.tolist()))
        # A single pixel is a line of one pixel's length.
        lines = [line if len(line) > 1 else np.vstack([line, line[0] + (1, 0)]) for line in mark.strokes]
        return Squiggle(tuple(tuple(Point(*place) for place in line.tolist()) for line in lines))


def _piece(instance: Instance, shape: tuple[int, ...]) -> Piece:
    left, top, right, bottom = (int(bound) for bound in instance.polygon.bounds)
    rows, columns = np.mgrid[top : min(bottom + 1, shape[0]), left : min(right + 1, shape[1])]
    return Piece(top, left, np.asarray(shapely.contains_xy(instance.polygon, columns + 0.5, rows + 0.5)))
