"""Every real file with pixels, against pydicom's own decoders, sample for sample."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from tests.data.images import Pixels
from tests.data.real import all_files, content_of

from ithil.dicom.errors import DicomError
from ithil.dicom.scan import scan
from ithil.pixels.colour import to_rgb
from ithil.pixels.decode import photometric_of_decoded
from ithil.pixels.errors import PixelError

MOST_FRAMES = 4

# What nobody decodes, and why.
DAMAGED = {
    "pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm": DicomError,
    "pydicom/JPEG2000-embedded-sequence-delimiter.dcm": PixelError,
    "pydicom/MR_truncated.dcm": DicomError,
}
# What pydicom does not decode here: no transfer syntax, a Number of Frames that is none, JPEG of 12 bits.
ONLY_HERE = {
    "pydicom-data/OT-PAL-8-face.dcm",
    "pydicom/badVR.dcm",
    "pydicom/JPEG-lossy.dcm",
    "pydicom/JPGExtended.dcm",
}


def _with_pixels() -> list[str]:
    names = []
    for name, path in all_files().items():
        try:
            found = scan(path.read_bytes(), frozenset())
        except DicomError:
            continue
        if found.has_pixel_data and found.rows:
            names.append(name)
    return names


NAMES = _with_pixels()


def test_there_are_many() -> None:
    assert len(NAMES) > 150


@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_damaged_files_are_refused(name: str) -> None:
    with pytest.raises(DAMAGED[name]):
        Pixels(content_of(name)).frame()


@pytest.mark.parametrize("name", sorted(ONLY_HERE))
def test_files_that_pydicom_refuses(name: str) -> None:
    pixels = Pixels(content_of(name))
    assert pixels.frame().shape == (pixels.description.rows, pixels.description.columns)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {*DAMAGED, *ONLY_HERE}])
def test_as_pydicom_decodes_it(name: str) -> None:
    pixels = Pixels(content_of(name))
    description = pixels.description
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(all_files()[name], force=True).pixel_array
    if description.frames == 1:
        theirs = theirs.reshape(1, *theirs.shape) if theirs.shape[0] != 1 or theirs.ndim == 2 else theirs
    assert pixels.index.count == len(theirs)
    for number in range(min(MOST_FRAMES, len(theirs))):
        ours = pixels.frame(number)
        if photometric_of_decoded(description).startswith("YBR"):
            ours = to_rgb(description, ours)
        np.testing.assert_array_equal(ours, theirs[number])
        assert ours.dtype == theirs.dtype.newbyteorder("=")
