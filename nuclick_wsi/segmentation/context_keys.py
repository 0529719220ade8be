"""What a result cache needs to know beside a prompt and its inputs: one key for each kind of object."""

from collections.abc import Iterable

from nuclick_wsi.choices import Precision
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.result_cache import context_key
from nuclick_wsi.slides.slide import Frame


def context_keys(
    registry: ModelRegistry, kinds: Iterable[ObjectKind], fingerprint: str, reader: str, frame: Frame
) -> dict[ObjectKind, bytes]:
    """Return the context key of each kind of object, with its model loaded; the parameters are `context_key`'s."""
    return {kind: context_key(fingerprint, reader, frame, _network(registry, kind)) for kind in kinds}


def _network(registry: ModelRegistry, kind: ObjectKind) -> str:
    """Name the network of a kind: its file, and half precision and turns, whose results are others."""
    half = registry.compute.precision is Precision.HALF
    seen = (" in half precision" if half else "") + (" in eight ways" if registry.tta else "")
    return registry.model(kind).sha256 + seen
