"""From the bytes of one stored frame to an array of its samples.

`decode_frame` gives what the codec or the native layout holds and nothing more: no lookup tables, no windows.
Colour that a codec itself transforms (JPEG's YCbCr, the transforms of JPEG 2000) comes out as RGB; YBR that
was stored as such stays, and `photometric_of_decoded` says which it is. `colour.to_rgb` does the rest.

Codecs are imagecodecs': they drop the interpreter's lock, so several frames decode on several cores.
"""

from __future__ import annotations

import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ithil.dicom.uids import RLE
from ithil.pixels import codestream, rle
from ithil.pixels.codestream import Codestream
from ithil.pixels.description import DOUBLE, FLOAT, PixelDescription
from ithil.pixels.errors import PixelError, UnsupportedPixels

Samples = NDArray[Any]
"""Samples of whatever type the header asks for."""

ENCAPSULATED_NATIVE = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_JPEG_FAMILY = frozenset(
    f"1.2.840.10008.1.2.4.{number}"
    for number in (50, 51, 52, 53, 54, 55, 56, 57, 58, 70, 80, 81, 90, 91, 92, 93, 201, 202, 203)
)
# Writers of the others take 16 bits for whatever is stored.
_WITH_TRUE_DEPTH = frozenset({codestream.JPEG, codestream.JPEG_2000, codestream.HTJ2K})


def can_decode(description: PixelDescription) -> bool:
    """Whether frames in this transfer syntax can be decoded at all; videos cannot."""
    syntax = description.syntax
    if not syntax.encapsulated:
        return True
    return syntax.uid in _JPEG_FAMILY or syntax.uid in (RLE, ENCAPSULATED_NATIVE, DEFLATED_FRAMES)


def photometric_of_decoded(description: PixelDescription) -> str:
    """The Photometric Interpretation of what `decode_frame` gives."""
    photometric = description.photometric
    if description.samples == 1:
        return photometric
    if photometric in ("YBR_RCT", "YBR_ICT"):
        return "RGB"
    if description.syntax.uid in _JPEG_FAMILY and description.syntax.uid not in _UNTRANSFORMED:
        return "RGB"
    return photometric


# JPEG lossless and JPEG-LS have no colour transform of their own, and decoders undo that of JPEG 2000 and
# HTJ2K only where the header tells of it (RCT, ICT).
_UNTRANSFORMED = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in (57, 58, 70, 80, 81, 90, 91, 92, 93, 201, 202, 203)
)


def decode_frame(description: PixelDescription, frame: bytes) -> Samples:
    """The samples of one frame as (rows, columns) or, with three samples a pixel, (rows, columns, 3).

    `frame` is what `frame_bytes.read_frame` gives. The numbers are those of Bits Stored, with their sign,
    in the smallest type that has Bits Allocated: uint8 to uint64, int8 to int64, or float32 and float64.
    The array may be read-only. Raises PixelError if the frame is damaged, is not what the header says, or is
    coded in a way that nothing here decodes.
    """
    syntax = description.syntax
    if not can_decode(description):
        raise UnsupportedPixels("There is no decoder for this transfer syntax")
    try:
        if not syntax.encapsulated or syntax.uid == ENCAPSULATED_NATIVE:
            samples = _native(description, frame)
        elif syntax.uid == DEFLATED_FRAMES:
            samples = _native(description, _inflate(frame, (description.bits_per_frame + 7) // 8))
        elif syntax.uid == RLE:
            samples = _rle(description, frame)
        else:
            return _coded(description, frame)
    except MemoryError:
        raise PixelError("There is not enough memory to decode the frame") from None
    return _stored_bits(description, samples)


def _native(description: PixelDescription, frame: bytes) -> Samples:
    """PS3.5 8.1.1 and 8.2: samples as they lie in the file."""
    shape = (description.rows, description.columns)
    if len(frame) * 8 < description.bits_per_frame:
        raise PixelError("The pixel data is shorter than the header says")
    if description.bits_allocated == 1:
        bits = np.frombuffer(frame, np.uint8, (description.pixels + 7) // 8)
        return np.unpackbits(bits, count=description.pixels, bitorder="little").reshape(shape)
    sign = ">" if description.syntax.big_endian or description.syntax.uid == GE_BIG_ENDIAN_PIXELS else "<"
    dtype = np.dtype(f"{sign}{_code(description)}")
    if description.is_subsampled:
        return _subsampled(description, np.frombuffer(frame, dtype, description.pixels * 2))
    flat = np.frombuffer(frame, dtype, description.pixels * description.samples)
    flat = flat.astype(dtype.newbyteorder("="), copy=False)
    if description.samples == 1:
        return flat.reshape(shape)
    if description.planar:
        return np.ascontiguousarray(flat.reshape(description.samples, *shape).transpose(1, 2, 0))
    return flat.reshape(*shape, description.samples)


GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"


def _code(description: PixelDescription) -> str:
    if description.kind in (FLOAT, DOUBLE):
        return f"f{description.bits_allocated // 8}"
    return f"u{description.bits_allocated // 8}"


def _subsampled(description: PixelDescription, flat: Samples) -> Samples:
    """Two luminances, then one blue and one red difference for both pixels (PS3.3 C.7.6.3.1.2)."""
    groups = flat.reshape(-1, 4)
    pixels = np.empty((len(groups), 2, 3), flat.dtype)
    pixels[:, :, 0] = groups[:, :2]
    pixels[:, :, 1:] = groups[:, None, 2:]
    return pixels.reshape(description.rows, description.columns, 3)


def _rle(description: PixelDescription, frame: bytes) -> Samples:
    if description.kind != "integer" or description.bits_allocated == 1:
        raise UnsupportedPixels("There is no RLE of this kind of pixel data")
    width = description.bits_allocated // 8
    decoded = rle.decode(frame, pixels=description.pixels, samples=description.samples, width=width)
    shape = (description.rows, description.columns)
    flat = decoded.reshape(-1).view(f"<u{width}")
    return flat.reshape(shape if description.samples == 1 else (*shape, description.samples))


def _inflate(frame: bytes, size: int) -> bytes:
    """A frame of Deflated Image Frame Compression (PS3.5 A.4.13), never more than `size` bytes of it."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, size)
    except zlib.error:
        raise PixelError("The deflated frame is damaged") from None


def _stored_bits(description: PixelDescription, samples: Samples) -> Samples:
    """Only the stored bits, with their sign; what lies beside them may be overlays (PS3.5 8.1.1)."""
    if description.kind != "integer" or description.bits_allocated == 1:
        return samples
    allocated, stored = description.bits_allocated, description.bits_stored
    signed = samples.dtype.newbyteorder("=").str.replace("u", "i")
    if stored == allocated:
        return samples.view(signed) if description.signed else samples
    below = description.high_bit + 1 - stored
    above = allocated - 1 - description.high_bit
    # Most writers leave nothing beside the stored bits. To look is much less work than to copy a frame.
    if description.signed:
        half = 1 << stored - 1
        with_sign: Samples = samples.view(signed)
        if not below and -half <= with_sign.min() and with_sign.max() < half:
            return with_sign
        # Up to the sign and down again: an arithmetic shift repeats the sign.
        extended: Samples = np.right_shift((samples << above).view(signed), above + below)
        return extended
    mask = (1 << stored) - 1
    if not below and samples.max() <= mask:
        return samples
    if below:
        samples = samples >> below
    masked: Samples = samples & samples.dtype.type(mask)
    return masked


def _coded(description: PixelDescription, frame: bytes) -> Samples:
    """A frame of the JPEG families, after a look at what its codestream announces."""
    found = codestream.inspect(frame)
    if (found.rows, found.columns, found.samples) != (
        description.rows,
        description.columns,
        description.samples,
    ):
        raise PixelError("The codestream has other dimensions than the header")
    if found.precision > 16 or description.kind != "integer":
        raise UnsupportedPixels("The codestream has more bits than any decoder takes")
    try:
        decoded: Samples = _decode(description, found, frame)
    except (RuntimeError, ValueError, OSError, IndexError, OverflowError, NotImplementedError):
        raise PixelError("The codestream is damaged") from None
    if decoded.size != description.pixels * description.samples:
        raise PixelError("The codestream did not hold what it announced")
    shape = (description.rows, description.columns)
    decoded = decoded.reshape(shape if description.samples == 1 else (*shape, description.samples))
    return _in_allocated_type(description, found, decoded)


def _decode(description: PixelDescription, found: Codestream, frame: bytes) -> Samples:
    decoded: Samples
    if found.kind == codestream.JPEG_LS:
        decoded = imagecodecs.jpegls_decode(frame)
    elif found.kind in (codestream.JPEG_2000, codestream.HTJ2K):
        # OpenJPH is twice as fast for HTJ2K, but of a damaged one it gives memory that nobody wrote to.
        decoded = imagecodecs.jpeg2k_decode(frame)
    elif found.samples == 1:
        decoded = imagecodecs.jpeg8_decode(frame)
    elif found.kind == codestream.JPEG_LOSSLESS:
        decoded = imagecodecs.jpeg8_decode(frame, colorspace="RGB", outcolorspace="RGB")
    else:
        space = "YCBCR" if _is_ycbcr(description, found) else "RGB"
        decoded = imagecodecs.jpeg8_decode(frame, colorspace=space, outcolorspace="RGB")
    return decoded


def _is_ycbcr(description: PixelDescription, found: Codestream) -> bool:
    """Whether a colour JPEG is transformed: its own markers tell, then the header."""
    if found.adobe_transform is not None:
        return found.adobe_transform == 1
    if found.jfif:
        return True
    return found.components != (0x52, 0x47, 0x42) and description.photometric != "RGB"


def _in_allocated_type(description: PixelDescription, found: Codestream, decoded: Samples) -> Samples:
    """Decoded samples in the type of Bits Allocated, with the sign that the header announces.

    JPEG and JPEG-LS know no sign, and JPEG 2000 writers forget it, so the bits of a number that came out
    unsigned are read as two's complement (of the codestream's depth, or of Bits Stored if that is less).
    """
    width = max(description.bits_allocated, 8)
    if found.precision > width:
        raise PixelError("The codestream has more bits than the header allows")
    if not description.signed:
        return decoded.astype(f"u{width // 8}", copy=False)
    target = np.dtype(f"i{width // 8}")
    if found.signed:
        return decoded.astype(target, copy=False)
    exact = found.kind in _WITH_TRUE_DEPTH
    depth = found.precision if exact else min(found.precision, description.bits_stored)
    shift = width - depth
    raised = decoded.astype(f"u{width // 8}") << shift
    extended: Samples = np.right_shift(raised.view(target), shift)
    return extended
