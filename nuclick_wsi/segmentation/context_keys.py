"""What a result cache needs to know beside a prompt and its inputs: one key for each kind of object."""

from collections.abc import Iterable

from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.result_cache import context_key
from nuclick_wsi.slides.slide import Frame


def context_keys(
    registry: ModelRegistry, kinds: Iterable[ObjectKind], fingerprint: str, reader: str, frame: Frame
) -> dict[ObjectKind, bytes]:
    """Return the context key of each kind of object, with its model loaded; the parameters are `context_key`'s."""
    return {kind: context_key(fingerprint, reader, frame, registry.model(kind).sha256) for kind in kinds}
