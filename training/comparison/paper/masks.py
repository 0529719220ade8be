"""Table VII of the paper: networks that find nuclei by themselves, and learn from true masks or from drawn ones.

Runs are kept in a folder, and go on.
"""

from collections.abc import Iterator
from dataclasses import replace

from nuclick_training.comparison.automatic import PAPER, TRUE, designs, drawn_by, pictures_of, tested
from nuclick_training.comparison.mask_rcnn import missing_torchvision
from nuclick_training.comparison.material import NUCLEI_MPP
from nuclick_training.comparison.nuclick import NuClick
from nuclick_training.comparison.paper.budget import Budget
from nuclick_training.comparison.paper.rows import PaperRow, only
from nuclick_training.comparison.system import System
from nuclick_training.comparison.systems import NUCLEI
from nuclick_training.comparison.watershed import Watershed
from nuclick_training.evaluation.intervals import mean_estimates
from nuclick_wsi.prompts import ObjectKind

_SCORES = ("Dice", "SQ")
_MORE = ("AJI", "PQ")
"""Which the paper does not have: they tell whether nuclei that touch are told apart."""
_MODEL = "nuclei-open"
"""Draws masks from clicks: as in the paper, a model that has not learned from these images."""


def learning_from_masks(budget: Budget) -> Iterator[PaperRow]:
    """Yield table VII: each network after true masks, after masks of one click each, and after watershed's."""
    training = replace(budget.training, settings=replace(budget.training.settings, batch=8))
    data = budget.data / "monuseg"
    true, judging, testing = (pictures_of(data, part) for part in ("train", "validation", "test"))
    if why := missing_torchvision():
        print(why, flush=True)
    for masks, system in _drawing():
        learning = true if system is None else drawn_by(system, true, NUCLEI_MPP)
        for design, learn in designs(mask_rcnn=not why).items():
            place = budget.out / "masks" / f"{design}-{masks}".lower().replace(" ", "-")
            ours = mean_estimates(tested(learn(learning, judging, place, training), testing))
            theirs = PAPER.get((design, masks))
            yield PaperRow(
                f"{design} on {masks}",
                dict(zip(_SCORES, theirs, strict=True)) if theirs else {},
                only(ours, (*_SCORES, *_MORE)),
                _differs(design, masks, budget),
            )


def _differs(design: str, masks: str, budget: Budget) -> str:
    length = budget.training.told
    network = (
        f"{length}, on our encoder" if design == "Mask R-CNN" else f"{length}, {budget.training.width:g} of its width"
    )
    return f"{network}; masks of {_MODEL}" if masks == "NuClick" else network


def _drawing() -> Iterator[tuple[str, System | None]]:
    yield TRUE, None
    yield "NuClick", NuClick(_MODEL, ObjectKind.NUCLEUS)
    yield "watershed", next(entry.system for entry in NUCLEI if isinstance(entry.system, Watershed))
