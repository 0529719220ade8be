"""Slides of which OpenSlide would end the program that opens them are tried in a process of their own first."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from forged_slides import Files, mirax, sakura, vms, write_files
from made_slides import RAW, TILED, smooth_image, write_leica
from PIL import Image

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.readers import open_slide, survival
from nuclick_wsi.slides.readers.openslide_reader import library_file
from nuclick_wsi.slides.readers.survival import require_survival
from nuclick_wsi.slides.readers.tiff_content import examine_tiff

pytestmark = pytest.mark.skipif(library_file() is None, reason="needs OpenSlide")


def test_a_mirax_slide_opens(tmp_path: Path) -> None:
    with open_slide(write_files(tmp_path, mirax())) as slide:
        assert slide.info.size == Size(128, 128)
        assert np.ptp(slide.read(0, 0, 0, Size(64, 64))) > 20


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize(
    "files",
    [
        vms(NoJpegColumns=46_000, NoJpegRows=46_000),
        mirax(IMAGENUMBER_X=46_000, IMAGENUMBER_Y=46_000),
        mirax(IMAGENUMBER_X=20_000, IMAGENUMBER_Y=20_000),
    ],
)
def test_a_slide_that_would_end_the_program_is_refused(files: Files, tmp_path: Path) -> None:
    path = write_files(tmp_path, files)
    with pytest.raises(SlideError, match=r"openslide: is damaged or forged: .*SIGABRT: .*allocat"):
        open_slide(path)


def test_a_trial_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless.py").write_text("while True: pass")
    monkeypatch.setattr(survival, "_SCRIPT", tmp_path / "endless.py")
    monkeypatch.setattr(survival, "_PATIENCE", 0.3)
    with pytest.raises(SlideError, match=r"does not come to an end in 0 s"):
        require_survival(write_files(tmp_path, sakura()))


def tries(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list to which every trial adds its slide."""
    tried: list[Path] = []
    once = survival._try

    def seen(library: str, path: Path) -> None:
        tried.append(path)
        once(library, path)

    monkeypatch.setattr(survival, "_try", seen)
    return tried


def test_slides_whose_tags_were_checked_and_plain_pictures_need_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = tries(monkeypatch)
    image = smooth_image(256, 256)
    tifffile.imwrite(tmp_path / "a.tif", image, **{**TILED, "tile": (128, 128)})
    tifffile.imwrite(tmp_path / "b.tif", image, description="Aperio Image Library", **{**RAW, "tile": (128, 128)})
    tifffile.imwrite(tmp_path / "c.tif", image, **RAW)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image).save(tmp_path / "a.jpg")
    for path in sorted(tmp_path.iterdir()):
        open_slide(path).close()
    assert tried == []


@pytest.mark.parametrize(
    "tags",
    [
        {"software": "Philips IntelliSite"},
        {"software": "MedScan"},
        {"extratags": [(700, 1, 20, b"<iScan AOIScanned=9/>"[:20], True)]},
        {"extratags": [(65420, 4, 1, 1, True)]},
    ],
)
def test_files_that_openslide_reads_by_xml_or_a_makers_tags_are_tried(tags: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth_image(256, 256), **{**RAW, "tile": (128, 128), **tags})
    assert not examine_tiff(path).is_usual


def test_leicas_slides_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = tries(monkeypatch)
    write_leica(tmp_path / "a.scn", smooth_image(256, 256), (64, 64), Size(1024, 1024))
    open_slide(tmp_path / "a.scn").close()
    assert tried == [tmp_path / "a.scn"]


def test_another_reader_needs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = tries(monkeypatch)
    (tmp_path / "a.svs").write_text(json.dumps("no slide"))
    with pytest.raises(SlideError):
        open_slide(tmp_path / "a.svs", reader=ReaderChoice.TIFFSLIDE)
    assert tried == []
