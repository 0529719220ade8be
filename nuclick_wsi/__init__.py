"""Clicks and squiggles on a whole slide become exact outlines of nuclei, cells and glands.

The names below are the public interface. They are loaded when first used, so that importing the package, and with it
the command line, costs nothing.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from nuclick_wsi.choices import GlandMode as GlandMode
    from nuclick_wsi.choices import ObjectType as ObjectType
    from nuclick_wsi.choices import ReaderChoice as ReaderChoice
    from nuclick_wsi.errors import NuclickError as NuclickError
    from nuclick_wsi.formats.geojson import write_results as write_results
    from nuclick_wsi.formats.prompt_files import read_prompts as read_prompts
    from nuclick_wsi.geometry import Point as Point
    from nuclick_wsi.instances import Instance as Instance
    from nuclick_wsi.instances import PromptSet as PromptSet
    from nuclick_wsi.instances import Rejection as Rejection
    from nuclick_wsi.prompts import Click as Click
    from nuclick_wsi.prompts import ObjectKind as ObjectKind
    from nuclick_wsi.prompts import Prompt as Prompt
    from nuclick_wsi.prompts import Squiggle as Squiggle
    from nuclick_wsi.scale import PixelSize as PixelSize
    from nuclick_wsi.segmentation.engine import Outcome as Outcome
    from nuclick_wsi.segmentation.engine import segment as segment
    from nuclick_wsi.segmentation.image_outlines import ImageOutlines as ImageOutlines
    from nuclick_wsi.segmentation.image_outlines import segment_image as segment_image
    from nuclick_wsi.segmentation.model_registry import ModelRegistry as ModelRegistry
    from nuclick_wsi.segmentation.model_registry import Shelf as Shelf
    from nuclick_wsi.segmentation.session import Session as Session
    from nuclick_wsi.segmentation.settings import MaskSettings as MaskSettings
    from nuclick_wsi.segmentation.settings import Settings as Settings
    from nuclick_wsi.slides.readers import open_slide as open_slide

_HOMES = {
    "Click": "prompts",
    "GlandMode": "choices",
    "ImageOutlines": "segmentation.image_outlines",
    "Instance": "instances",
    "MaskSettings": "segmentation.settings",
    "ModelRegistry": "segmentation.model_registry",
    "NuclickError": "errors",
    "ObjectKind": "prompts",
    "ObjectType": "choices",
    "Outcome": "segmentation.engine",
    "PixelSize": "scale",
    "Point": "geometry",
    "Prompt": "prompts",
    "PromptSet": "instances",
    "ReaderChoice": "choices",
    "Rejection": "instances",
    "Session": "segmentation.session",
    "Settings": "segmentation.settings",
    "Shelf": "segmentation.model_registry",
    "Squiggle": "prompts",
    "open_slide": "slides.readers",
    "read_prompts": "formats.prompt_files",
    "segment": "segmentation.engine",
    "segment_image": "segmentation.image_outlines",
    "write_results": "formats.geojson",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("nuclick-wsi")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
