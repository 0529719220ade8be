"""A hint for tables whose positions may be microns, where nothing says so: most clicks then find nothing."""

from collections.abc import Sequence

from nuclick_wsi.geometry import Region, Size
from nuclick_wsi.instances import PromptSet, Reason, Rejection
from nuclick_wsi.prompts import Role
from nuclick_wsi.scale import PixelSize

_FEWEST = 5
"""Prompts that a guess is made of, at least."""

HINT = (
    "half or more of its prompts found no object, and all lie in the part of the slide that they would fill if they "
    "were counted in um; if they are, name the columns x_um and y_um"
)


def hint_of_microns(
    prompts: PromptSet, rejections: Sequence[Rejection], size: Size, pixel_size: PixelSize
) -> str | None:
    """Return the hint where positions that were taken for pixels look like microns.

    Parameters
    ----------
    rejections
        Those of the same prompts.
    size
        Of the slide, in pixels of level 0, as the positions are.
    """
    wanted = [prompt for prompt in prompts.prompts if prompt.role is Role.SEGMENT]
    nothing = sum(one.reason is Reason.NO_OBJECT for one in rejections)
    if len(wanted) < _FEWEST or 2 * nothing < len(wanted) or pixel_size.mean >= 1:
        return None
    in_microns = Region(0, 0, size.width * pixel_size.x_um, size.height * pixel_size.y_um)
    inside = all(in_microns.contains(point) for prompt in wanted for line in prompt.signal.strokes for point in line)
    return HINT if inside else None
