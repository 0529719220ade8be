"""The learned systems: what each sees, what it draws with, and what it is trained by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from nuclick_training.comparison.learned.diverse import DiverseNet, diverse_loss
from nuclick_training.comparison.learned.looks import (
    BoxCrop,
    BoxDistance,
    ExtremePoints,
    GuidingSignals,
    Look,
    TwoClicks,
)
from nuclick_training.comparison.learned.mask_branch import MaskBranch
from nuclick_training.fitting.loss import Loss, nuclick_loss
from nuclick_wsi.models.network.squiggle import SquiggleConfig, SquiggleNet
from nuclick_wsi.prompts import ObjectKind


@dataclass(frozen=True, slots=True)
class Design:
    """A learned system before it has learned.

    Attributes
    ----------
    refined
        Whether its masks are refined by fitting the network to the image at hand (BIFSeg).
    """

    name: str
    look: Look
    network: Callable[[], nn.Module]
    loss: Loss = nuclick_loss
    refined: bool = False

    @property
    def slug(self) -> str:
        """Its name in names of files."""
        return self.name.lower().replace(" ", "-").replace("'", "")


def _network() -> nn.Module:
    return SquiggleNet(SquiggleConfig())


_COMMON = (
    Design("iFCN", TwoClicks(), _network),
    Design("Latent Diversity", TwoClicks(), DiverseNet, diverse_loss),
    Design("Deep GrabCut", BoxDistance(), _network),
    Design("DEXTR", ExtremePoints(), _network),
    Design("Mask R-CNN", BoxDistance(), MaskBranch),
    Design("BIFSeg", BoxCrop(action="a box and a squiggle"), _network, refined=True),
)
DESIGNS: Mapping[ObjectKind, Sequence[Design]] = {
    kind: (*_COMMON, Design("NuClick's signals", GuidingSignals(kind is ObjectKind.GLAND), _network))
    for kind in ObjectKind
}
"""By kind of object. The last one sees what NuClick sees, with the network and the training of the others."""
