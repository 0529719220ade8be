"""The settings of a run, and how they combine with those of a model's card."""

from dataclasses import dataclass

from nuclick_wsi.accepted import one_of
from nuclick_wsi.choices import GlandMode
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Area, AreaUnit, Grid
from nuclick_wsi.segmentation.masks import MaskRule

SLIP_UM = 1.0
"""How far beside its object a click may fall and still find it; a squiggle is drawn through its gland."""

TOLERANCE = 0.1
"""How far outlines may leave the threshold, in pixels of the network's grid, unless told otherwise."""

_LARGEST_TOLERANCE = 1.0


@dataclass(frozen=True, slots=True)
class MaskSettings:
    """How a probability map becomes a mask; None takes what the model's card says. Areas may be texts, as `8um2`."""

    threshold: float | None = None
    smallest: Area | None = None
    fill_holes: Area | None = None

    def __post_init__(self) -> None:
        for name in ("smallest", "fill_holes"):
            if isinstance(text := getattr(self, name), str):
                object.__setattr__(self, name, Area.parse(text))
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise SettingsError(f"The threshold is a probability between 0 and 1, such as 0.5, not {self.threshold}.")


@dataclass(frozen=True, slots=True)
class OutlineSettings:
    """Which geometry outlines have.

    An outline follows the threshold between pixels of the network's grid, with no more vertices than it takes to stay
    within `tolerance` of it, in such pixels; 0 keeps every vertex that is not on a straight line. Or it runs along the
    edges of its mask's pixels, which it covers exactly.
    """

    tolerance: float = TOLERANCE
    pixel_edges: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance <= _LARGEST_TOLERANCE:
            raise SettingsError(
                f"The tolerance of outlines is a number of the network's pixels from 0 to {_LARGEST_TOLERANCE:g}, "
                f"such as 0.1, not {self.tolerance}."
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run may choose. The last two decide how fast it is, and no result."""

    masks: MaskSettings = MaskSettings()
    gland_mode: GlandMode = GlandMode.CROP
    outlines: OutlineSettings = OutlineSettings()
    tile_size: int = 1024
    """Side of a unit of reading in grid pixels: what is decoded of a slide at once."""
    workers: int = 2
    """Threads that read ahead of the network, and as many that trace behind it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gland_mode", one_of(GlandMode, self.gland_mode, "The mode of glands"))


def mask_rule(card: ModelCard, masks: MaskSettings, grid: Grid) -> MaskRule:
    """Return the rule in pixels of the grid: the settings where given, else the card."""
    smallest = masks.smallest or Area(card.smallest_um2, AreaUnit.SQUARE_MICRONS)
    holes = masks.fill_holes or Area(card.fill_holes_um2, AreaUnit.SQUARE_MICRONS)
    threshold = card.threshold if masks.threshold is None else masks.threshold
    # A squiggle goes through its gland, and often beyond; a line through a nucleus or cell is there to say what it is.
    clicked = card.kind is not ObjectKind.GLAND
    reach_px = grid.um_to_px(SLIP_UM) if clicked else 0
    return MaskRule(threshold, smallest.in_pixels(grid), holes.in_pixels(grid), reach_px, clicked)
