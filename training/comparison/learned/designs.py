"""The learned systems: what each sees, what it draws with, and what it is trained by."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from nuclick_training.comparison.learned.diverse import MASKS, DiverseNet, diverse_loss, drawing_masks
from nuclick_training.comparison.learned.looks import (
    BoxCrop,
    BoxDistance,
    ExtremePoints,
    GuidingSignals,
    Look,
    TwoClicks,
)
from nuclick_training.comparison.learned.mask_branch import MaskBranch
from nuclick_training.comparison.learned.own_networks import WIDTH, ContextNet, PNet, PyramidResNet
from nuclick_training.fitting.loss import Loss, nuclick_loss
from nuclick_wsi.models.network import build
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
        return "-".join(re.findall("[a-z0-9]+", self.name.lower().replace("'", "")))


def _network() -> nn.Module:
    return SquiggleNet(SquiggleConfig())


def _diverse() -> nn.Module:
    return DiverseNet(drawing_masks())


def _of_own_network(kind: ObjectKind) -> Sequence[Design]:
    """Return the designs on the networks that their papers describe, at a quarter of the width, from random weights."""
    fcn, encoder_decoder, nuclick = (partial(build, name, {"width": WIDTH}) for name in ("fcn", "segnet", "nuclick"))
    return (
        Design("iFCN (FCN-8s)", TwoClicks(), fcn),
        Design("Latent Diversity (context network)", TwoClicks(), lambda: DiverseNet(ContextNet(MASKS)), diverse_loss),
        Design("Deep GrabCut (encoder-decoder)", BoxDistance(), encoder_decoder),
        Design("DEXTR (ResNet-101)", ExtremePoints(), PyramidResNet),
        Design("BIFSeg (P-Net)", _BOX_AND_SQUIGGLE, PNet, refined=True),
        Design("NuClick's signals (the paper's network)", GuidingSignals(kind is ObjectKind.GLAND), nuclick),
    )


_BOX_AND_SQUIGGLE = BoxCrop(action="a box and a squiggle")
_COMMON = (
    Design("iFCN", TwoClicks(), _network),
    Design("Latent Diversity", TwoClicks(), _diverse, diverse_loss),
    Design("Deep GrabCut", BoxDistance(), _network),
    Design("DEXTR", ExtremePoints(), _network),
    Design("Mask R-CNN", BoxDistance(), MaskBranch),
    Design("BIFSeg", _BOX_AND_SQUIGGLE, _network, refined=True),
)
DESIGNS: Mapping[ObjectKind, Sequence[Design]] = {
    kind: (*_COMMON, Design("NuClick's signals", GuidingSignals(kind is ObjectKind.GLAND), _network))
    for kind in ObjectKind
}
"""By kind of object. The last one sees what NuClick sees, with the network and the training of the others."""
ON_OWN_NETWORKS: Mapping[ObjectKind, Sequence[Design]] = {kind: _of_own_network(kind) for kind in ObjectKind}
"""By kind of object: the same ideas, each on the network of its own paper."""
