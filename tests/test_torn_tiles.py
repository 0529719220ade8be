"""A JPEG tile that is damaged inside costs the prompts that need it, as a tile that cannot be read does."""

import random
from contextlib import suppress
from pathlib import Path

import pytest
import tifffile
from dark_segmenter import DarkSegmenter, card
from made_slides import noise, smooth_image
from test_engine import click

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import PromptSet, Reason
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.segmenter import FixedSegmenters
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.readers import open_slide

pytest.importorskip("simplejpeg", reason="without simplejpeg nobody looks at JPEG tiles")
TILE = 256


def damage(path: Path, tile: int, seed: int) -> None:
    """Overwrite 40 bytes inside a tile of the first picture; its length stays."""
    chance = random.Random(seed)
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[0].dataoffsets[tile], file.pages[0].databytecounts[tile]
    with path.open("rb+") as file:
        file.seek(start + chance.randrange(700, length - 60))
        file.write(chance.randbytes(40))


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "a.svs"
    write_pyramid(path, noise(4 * TILE, 4 * TILE), PixelSize(0.25, 0.25))
    return path


@pytest.mark.parametrize("reader", [ReaderChoice.OPENSLIDE, ReaderChoice.TIFFSLIDE])
def test_only_what_touches_the_damaged_tile_cannot_be_read(reader: ReaderChoice, slide: Path) -> None:
    damage(slide, 5, seed=1)
    with open_slide(slide, reader=reader) as opened:
        opened.read(0, 0, 0, Size(TILE, 4 * TILE))
        opened.read(0, 2 * TILE, TILE, Size(2 * TILE, 2 * TILE))
        with pytest.raises(SlideError, match=r"the JPEG tile at x 256, y 256 is damaged \(Corrupt JPEG data"):
            opened.read(0, 2 * TILE - 1, TILE, Size(10, 10))
        opened.read(1, 0, 0, Size(100, 100))  # another level has tiles of its own


def test_prompts_on_a_damaged_tile_are_rejected_by_name_and_others_are_not(slide: Path) -> None:
    damage(slide, 5, seed=1)
    torn, whole = click(1.5 * TILE, 1.5 * TILE), click(3.5 * TILE, 3.5 * TILE)
    segmenters = FixedSegmenters({ObjectKind.NUCLEUS: DarkSegmenter(card(ObjectKind.NUCLEUS, 64, 0.25))})
    with open_slide(slide) as opened:
        outcome = segment(opened, PromptSet((torn, whole)), segmenters, PixelSize(0.25, 0.25))
    assert [one.prompt_id for one in outcome.rejections if one.reason is Reason.UNREADABLE] == [torn.id]


def test_no_tile_of_a_whole_slide_is_called_damaged(tmp_path: Path) -> None:
    for number, image in enumerate((noise(700, 500), smooth_image(700, 500))):
        path = tmp_path / f"{number}.svs"
        write_pyramid(path, image, PixelSize(0.25, 0.25))
        with open_slide(path) as opened:
            for level, known in enumerate(opened.info.levels):
                opened.read(level, 0, 0, known.size)


def test_a_slide_that_has_vanished_since_it_was_opened_is_left_to_its_reader(slide: Path) -> None:
    with open_slide(slide, reader=ReaderChoice.TIFFSLIDE) as opened:
        slide.unlink()
        with suppress(SlideError):  # pixels, where the reader has the file open
            opened.read(0, 0, 0, Size(TILE, TILE))


def test_most_damage_is_noticed(slide: Path) -> None:
    """Not all of it: a decoder that finds its way back into the bits has nothing to warn of."""
    noticed, whole = 0, slide.read_bytes()
    for seed in range(40):
        slide.write_bytes(whole)
        damage(slide, seed % 16, seed)
        with open_slide(slide) as opened:
            try:
                opened.read(0, 0, 0, Size(4 * TILE, 4 * TILE))
            except SlideError:
                noticed += 1
    assert noticed > 20
