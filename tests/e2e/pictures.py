"""Pictures that can be told from each other on a screen: a real CT slice in its eight orientations.

Their content is that of a patient's head, so a viewer windows and scales them like any other; which of them a
canvas shows, and whether it is one of them at all, is told by correlation.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from tests.data.real import path_of

Pixels = npt.NDArray[np.float64]

SLICES = 8
STUDY = generate_uid(entropy_srcs=["ithil", "orientations"])
SERIES = generate_uid(entropy_srcs=["ithil", "orientations", "1"])

SAME = 0.97
"""Correlation from which on two pictures are the same; those of two orientations have less than 0.6."""

_SIDE = 64


def slices() -> list[bytes]:
    """The files of a series of `SLICES` slices, from top to bottom as viewers show them."""
    return [_file(number) for number in range(SLICES)]


def expected() -> list[Pixels]:
    """What the slices look like in their own window, small."""
    return [look(dataset(content)) for content in slices()]


def dataset(content: bytes) -> FileDataset:
    return pydicom.dcmread(io.BytesIO(content))


def look(image: FileDataset) -> Pixels:
    """A CT slice in its own window, small (PS3.3 C.11.2)."""
    values = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    centre, width = float(image.WindowCenter), float(image.WindowWidth)
    grey = np.clip((values - centre + 0.5) / (width - 1) + 0.5, 0, 1) * 255
    return small(Image.fromarray(grey.astype(np.uint8)))


def small(picture: Image.Image) -> Pixels:
    """The largest square in the middle of a picture, where a viewer shows a square image, as few grey pixels."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.convert("L").crop((left, top, left + side, top + side))
    return np.asarray(square.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)


def likeness(one: Pixels, other: Pixels) -> float:
    """How much two pictures are alike: their correlation, 0 if one of them is of one colour."""
    if one.std() < 1 or other.std() < 1:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _file(number: int) -> bytes:
    image = pydicom.dcmread(path_of("pydicom-data/693_UNCR.dcm"))
    pixels = image.pixel_array[:, ::-1] if number >= 4 else image.pixel_array
    x, y, _ = image.ImagePositionPatient
    image.PatientName, image.PatientID = "Slices^Eight", "EIGHT"
    image.StudyDate, image.StudyDescription = "20240305", "Orientations"
    image.StudyInstanceUID, image.SeriesInstanceUID = STUDY, SERIES
    image.SOPInstanceUID = generate_uid(entropy_srcs=["ithil", "orientations", "1", str(number)])
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.InstanceNumber = number + 1
    image.ImagePositionPatient = [x, y, -5.0 * number]
    image.SliceLocation = -5.0 * number
    image.PixelData = np.ascontiguousarray(np.rot90(pixels, number % 4)).tobytes()
    file = io.BytesIO()
    image.save_as(file)
    return file.getvalue()
