"""One frame in another transfer syntax: the same samples, in the order that the header tells."""

from __future__ import annotations

import numpy as np
import pytest
from tests.data.images import Pixels, encapsulated, header, native
from tests.data.real import content_of

from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.frame_bytes import read_frame
from ithil.pixels.frame_transcode import check, transcode_frame
from ithil.pixels.syntaxes import ENCODABLE, HTJ2K_LOSSLESS, JPEG_LOSSLESS, JPEG_LS, LOSSY_METHODS

LOSSLESS = sorted(ENCODABLE - set(LOSSY_METHODS))


def stored_frame(one: Pixels, number: int = 0) -> bytes:
    return read_frame(one.description, one.index, number, lambda start, end: one.content[start:end])


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("name", ["CT_small", "MR_small_RLE", "US1_J2KR", "SC_rgb_rle", "693_J2KR"])
def test_codings_without_loss_keep_every_sample(name: str, syntax: str) -> None:
    file = next((one for one in (f"pydicom/{name}.dcm", f"pydicom-data/{name}.dcm") if _is_there(one)), None)
    assert file is not None
    one = Pixels(content_of(file))
    frame = transcode_frame(one.description, stored_frame(one), syntax)
    native_before = transcode_frame(one.description, stored_frame(one), EXPLICIT_LITTLE)
    description = one.description
    again = Pixels(
        encapsulated(
            header(
                description.rows, description.columns, description.bits_allocated,
                samples=description.samples, stored=description.bits_stored, signed=int(description.signed),
                photometric="RGB" if description.samples == 3 else "MONOCHROME2",
            ),
            [frame],
            syntax,
        )
    )  # fmt: skip
    assert transcode_frame(again.description, stored_frame(again), EXPLICIT_LITTLE) == native_before


def _is_there(name: str) -> bool:
    try:
        content_of(name)
    except KeyError:
        return False
    return True


def test_planes_stay_planes_as_the_header_says() -> None:
    planes = np.arange(2 * 3 * 3, dtype=np.uint8).tobytes()
    one = Pixels(native(header(2, 3, samples=3, planar=1), planes))
    assert transcode_frame(one.description, stored_frame(one), EXPLICIT_LITTLE) == planes


def test_what_is_valid_in_both_transfer_syntaxes_is_not_coded_again() -> None:
    one = Pixels(encapsulated(header(2, 2), [b"not a JPEG"], "1.2.840.10008.1.2.4.70"))
    assert transcode_frame(one.description, b"not a JPEG", JPEG_LOSSLESS) == b"not a JPEG"


def test_the_header_tells_what_cannot_be_done() -> None:
    video = Pixels(encapsulated(header(2, 2), [b"film"], "1.2.840.10008.1.2.4.102"))
    with pytest.raises(UnsupportedPixels):
        check(video.description, EXPLICIT_LITTLE, 90)
    bits = Pixels(native(header(8, 8, 1), bytes(8)))
    check(bits.description, EXPLICIT_LITTLE, 90)
    with pytest.raises(UnsupportedPixels):
        check(bits.description, HTJ2K_LOSSLESS, 90)
    wide = Pixels(native(header(2, 2, 32), bytes(16)))
    with pytest.raises(UnsupportedPixels):
        check(wide.description, JPEG_LS, 90)
