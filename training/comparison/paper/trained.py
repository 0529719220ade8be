"""Tables I to V and X of the paper: systems and networks that are trained alike, each on what the paper gives it.

What is trained already is not trained again, and a run that was begun goes on.
"""

from collections.abc import Iterator, Mapping, Sequence

from nuclick_training.comparison.bench import score
from nuclick_training.comparison.learned.designs import (
    DESIGNS,
    ON_OWN_NETWORKS,
    WITHOUT_EXCLUSION,
    Design,
    network,
)
from nuclick_training.comparison.learned.learned_system import LearnedSystem
from nuclick_training.comparison.learned.training import trained
from nuclick_training.comparison.material import NUCLEI_MPP, Material, material_of
from nuclick_training.comparison.nuclick import NuClick
from nuclick_training.comparison.paper.budget import Budget
from nuclick_training.comparison.paper.rows import PaperRow, only
from nuclick_training.comparison.paper.shipped import SCORES_X, alone
from nuclick_training.comparison.side_by_side import tested_scenes, train_each
from nuclick_training.comparison.system import System
from nuclick_training.comparison.systems import SYSTEMS
from nuclick_training.comparison.tables import SHOWN, papers_figures
from nuclick_training.evaluation.intervals import Estimates, mean_estimates
from nuclick_wsi.models.network import MULTI_SCALE
from nuclick_wsi.prompts import ObjectKind

_TABLE_I: Mapping[str, tuple[str, Mapping[str, object], Sequence[float]]] = {
    "U-Net": ("unet", {}, (0.762, 0.821, 0.774, 8.73)),
    "FCN-8s": ("fcn", {}, (0.741, 0.798, 0.756, 9.5)),
    "SegNet": ("segnet", {}, (0.785, 0.846, 0.794, 8.33)),
    **{
        f"NuClick {blocks} multi-scale": ("nuclick", {"multi_scale": MULTI_SCALE[:blocks]}, figures)
        for blocks, figures in enumerate(
            (
                (0.798, 0.860, 0.808, 6.11),
                (0.817, 0.889, 0.820, 5.51),
                (0.830, 0.905, 0.829, 4.93),
                (0.834, 0.912, 0.838, 4.05),
                (0.835, 0.914, 0.838, 4.05),
            )
        )
    },
}
"""Architecture, configuration, and the paper's AJI, Dice, PQ and Hausdorff distance."""


def systems(kind: ObjectKind, budget: Budget) -> Iterator[PaperRow]:
    """Yield tables II, III and IV: every interactive system on the same objects."""
    material, names = material_of(kind, budget.data, budget.out), SHOWN[kind]
    for entry in SYSTEMS[kind]:
        ours = _side_by_side(entry.system, material, budget)
        differs = "the shipped model" if isinstance(entry.system, NuClick) else "parameters chosen on validation images"
        yield PaperRow(entry.system.name, _theirs(kind, entry.system.name), only(ours, names), differs)
    for design in (*DESIGNS[kind], *(ON_OWN_NETWORKS[kind] if budget.own_networks else ())):
        system = _learned(design, kind, material, budget)
        ours = _side_by_side(system, material, budget)
        yield PaperRow(design.name, _theirs(kind, design.name), only(ours, names), _differs(system))


def networks(budget: Budget) -> Iterator[PaperRow]:
    """Yield table I: networks that see the same signals."""
    material = material_of(ObjectKind.NUCLEUS, budget.data, budget.out)
    for name, (architecture, config, figures) in _TABLE_I.items():
        design = network(name, architecture, ObjectKind.NUCLEUS, config)
        system = _learned(design, ObjectKind.NUCLEUS, material, budget)
        ours = _side_by_side(system, material, budget)
        paper = dict(zip(("AJI", "Dice", "PQ", "Hausdorff"), figures, strict=True))
        yield PaperRow(name, paper, only(ours, tuple(paper)), f"{system.width:g} of its width; {_differs(system)}")


def across(budget: Budget) -> Iterator[PaperRow]:
    """Yield table V: trained on one laboratory's nuclei, tested on another's."""
    design = DESIGNS[ObjectKind.NUCLEUS][-1]
    for learning, testing, figures in (("monuseg", "gbm40", (0.908, 0.821)), ("gbm40", "monuseg", (0.892, 0.811))):
        material = Material(budget.data / learning, budget.data / testing, "test", NUCLEI_MPP)
        system = _learned(design, ObjectKind.NUCLEUS, material, budget)
        ours = _side_by_side(system, material, budget)
        paper = dict(zip(("Dice", "SQ"), figures, strict=True))
        differs = f"gbm40 is here what CPM is there; {_differs(system)}"
        yield PaperRow(f"{learning} to {testing}", paper, only(ours, tuple(paper)), differs)


def without_exclusion(budget: Budget) -> Iterator[PaperRow]:
    """Yield table X: trained with exclusion maps, and trained without."""
    material = material_of(ObjectKind.NUCLEUS, budget.data, budget.out)
    for design, figures in (
        (DESIGNS[ObjectKind.NUCLEUS][-1], (0.834, 0.912, 0.839, 0.999, 0.838)),
        (WITHOUT_EXCLUSION, (0.815, 0.894, 0.801, 0.972, 0.778)),
    ):
        system = _learned(design, ObjectKind.NUCLEUS, material, budget)
        ours = only(_side_by_side(system, material, budget), SCORES_X)
        yield PaperRow(design.name, dict(zip(SCORES_X, figures, strict=True)), ours, _differs(system))
    yield from alone(budget)


def _learned(design: Design, kind: ObjectKind, material: Material, budget: Budget) -> LearnedSystem:
    runs = budget.out / str(kind) / material.learning.name
    train_each([design], kind, material, runs, budget.training)
    return trained(design, kind, runs)


def _side_by_side(system: System, material: Material, budget: Budget) -> Estimates:
    return mean_estimates([score(system, scene)[0].tally for scene in tested_scenes(material, budget.objects)])


def _theirs(kind: ObjectKind, name: str) -> Mapping[str, float]:
    """Return the paper's figures of a system; a row of ours without any names the scores all the same."""
    figures = papers_figures(kind, name)
    return dict(zip(SHOWN[kind], figures, strict=True)) if figures else {}


def _differs(system: LearnedSystem) -> str:
    return f"trained for {system.steps} steps"
