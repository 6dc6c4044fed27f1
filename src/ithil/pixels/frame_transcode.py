"""One frame in another transfer syntax, on its own, as DICOMweb gives frames (PS3.18 10.4).

No header goes with such a frame: the client has it already, as it is stored. So native samples lie in the
order that the stored header tells (Planar Configuration), and colours that a codec transforms come out as RGB.
"""

from __future__ import annotations

import numpy as np

from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.pixels.decode import Samples, can_decode, decode_frame
from ithil.pixels.description import INTEGER, PixelDescription
from ithil.pixels.encode import encode, plan
from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.transcode import SAME_CODING, decoded_pixels, whole_cells


def check(description: PixelDescription, transfer_syntax: str, quality: int) -> None:
    """Raises UnsupportedPixels unless frames of these pixels can be had in a transfer syntax.

    The header alone decides; a damaged frame is found when it is coded.
    """
    if (description.syntax.uid, transfer_syntax) in SAME_CODING:
        return
    if not can_decode(description):
        raise UnsupportedPixels("There is no decoder for this transfer syntax")
    if transfer_syntax == EXPLICIT_LITTLE:
        return
    if description.kind != INTEGER:
        raise UnsupportedPixels("Pixels of floating point numbers cannot be compressed")
    plan(decoded_pixels(description), transfer_syntax, quality)


def transcode_frame(
    description: PixelDescription, frame: bytes, transfer_syntax: str, *, quality: int = 90
) -> bytes:
    """A stored frame (of `frame_bytes.read_frame`) in a transfer syntax.

    `EXPLICIT_LITTLE` stands for native samples in little endian. Raises UnsupportedPixels where `check` does,
    PixelError for a damaged frame.
    """
    check(description, transfer_syntax, quality)
    if (description.syntax.uid, transfer_syntax) in SAME_CODING:
        return frame
    if transfer_syntax == EXPLICIT_LITTLE:
        return _native(description, decode_frame(whole_cells(description), frame))
    made = plan(decoded_pixels(description), transfer_syntax, quality)
    samples = decode_frame(description if made.lossy else whole_cells(description), frame)
    return encode(samples, made)


def _native(description: PixelDescription, samples: Samples) -> bytes:
    """PS3.5 8.1.1: the samples of one frame as they lie in native pixel data of little endian."""
    if description.bits_allocated == 1:
        return np.packbits(samples.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    if description.planar and samples.ndim == 3:
        samples = samples.transpose(2, 0, 1)
    return samples.astype(samples.dtype.newbyteorder("<")).tobytes()
