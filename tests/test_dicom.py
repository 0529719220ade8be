"""Whole-slide images in DICOM, through OpenSlide: a file for each level, made here with pydicom."""

import io
from pathlib import Path

import numpy as np
import pytest
from made_slides import shrunk, smooth_image
from PIL import Image

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers import open_slide

pydicom = pytest.importorskip("pydicom", reason="needs pydicom")

TILE = 128
PICTURE = smooth_image(512, 384)
SERIES = "1.2.826.0.1.3680043.8.498.1"


def write_level(path: Path, image: np.ndarray, microns: float) -> None:
    """Write one level of a slide, the least that the standard asks for."""
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415
    from pydicom.encaps import encapsulate  # noqa: PLC0415
    from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage  # noqa: PLC0415

    frames = frames_of(image)
    level, measures, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [microns / 1000] * 2
    shared.PixelMeasuresSequence = [measures]
    level.file_meta = FileMetaDataset()
    level.file_meta.MediaStorageSOPClassUID = level.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    level.file_meta.MediaStorageSOPInstanceUID = level.SOPInstanceUID = f"{SERIES}.{image.shape[0]}"
    level.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    level.SeriesInstanceUID, level.StudyInstanceUID = SERIES, f"{SERIES}.9"
    level.Modality, level.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    level.Rows = level.Columns = TILE
    level.TotalPixelMatrixRows, level.TotalPixelMatrixColumns = image.shape[:2]
    level.NumberOfFrames, level.DimensionOrganizationType = len(frames), "TILED_FULL"
    level.SamplesPerPixel, level.PhotometricInterpretation, level.PlanarConfiguration = 3, "YBR_FULL_422", 0
    level.BitsAllocated = level.BitsStored = 8
    level.HighBit, level.PixelRepresentation = 7, 0
    level.SharedFunctionalGroupsSequence = [shared]
    level.PixelData = encapsulate(frames)
    level["PixelData"].VR = "OB"
    level.save_as(path, enforce_file_format=True)


def frames_of(image: np.ndarray) -> list[bytes]:
    frames = []
    for top in range(0, image.shape[0], TILE):
        for left in range(0, image.shape[1], TILE):
            target = io.BytesIO()
            frame = np.full((TILE, TILE, 3), 255, np.uint8)
            part = image[top : top + TILE, left : left + TILE]
            frame[: part.shape[0], : part.shape[1]] = part
            Image.fromarray(frame).save(target, "jpeg", quality=98, subsampling=0)
            frames.append(target.getvalue())
    return frames


@pytest.mark.parametrize("named", ["fine.dcm", "coarse.dcm"])
def test_any_file_of_a_slide_opens_all_of_its_levels(tmp_path: Path, named: str) -> None:
    write_level(tmp_path / "fine.dcm", PICTURE, 0.25)
    write_level(tmp_path / "coarse.dcm", shrunk(PICTURE, 2), 0.5)
    with open_slide(tmp_path / named) as slide:
        assert slide.info.reader is ReaderChoice.OPENSLIDE
        assert slide.info.size == Size(512, 384)
        assert slide.info.pixel_size == PixelSize(0.25, 0.25)
        assert [level.downsample for level in slide.info.levels] == [1, 2]
        seen = slide.read(0, 0, 0, Size(512, 384)).astype(int)
        assert np.abs(seen - PICTURE).mean() < 3
