"""What the pictures of one image are made from, and which of its outlines they show."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.segmentation.engine import Outcome
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
    outcome: Outcome
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


def least_sure(instances: Sequence[Instance]) -> list[Instance]:
    """Return the outlines of which the network is least sure, these first."""
    return sorted(instances, key=lambda one: (sureness_of(one), one.prompt_id))[:MOST_OF_A_SHEET]


def by_class(instances: Sequence[Instance]) -> dict[str | None, list[Instance]]:
    """Return the outlines of each class, the largest classes first; ids are random, so the first ones are a sample."""
    found: dict[str | None, list[Instance]] = defaultdict(list)
    for one in sorted(instances, key=lambda one: one.prompt_id):
        found[one.class_name].append(one)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0] or "")))
