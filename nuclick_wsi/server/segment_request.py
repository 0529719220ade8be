"""Reading and checking a request for outlines: an image, prompts, neighbours and options.

How an image is described is the client's own: a function that reads its description is handed in.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from nuclick_wsi.choices import GlandMode, ModelTerms, ObjectType
from nuclick_wsi.errors import RequestError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.drawings import Drawing, Found, prompts_of_drawings
from nuclick_wsi.formats.prompt_geojson import drawings_of_content
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.prompts import Click, ObjectChoice, Role, cell_id
from nuclick_wsi.scale import Area, PixelSize
from nuclick_wsi.segmentation.settings import TOLERANCE, MaskSettings, OutlineSettings, Settings
from nuclick_wsi.slides.slide import Frame

MOST_POSITIONS = 250_000
"""Of the prompts and neighbours of a request: clicks, and the vertices of lines. They take some 300 MB in memory."""
_MOST_VALUES = 5_000_000
"""Of the JSON, counted by what stands between values, before any of them takes memory."""

_Json: TypeAlias = dict[str, Any]
_Choice = TypeVar("_Choice", bound=StrEnum)

_ENTRIES = ("image", "prompts", "points", "lines", "neighbours", "options", "class_colors")
_OPTIONS = ("object", "as", "gland_mode", "threshold", "smallest", "fill_holes", "tolerance", "pixel_edges", "terms")
_SPLIT = "Send the prompts in several requests, each with those around as neighbours."
_IMAGE = ("path", "builder", "width", "height", "pixel_size_um")


@dataclass(frozen=True, slots=True)
class ImageAsked:
    """A slide, where (0, 0) is on it, and what the client knows of it."""

    path: Path
    frame: Frame
    size: Size | None
    pixel_size: PixelSize | None


ReadImage: TypeAlias = Callable[[_Json], ImageAsked]
"""Reads a client's description of an image; raises `RequestError` where it is not a plain slide on this machine."""


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """Everything that one answer needs.

    Attributes
    ----------
    known
        The ids of all prompts that the drawings can stand for, of whatever kind of object and including neighbours.
        An outline with any other id belongs to a prompt that has been deleted.
    """

    image: ImageAsked
    prompts: PromptSet
    known: tuple[str, ...]
    as_type: ObjectType
    terms: ModelTerms
    settings: Settings
    class_colors: Mapping[str, Color]


def read_request(body: bytes, read_image: ReadImage) -> SegmentRequest:
    """Read the body of a request.

    Parameters
    ----------
    read_image
        Reads the entry `image.builder`.

    Raises
    ------
    RequestError
        It is not JSON, an entry is unknown, missing or impossible, or the image is not a plain slide.
    PromptError
        The prompts are not GeoJSON.
    """
    content = _parsed(body)
    _only(content, _ENTRIES, "the request")
    options = _table(content, "options")
    _only(options, _OPTIONS, "options")
    prompts, known = _prompts(content, _choice(options, "object", ObjectChoice, ObjectChoice.AUTO))
    return SegmentRequest(
        image=_image(content, read_image),
        prompts=prompts,
        known=known,
        as_type=_choice(options, "as", ObjectType, ObjectType.DETECTION),
        terms=_choice(options, "terms", ModelTerms, ModelTerms.ANY),
        settings=Settings(
            _masks(options), _choice(options, "gland_mode", GlandMode, GlandMode.CROP), _outlines(options)
        ),
        class_colors={**prompts.class_colors, **_colors(_table(content, "class_colors"))},
    )


def _parsed(body: bytes) -> _Json:
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise RequestError(f"The body holds more than {_MOST_VALUES:,} values. {_SPLIT}")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise RequestError(f"The body is a {type(content).__name__}, not an object with {', '.join(_ENTRIES)}.")
    return content


def _only(content: _Json, known: tuple[str, ...], place: str) -> None:
    if unknown := sorted(content.keys() - set(known)):
        raise RequestError(f"There is no {unknown[0]!r} in {place}; accepted are {', '.join(known)}.")


def _table(content: _Json, key: str) -> _Json:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise RequestError(f"{key} is {value!r:.60}, not an object.")
    return value


def _prompts(content: _Json, choice: ObjectChoice) -> tuple[PromptSet, tuple[str, ...]]:
    """Return the prompts with the neighbours behind them, and the ids of all that was drawn."""
    asked = _asked(content)
    beside = drawings_of_content(content.get("neighbours", []), "neighbours")
    together = (*asked.drawings, *(replace(drawing, is_beside=True) for drawing in beside.drawings))
    _require_few(together)
    prompts = Found(together, asked.left_alone, asked.class_colors).prompts(choice)
    known = [prompt.id for prompt in prompts.prompts]
    for left_alone in choice.left_alone:
        known += [prompt.id for prompt in prompts_of_drawings(together, left_alone).prompts]
    if choice is not ObjectChoice.CELL_AND_NUCLEUS:
        # An earlier request may have asked for a neighbour's cell too, whose outline stays.
        clicks = (prompt for prompt in prompts.prompts if isinstance(prompt.signal, Click))
        known += [cell_id(click.id) for click in clicks if click.role is Role.NEIGHBOUR]
    return prompts, tuple(dict.fromkeys(known))


def _require_few(drawings: Sequence[Drawing]) -> None:
    count = sum(len(part) for drawing in drawings for part in drawing.parts)
    if count > MOST_POSITIONS:
        raise RequestError(
            f"The request has {count:,} positions, clicks and vertices of lines together, neighbours included; up to "
            f"{MOST_POSITIONS:,} are taken at once. {_SPLIT}"
        )


def _asked(content: _Json) -> Found:
    """Return what was drawn: GeoJSON, or bare positions of clicks and of squiggles of one stroke."""
    parts = []
    if "prompts" in content:
        parts.append(drawings_of_content(content["prompts"], "prompts"))
    if "points" in content:
        parts.append(drawings_of_content({"type": "MultiPoint", "coordinates": content["points"]}, "points"))
    if "lines" in content:
        lines = content["lines"]
        if not isinstance(lines, list):
            raise RequestError(f"lines is {lines!r:.60}, not a list of lines, each [[x, y], [x, y], ...].")
        parts.append(drawings_of_content([{"type": "LineString", "coordinates": line} for line in lines], "lines"))
    if not parts:
        raise RequestError(
            'prompts is missing: a GeoJSON FeatureCollection, as QuPath exports it; or "points": [[x, y], ...] and '
            '"lines": [[[x, y], [x, y], ...], ...], in pixels of the full resolution.'
        )
    return sum(parts[1:], parts[0])


def _image(content: _Json, read_image: ReadImage) -> ImageAsked:
    """Return the image; what the client says of its size and pixel size counts more than its description."""
    image = {"path": content["image"]} if isinstance(content.get("image"), str) else _table(content, "image")
    _only(image, _IMAGE, "image")
    asked = _image_at(image["path"]) if "path" in image else read_image(_table(image, "builder"))
    if "width" in image or "height" in image:
        asked = replace(asked, size=Size(_whole(image, "width"), _whole(image, "height")))
    return replace(asked, pixel_size=_pixel_size(image) or asked.pixel_size)


def _image_at(path: object) -> ImageAsked:
    """Return a slide by its path; positions are counted as in QuPath, and as `run` does for files of prompts."""
    if not isinstance(path, str) or not Path(path).is_absolute():
        raise RequestError(f"image is {path!r:.200}, not the full path of a slide on this machine.")
    return ImageAsked(Path(path), Frame.BOUNDS, None, None)


def _whole(image: _Json, key: str) -> int:
    value = image.get(key)
    if not isinstance(value, int) or value < 1:
        raise RequestError(f"image.{key} is {value!r:.60}, not a number of pixels.")
    return value


def _pixel_size(image: _Json) -> PixelSize | None:
    value = image.get("pixel_size_um")
    if value is None:
        return None
    try:
        width, height = map(float, value)
        return PixelSize(width, height)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"image.pixel_size_um is {value!r:.60}, not [width, height] in microns.") from error


def _choice(options: _Json, key: str, choices: type[_Choice], default: _Choice) -> _Choice:
    value = options.get(key, default)
    try:
        return choices(value)
    except ValueError as error:
        raise RequestError(f"options.{key} is {value!r:.60}; accepted are {', '.join(choices)}.") from error


def _masks(options: _Json) -> MaskSettings:
    threshold = options.get("threshold")
    if threshold is not None and not isinstance(threshold, int | float):
        raise RequestError(f"options.threshold is {threshold!r:.60}, not a number.")
    return MaskSettings(threshold, _area(options, "smallest"), _area(options, "fill_holes"))


def _outlines(options: _Json) -> OutlineSettings:
    tolerance, pixel_edges = options.get("tolerance", TOLERANCE), options.get("pixel_edges", False)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise RequestError(f"options.tolerance is {tolerance!r:.60}, not a number of the network's pixels.")
    if not isinstance(pixel_edges, bool):
        raise RequestError(f"options.pixel_edges is {pixel_edges!r:.60}, not true or false.")
    return OutlineSettings(tolerance, pixel_edges)


def _area(options: _Json, key: str) -> Area | None:
    text = options.get(key)
    try:
        return None if text is None else Area.parse(str(text))
    except ValueError as error:
        raise RequestError(f"options.{key} is {text!r:.60}: {error}.") from error


def _colors(content: _Json) -> dict[str, Color]:
    colors = {}
    for name, value in content.items():
        parts = value if isinstance(value, list) else []
        if len(parts) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in parts):
            raise RequestError(f"class_colors.{name} is {value!r:.60}, not [red, green, blue] from 0 to 255.")
        colors[name] = (parts[0], parts[1], parts[2])
    return colors
