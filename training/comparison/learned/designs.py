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
from nuclick_training.comparison.learned.own_networks import ContextNet, PNet, PyramidResNet
from nuclick_training.fitting.loss import Loss, nuclick_loss
from nuclick_wsi.models.network import build
from nuclick_wsi.models.network.squiggle import SquiggleConfig, SquiggleNet
from nuclick_wsi.prompts import ObjectKind


@dataclass(frozen=True, slots=True)
class Design:
    """A learned system before it has learned.

    Attributes
    ----------
    network
        Makes it, given the width of networks of other papers.
    refined
        Whether its masks are refined by fitting the network to the image at hand (BIFSeg).
    """

    name: str
    look: Look
    network: Callable[[float], nn.Module]
    loss: Loss = nuclick_loss
    refined: bool = False

    @property
    def slug(self) -> str:
        """Its name in names of files."""
        return "-".join(re.findall("[a-z0-9]+", self.name.lower().replace("'", "")))


def _network(_: float) -> nn.Module:
    return SquiggleNet(SquiggleConfig())


def _diverse(_: float) -> nn.Module:
    return DiverseNet(drawing_masks())


def network(name: str, architecture: str, kind: ObjectKind, config: Mapping[str, object] | None = None) -> Design:
    """Return the design of another network that sees NuClick's signals."""
    return Design(name, GuidingSignals(kind is ObjectKind.GLAND), partial(_built, architecture, config or {}))


def _built(architecture: str, config: Mapping[str, object], width: float) -> nn.Module:
    return build(architecture, {"width": width, **config})


def _diverse_context(width: float) -> nn.Module:
    return DiverseNet(ContextNet(MASKS, width))


def _mask_branch(_: float) -> nn.Module:
    return MaskBranch()


def _designs(kind: ObjectKind) -> Sequence[Design]:
    return (
        Design("iFCN", TwoClicks(), _network),
        Design("Latent Diversity", TwoClicks(), _diverse, diverse_loss),
        Design("Deep GrabCut", BoxDistance(), _network),
        Design("DEXTR", ExtremePoints(), _network),
        Design("Mask R-CNN", BoxDistance(), _mask_branch),
        Design("BIFSeg", _BOX_AND_SQUIGGLE, _network, refined=True),
        network("U-Net", "unet", kind),
        network("SegNet", "segnet", kind),
        network("FCN-8s", "fcn", kind),
        Design("NuClick's signals", GuidingSignals(kind is ObjectKind.GLAND), _network),
    )


def _of_own_network(kind: ObjectKind) -> Sequence[Design]:
    fcn, encoder_decoder = (partial(_built, name, {}) for name in ("fcn", "segnet"))
    return (
        Design("iFCN (FCN-8s)", TwoClicks(), fcn),
        Design("Latent Diversity (context network)", TwoClicks(), _diverse_context, diverse_loss),
        Design("Deep GrabCut (encoder-decoder)", BoxDistance(), encoder_decoder),
        Design("DEXTR (ResNet-101)", ExtremePoints(), PyramidResNet),
        Design("BIFSeg (P-Net)", _BOX_AND_SQUIGGLE, PNet, refined=True),
        network("NuClick's signals (the paper's network)", "nuclick", kind),
    )


_BOX_AND_SQUIGGLE = BoxCrop(action="a box and a squiggle")
DESIGNS: Mapping[ObjectKind, Sequence[Design]] = {kind: _designs(kind) for kind in ObjectKind}
"""By kind of object. The last one sees what NuClick sees, with the network and the training of the others; three have
another network, from random weights."""
WITHOUT_EXCLUSION = Design("NuClick's signals without exclusion maps", GuidingSignals(alone=True), _network)
"""For nuclei."""
ON_OWN_NETWORKS: Mapping[ObjectKind, Sequence[Design]] = {kind: _of_own_network(kind) for kind in ObjectKind}
"""By kind of object: the same ideas, each on its own paper's network, from random weights."""
