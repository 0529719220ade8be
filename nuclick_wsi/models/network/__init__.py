"""Network architectures, by the name that a model's card gives.

A card's architecture and configuration make an untrained network.
"""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from nuclick_wsi.models.network.baselines import Baseline, BaselineConfig
from nuclick_wsi.models.network.efficientnet import Encoder
from nuclick_wsi.models.network.folding import fused
from nuclick_wsi.models.network.glance import STRIDE, EncodedBlocks, Glance, GlanceConfig
from nuclick_wsi.models.network.nuclick import MULTI_SCALE, NuClick, NuClickConfig
from nuclick_wsi.models.network.squiggle import SquiggleConfig, SquiggleNet

__all__ = [
    "ARCHITECTURES",
    "MULTI_SCALE",
    "STRIDE",
    "Baseline",
    "BaselineConfig",
    "EncodedBlocks",
    "Encoder",
    "Glance",
    "GlanceConfig",
    "NuClick",
    "NuClickConfig",
    "SquiggleConfig",
    "SquiggleNet",
    "build",
    "fused",
]


def _nuclick(config: Mapping[str, object]) -> nn.Module:
    return NuClick(NuClickConfig(**config))  # type: ignore[arg-type]


def _glance(config: Mapping[str, object]) -> nn.Module:
    return Glance(GlanceConfig(**config))  # type: ignore[arg-type]


def _squiggle(config: Mapping[str, object]) -> nn.Module:
    return SquiggleNet(SquiggleConfig(**config))  # type: ignore[arg-type]


def _baseline(design: str, config: Mapping[str, object]) -> nn.Module:
    return Baseline(BaselineConfig(design, **config))  # type: ignore[arg-type]


ARCHITECTURES: Mapping[str, Callable[[Mapping[str, object]], nn.Module]] = {
    "glance": _glance,
    "nuclick": _nuclick,
    "squiggle": _squiggle,
    **{design: partial(_baseline, design) for design in ("unet", "segnet", "fcn")},
}


def build(architecture: str, config: Mapping[str, object]) -> nn.Module:
    """Return an untrained network.

    Raises
    ------
    ValueError
        The architecture is unknown, or the configuration has an unknown or impossible entry.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture {architecture!r} is unknown; known are {', '.join(sorted(ARCHITECTURES))}")
    try:
        return ARCHITECTURES[architecture](config)
    except (TypeError, OverflowError, RuntimeError) as error:  # of another type, or too large for any memory
        seen = f"{dict(config)!r:.300}"
        raise ValueError(f"configuration {seen} does not fit architecture {architecture!r}: {error}") from error
