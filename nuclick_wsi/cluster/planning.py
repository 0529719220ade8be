"""From the prompts of an image to units of work: those of which no result is known, tile by tile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nuclick_wsi.cluster.work import Setup, Unit
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind, Prompt, Role
from nuclick_wsi.runs.opened_image import OpenedImage
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, View, plan_views
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.prompt_validation import refuse_duplicates, refuse_long_lines, refuse_misplaced
from nuclick_wsi.segmentation.result_cache import CacheLookup, ResultCache
from nuclick_wsi.segmentation.settings import mask_rule
from nuclick_wsi.segmentation.tiles import plan_tiles
from nuclick_wsi.slides.resample import grid_for

_CELL = 512
"""Side in grid pixels of the lattice by which prompts are kept together, as they share what is read and encoded."""
_PIXELS = 128 * 128 * 128
"""Of all crops of a unit: two seconds of work or so on one core, which is much more than sending it takes."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Divides the work on one image.

    Attributes
    ----------
    slide
        The slide's path as the workers have it.
    cache
        What is known already.
    """

    opened: OpenedImage
    registry: ModelRegistry
    setup: Setup
    slide: str
    cache: ResultCache

    def units(self) -> Iterator[Unit]:
        """Yield the units of all kinds of object, one after the other, each made when it is asked for."""
        kept, _ = refuse_misplaced(self.opened.image.prompts.prompts, self.opened.slide.info)
        for kind in sorted({prompt.kind for prompt in kept if prompt.role is Role.SEGMENT}):
            yield from self._units_of(kind, [prompt for prompt in kept if prompt.kind is kind])

    def _units_of(self, kind: ObjectKind, prompts: Sequence[Prompt]) -> Iterator[Unit]:
        card = self.registry.card(kind)
        grid = grid_for(self.opened.slide.info, self.opened.pixel_size, card.mpp)
        # As the engine does it; a prompt that is kept here and not there costs time and changes nothing.
        short, _ = refuse_long_lines(prompts, grid, card.crop_size)
        kept, _ = refuse_duplicates(short, grid)
        field = SignalField(kept)
        for views in _parts(self._missing(field, grid, card)):
            yield self._unit(kind, field, views)

    def _missing(self, field: SignalField, grid: Grid, card: ModelCard) -> list[View]:
        """Return the views of the prompts of which no result is known."""
        rule = mask_rule(card, self.setup.settings.masks, grid)
        views = plan_views(field, grid, CropSpec(card.crop_size, card.mpp), self.setup.settings.gland_mode)
        return CacheLookup.of(self.cache, field, views, grid, rule).missing

    def _unit(self, kind: ObjectKind, field: SignalField, views: Sequence[View]) -> Unit:
        wanted = {view.prompt for view in views}
        sent = sorted(wanted | field.around(views))
        places = {index: place for place, index in enumerate(sent)}
        return Unit(
            setup=self.setup,
            slide=self.slide,
            frame=self.opened.image.frame,
            pixel_size=self.opened.pixel_size,
            kind=kind,
            prompts=tuple(field.prompts[index] for index in sent),
            wanted=tuple(places[index] for index in sorted(wanted)),
        )


def _parts(views: Sequence[View]) -> Iterator[list[View]]:
    """Yield all views of some prompts, neighbouring tiles together, until a part has enough to do."""
    own: dict[int, list[View]] = {}
    for view in views:
        own.setdefault(view.prompt, []).append(view)
    part: list[View] = []
    done: set[int] = set()
    for tile in plan_tiles(views, _CELL):
        for prompt in dict.fromkeys(view.prompt for view in tile.views):
            if prompt not in done:  # a gland with several views may lie in several tiles
                done.add(prompt)
                part += own[prompt]
        if sum(view.window.width**2 for view in part) >= _PIXELS:
            yield part
            part = []
    if part:
        yield part
