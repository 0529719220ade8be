"""Outline all prompts of a QuPath project, and write a table of areas; the project stays as it is.

    python examples/areas_of_project.py areas.csv [project.qpproj]             # else the demo's project

Each prompt is a line of the table, with an area or with the reason why it has none. Neither QuPath nor Java is needed.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import nuclick_wsi as nw
from nuclick_wsi.demo import make_demo
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.slides.pixel_sizes import resolve_pixel_size
from nuclick_wsi.slides.slide import Frame
from qupath_extension.project import ProjectImage, read_project


def rows_of(image: ProjectImage, models: nw.ModelRegistry) -> Iterator[tuple[object, ...]]:
    """Yield a line for each prompt on an image: nuclei for points, glands for lines."""
    prompts = image.prompts(ObjectChoice.AUTO)
    if not prompts.prompts:
        return
    if image.refusal is not None:
        raise nw.NuclickError(image.refusal)
    # QuPath may count positions from where the scanned part of a slide starts.
    frame = Frame.BOUNDS if image.server.crops_to_bounds else Frame.FULL
    with nw.open_slide(image.find_slide(), frame=frame) as slide:
        outcome = nw.segment(slide, prompts, models, resolve_pixel_size(slide.info, image.pixel_size).size)
    for one in outcome.instances:
        yield image.name, one.prompt_id, one.kind, one.class_name, round(one.area_um2, 2), None
    for none in outcome.rejections:
        yield image.name, none.prompt_id, none.kind, none.class_name, None, none.reason


def main(out: Path, project: Path | None = None) -> None:
    """Go through the images of a project, and write the table."""
    if out.exists():
        sys.exit(f"{out} is there already: name another file.")
    models, rows = nw.ModelRegistry(), []
    for image in read_project(project or make_demo(Path("nuclick-demo"))).images:
        try:
            rows += list(rows_of(image, models))
        except nw.NuclickError as error:
            print(f"{image.name}: {error}", file=sys.stderr)
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "prompt", "kind", "class", "area_um2", "no outline"), *rows])
    print("Areas:", out)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: areas_of_project.py OUT.csv [PROJECT.qpproj]")
    try:
        main(*map(Path, sys.argv[1:]))
    except nw.NuclickError as error:
        sys.exit(str(error))
