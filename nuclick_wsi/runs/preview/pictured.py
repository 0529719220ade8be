"""What the pictures of one image are made from, and which of its outlines they show."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.instances import Instance, Instances, Rejection
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.segmentation.engine import Reading
from nuclick_wsi.slides.slide import Slide

MOST_OF_A_SHEET = 24
"""Crops of the least sure, and of each class."""
MOST_CLASSES = 20
NO_CLASS: Color = (255, 220, 0)


@dataclass(frozen=True, slots=True)
class Pictured:
    """One image with what a run saw and made there.

    Attributes
    ----------
    name
        As the user knows the image.
    result
        The file that holds the outlines.
    """

    name: str
    slide: Slide
    prompts: Sequence[Prompt]
    instances: Instances
    rejections: Sequence[Rejection]
    readings: Sequence[Reading]
    class_colors: Mapping[str, Color]
    result: Path

    def color(self, class_name: str | None) -> Color:
        """Return the colour of a class."""
        if class_name is None:
            return NO_CLASS
        return self.class_colors.get(class_name) or color_of(class_name)


def sureness_of(instance: Instance) -> float:
    """Return how sure the network is of an outline, 0 to 1; of a model without a calibration the mean probability."""
    return instance.mean_probability if instance.sureness is None else instance.sureness


def told_sureness(instance: Instance) -> str:
    """Return how sure the network is of an outline, with what the number is."""
    return f"{'probability' if instance.sureness is None else 'sureness'} {sureness_of(instance):.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What pictures need to know of all outlines, from going through them once.

    Attributes
    ----------
    boxes
        Left, top, right and bottom of each, shape (n, 4), in the order of the instances.
    least_sure
        Those of which the network is least sure, these first.
    classes
        How many each class has, the largest first, and some of them: ids are random, so the first ones are a sample.
    """

    boxes: NDArray[np.float64]
    least_sure: list[Instance]
    classes: dict[str | None, tuple[int, list[Instance]]]

    @classmethod
    def of(cls, instances: Iterable[Instance]) -> "Survey":
        """Go through instances, in any order."""
        edges = array("d")
        doubtful, counts = _Lowest(), Counter[str | None]()
        members: dict[str | None, _Lowest] = defaultdict(_Lowest)
        for one in instances:
            edges.extend(one.polygon.bounds)
            doubtful.add((sureness_of(one), one.prompt_id), one)
            counts[one.class_name] += 1
            members[one.class_name].add(one.prompt_id, one)
        names = sorted(counts, key=lambda name: (-counts[name], name or ""))
        classes = {name: (counts[name], members[name].instances()) for name in names}
        return cls(np.array(edges).reshape(-1, 4), doubtful.instances(), classes)

    def near(self, left: float, top: float, right: float, bottom: float) -> list[int]:
        """Return the places of the outlines whose box meets another."""
        low, high = self.boxes[:, :2], self.boxes[:, 2:]
        meets = (low <= (right, bottom)).all(axis=1) & (high >= (left, top)).all(axis=1)
        places: list[int] = np.flatnonzero(meets).tolist()
        return places


class _Lowest:
    """Those of many instances that have the lowest keys, as many as a sheet shows."""

    def __init__(self) -> None:
        self._some: list[tuple[Any, Instance]] = []

    def add(self, key: Any, one: Instance) -> None:
        self._some.append((key, one))
        if len(self._some) > 8 * MOST_OF_A_SHEET:
            self._cut()

    def instances(self) -> list[Instance]:
        self._cut()
        return [one for _, one in self._some]

    def _cut(self) -> None:
        self._some.sort(key=itemgetter(0))
        del self._some[MOST_OF_A_SHEET:]
