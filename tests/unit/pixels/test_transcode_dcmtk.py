"""dcmtk, the toolkit that most of the field is built on, reads what we compress and gives the same pixels."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.data.real import content_of

from ithil.dicom import uids
from ithil.pixels.syntaxes import JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR
from ithil.pixels.transcode import transcode

PROGRAMS = {
    uids.RLE: "dcmdrle",
    JPEG_LOSSLESS: "dcmdjpeg",
    JPEG_LOSSLESS_SV1: "dcmdjpeg",
    JPEG_EXTENDED: "dcmdjpeg",
    JPEG_LS: "dcmdjpls",
    JPEG_LS_NEAR: "dcmdjpls",
    uids.EXPLICIT_BIG: "dcmconv",
    uids.DEFLATED: "dcmconv",
    uids.IMPLICIT_LITTLE: "dcmconv",
}
FILES = (
    "pydicom/CT_small.dcm",
    "pydicom-data/SC_rgb.dcm",
    "pydicom-data/SC_rgb_16bit_2frame.dcm",
    "pydicom-data/emri_small.dcm",
    "pydicom-data/SC_ybr_full_uncompressed.dcm",
    "pydicom-data/OBXXXX1A.dcm",
    "pydicom/SC_rgb_small_odd.dcm",
)


def decoded(content: bytes, program: str, folder: Path) -> pydicom.Dataset:
    """What a program of dcmtk makes of a file, in explicit little endian."""
    path = shutil.which(program)
    assert path is not None, "dcmtk is not installed: run `make test`, which installs it"
    (folder / "coded.dcm").write_bytes(content)
    options = ["+te"] if program == "dcmconv" else ["+cn"] if program == "dcmdjpeg" else []
    command = [path, *options, str(folder / "coded.dcm"), str(folder / "plain.dcm")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return pydicom.dcmread(folder / "plain.dcm")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", sorted(PROGRAMS))
def test_dcmtk_gives_the_same_pixels(name: str, target: str, tmp_path: Path) -> None:
    content = content_of(name)
    plain = pydicom.dcmread(BytesIO(content))
    if target in (JPEG_EXTENDED, JPEG_LS_NEAR):
        if plain.SamplesPerPixel != 1 or plain.BitsStored > 12 or "Palette" in name or "OBX" in name:
            return
        after = decoded(transcode(content, target, quality=100), PROGRAMS[target], tmp_path)
        difference = after.pixel_array.astype(int) - plain.pixel_array
        assert np.abs(difference).max() <= (2 if target == JPEG_LS_NEAR else 40)
        return
    after = decoded(transcode(content, target), PROGRAMS[target], tmp_path)
    assert np.array_equal(after.pixel_array, plain.pixel_array)
    assert after.PhotometricInterpretation == plain.PhotometricInterpretation
