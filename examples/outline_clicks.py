"""Outline clicks on a slide, and save the outlines as GeoJSON that QuPath imports.

    python examples/outline_clicks.py outlines.geojson                         # on the demo's slide
    python examples/outline_clicks.py outlines.geojson --slide a.svs --prompts a.csv

A file of prompts is a table or GeoJSON (docs/tables.md).
"""

import argparse
import sys
import uuid
from pathlib import Path

import nuclick_wsi as nw
from nuclick_wsi.demo import make_demo
from nuclick_wsi.slides.pixel_sizes import resolve_pixel_size
from nuclick_wsi.slides.slide import Frame

DEMO_CLICKS = [(421.2, 46.3), (455.4, 66.8), (9000.0, 66.8)]
"""Two in nuclei, and one outside the slide, which is rejected."""


def demo_prompts() -> nw.PromptSet:
    """Return the clicks as prompts, with ids that come of the clicks: a second run then finds nothing new."""
    return nw.PromptSet.of(
        nw.Prompt(str(uuid.uuid5(uuid.NAMESPACE_OID, str(at))), nw.ObjectKind.NUCLEUS, nw.Click(nw.Point(*at)))
        for at in DEMO_CLICKS
    )


def main() -> None:
    """Read slide and prompts, outline, and say what became of each prompt."""
    parser = argparse.ArgumentParser(description="Outline clicks on a slide.")
    parser.add_argument("out", type=Path, help="the .geojson to write")
    parser.add_argument("--slide", type=Path, help="the slide; without it, the demo's")
    parser.add_argument("--prompts", type=Path, help="a table or GeoJSON of marks on the slide")
    options = parser.parse_args()
    if (options.slide is None) != (options.prompts is None):
        parser.error("--slide and --prompts go together")

    path = options.slide or make_demo(Path("nuclick-demo")).parent / "slides" / "colon_ihc.svs"
    # As QuPath counts positions: from the corner of the scanned part, where the file says which that is.
    with nw.open_slide(path, frame=Frame.BOUNDS) as slide:
        size = resolve_pixel_size(slide.info).size
        prompts = nw.read_prompts(options.prompts, slide=path, pixel_size=size) if options.prompts else demo_prompts()
        outcome = nw.segment(slide, prompts, nw.ModelRegistry(), size)
    for instance in outcome.instances:
        print(f"{instance.kind}: {instance.area_um2:.1f} um2, probability {instance.mean_probability:.2f}")
    for rejection in outcome.rejections:
        print(f"{rejection.kind}: {rejection.reason} ({rejection.detail})")
    print("Outlines:", nw.write_results(options.out, outcome.instances, source=str(path)).path)


if __name__ == "__main__":
    try:
        main()
    except nw.NuclickError as error:
        sys.exit(str(error))
