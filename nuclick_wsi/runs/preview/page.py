"""One HTML page of an image: the overview, crops of outlines and of rejections, each linked with its place.

The page is one file: pictures are inside, and it needs no network and no scripts. Everything from files of the user is
escaped.
"""

import base64
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.runs.preview.canvas import Canvas
from nuclick_wsi.runs.preview.crops import Crop
from nuclick_wsi.runs.preview.pictured import Pictured, told_sureness

MOST_ROWS = 500
"""Rejections in the page's table; the run record has all."""
_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Sheet:
    """Crops under one title; `of` is how many there are of what the title says, shown here or not."""

    title: str
    crops: Sequence[Crop]
    of: int

    @property
    def heading(self) -> str:
        """The title with how much of it is shown."""
        return (
            f"{self.title}: {len(self.crops)} of {self.of}" if len(self.crops) < self.of else f"{self.title}: {self.of}"
        )


@dataclass(frozen=True, slots=True)
class Page:
    """All that a page shows of one image."""

    pictured: Pictured
    overview: Canvas
    sheets: Sequence[Sheet]
    rejected: Sheet

    def html(self, folder: Path) -> bytes:
        """Return the page as UTF-8; links to files are as seen from the folder where it will lie."""
        name = escape(self.pictured.name)
        body = "\n".join([*self._head(folder), *self._map(), *self._sheets(), *self._rejections()])
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">\n"
            f"<title>{name}: outlines</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
        ).encode()

    def _head(self, folder: Path) -> Iterator[str]:
        pictured, info = self.pictured, self.pictured.slide.info
        yield f"<h1>{escape(self.pictured.name)}</h1>"
        yield (
            f"<p>{len(pictured.instances)} outlines, {len(pictured.rejections)} rejected prompts. "
            f"Outlines: {_file_link(self.pictured.result, folder)}. Slide: {escape(info.path.name)}, "
            f"{info.size.width} x {info.size.height} px. Places are x and y in its pixels, from the top left.</p>"
        )
        links = [f'<a href="#s{number}">{escape(sheet.heading)}</a>' for number, sheet in enumerate(self.sheets)]
        links += ['<a href="#rejections">Rejected prompts</a>'] if pictured.rejections else []
        yield f"<nav>{' '.join(links)}</nav>"

    def _map(self) -> Iterator[str]:
        """Yield the overview, with a marker for everything that has a crop below."""
        yield '<h2 id="overview">Overview</h2>'
        yield "<p>A marker leads to its crop, and the place under a crop to its marker.</p>"
        yield f'<div class="map">{_image(self.overview.picture(), "overview of all outlines and prompts")}'
        width, height = self.overview.size
        for crop in _once([*self.sheets, self.rejected]):
            x, y = self.overview.place_of(crop.place)
            key = escape(crop.shown.prompt_id)
            kind = "marker rejected" if isinstance(crop.shown, Rejection) else "marker"
            yield (
                f'<a class="{kind}" id="p-{key}" href="#c-{key}" title="{escape(_what(crop))}" '
                f'style="left:{100 * x / width:.3f}%;top:{100 * y / height:.3f}%"></a>'
            )
        yield "</div>"

    def _sheets(self) -> Iterator[str]:
        seen: set[str] = set()
        for number, sheet in enumerate(self.sheets):
            yield f'<h2 id="s{number}">{escape(sheet.heading)}</h2>\n<div class="sheet">'
            for crop in sheet.crops:
                yield _figure(crop, is_first=crop.shown.prompt_id not in seen)
                seen.add(crop.shown.prompt_id)
            yield "</div>"

    def _rejections(self) -> Iterator[str]:
        rejections = self.pictured.rejections
        if not rejections:
            return
        yield f'<h2 id="rejections">Rejected prompts: {len(rejections)}</h2>\n<div class="sheet">'
        yield from (_figure(crop, is_first=True) for crop in self.rejected.crops)
        yield "</div>\n<table>\n<tr><th>object<th>class<th>place<th>reason<th>what was seen<th>prompt</tr>"
        shown = {crop.shown.prompt_id for crop in self.rejected.crops}
        for one in rejections[:MOST_ROWS]:
            yield _row(one, one.prompt_id in shown)
        yield "</table>"
        if len(rejections) > MOST_ROWS:
            yield f"<p>The other {len(rejections) - MOST_ROWS} are in the run record, and in the table beside it.</p>"


def _once(sheets: Iterable[Sheet]) -> list[Crop]:
    """Return the crops of all sheets, each prompt once."""
    return list({crop.shown.prompt_id: crop for sheet in sheets for crop in sheet.crops}.values())


def _figure(crop: Crop, is_first: bool) -> str:
    one, key = crop.shown, escape(crop.shown.prompt_id)
    lines = [escape(_what(crop))]
    if one.class_name is not None:
        lines.append(escape(one.class_name))
    lines.append(f'<a href="#p-{key}">x {crop.place.x:.0f}, y {crop.place.y:.0f}</a>')
    lines.append(f"<small>{key}</small>")
    anchor = f' id="c-{key}"' if is_first else ""
    return f"<figure{anchor}>{_image(crop.picture, _what(crop))}<figcaption>{'<br>'.join(lines)}</figcaption></figure>"


def _what(crop: Crop) -> str:
    one = crop.shown
    if isinstance(one, Instance):
        return f"{one.kind}, {told_sureness(one)}, {one.area_um2:.1f} µm²"
    return f"{one.kind or 'prompt'}: {one.reason}"


def _row(one: Rejection, has_crop: bool) -> str:
    place = f"{one.position.x:.0f}, {one.position.y:.0f}" if one.position else ""
    key = escape(one.prompt_id)
    cells = [
        escape(one.kind or ""),
        escape(one.class_name or ""),
        f'<a href="#p-{key}">{place}</a>' if has_crop else place,
        escape(one.reason),
        escape(one.detail),
        f'<a href="#c-{key}">{key}</a>' if has_crop else key,
    ]
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>"


def _image(picture: Image.Image, alt: str) -> str:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=_QUALITY)
    data = base64.b64encode(target.getvalue()).decode()
    return (
        f'<img alt="{escape(alt)}" width="{picture.width}" height="{picture.height}" '
        f'src="data:image/jpeg;base64,{data}">'
    )


def _file_link(path: Path, folder: Path) -> str:
    try:
        seen_from = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return escape(str(path))
    return f'<a href="{escape(quote(seen_from))}">{escape(path.name)}</a>'


_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:1560px;padding:0 1rem;
color:#1b1b1b;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}nav a{margin-right:1.2rem}
.map{position:relative;display:inline-block}.map img{display:block;max-width:100%;height:auto}
.marker{position:absolute;width:14px;height:14px;margin:-9px 0 0 -9px;border:2px solid #000;border-radius:50%;
outline:2px solid #fff;opacity:.55}
.marker.rejected{border-color:#d00}.marker:hover,.marker:focus{opacity:1}
.marker:target{opacity:1;border-color:#00c;width:34px;height:34px;margin:-19px 0 0 -19px;background:rgba(255,255,0,.25)}
.sheet{display:flex;flex-wrap:wrap;gap:10px}
figure{margin:0;width:240px;font-size:13px;border:2px solid transparent}figure:target{border-color:#00c;background:#ffc}
figure img{display:block}figcaption{padding:3px 4px;overflow-wrap:anywhere}small{color:#777}
table{border-collapse:collapse;margin-top:1rem}td,th{border:1px solid #ccc;padding:3px 8px;text-align:left;
overflow-wrap:anywhere}
"""
