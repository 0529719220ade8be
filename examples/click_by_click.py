"""Mark objects one after the other, as an interactive program does, and take a mark back.

    python examples/click_by_click.py [labels.png]        # on the picture of the demo

With a name, a picture of the outlines' labels is written there, in shades of grey.
"""

import sys
from pathlib import Path

from PIL import Image
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.demo import PIXEL_SIZE, make_demo

CLICKS = [(421.2, 46.3), (455.4, 66.8)]


def one_after_the_other(folder: Path, models: nw.ModelRegistry) -> None:
    """Click on the demo's slide, and print what each click has come to."""
    with nw.open_slide(make_demo(folder).parent / "slides" / "colon_ihc.svs") as slide:
        session = nw.Session(slide, models)
        for click in CLICKS:
            found = session.click(*click)
            print(f"{found.area_um2:.1f} um2" if isinstance(found, nw.Instance) else found.reason)
        session.undo()
        print("after undo:", len(session.outcome.instances))


def main() -> None:
    """Click on a slide, then on a picture in memory."""
    models = nw.ModelRegistry()
    one_after_the_other(Path("nuclick-demo"), models)
    labels, objects, _ = nw.segment_image(immunohistochemistry(), CLICKS, PIXEL_SIZE.mean, models=models)
    print("on the picture:", len(objects))
    if len(sys.argv) > 1:
        Image.fromarray((labels * (255 // len(CLICKS))).astype("uint8")).save(sys.argv[1])


if __name__ == "__main__":
    main()
