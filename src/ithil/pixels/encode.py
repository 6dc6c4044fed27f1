"""Coding one frame for a transfer syntax, and saying beforehand what the header must then say (PS3.5 8.2).

`plan` decides from the header alone whether a transfer syntax can hold the pixels; `encode` does the work, with
codecs that do not hold the interpreter's lock. Lossless codings keep every bit of a sample, also those above
Bits Stored, which old images use for overlays.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ithil.dicom.uids import RLE
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.syntaxes import (
    ENCODABLE,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    LOSSY_METHODS,
)

NEAR = 2
"""How much a sample may change in near-lossless JPEG-LS, as in Orthanc."""

_JPEG_SIDE = 65_535
_LOSSLESS_PREDICTOR = {JPEG_LOSSLESS: 6, JPEG_LOSSLESS_SV1: 1}  # "selection value"; SV1 is fixed at 1

Frame = NDArray[Any]
"""Samples as (rows, columns) or (rows, columns, 3)."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What frames are like before they are coded, and what the header says of them.

    `planar` is Planar Configuration 1; `photometric` is Photometric Interpretation.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How frames will be coded, and as what the header must describe them then."""

    syntax: str
    pixels: Pixels
    quality: int
    lossy: bool
    to_ycbcr: bool = False


def plan(pixels: Pixels, syntax: str, quality: int) -> Plan:
    """Decides how pixels go into a transfer syntax. Raises UnsupportedPixels if they cannot."""
    if syntax not in ENCODABLE:
        raise UnsupportedPixels("Nothing here encodes this transfer syntax")
    if pixels.bits_allocated == 1:
        raise UnsupportedPixels("Pixels of one bit cannot be compressed")
    if syntax == RLE:
        if pixels.samples * pixels.bits_allocated > 15 * 8:
            raise UnsupportedPixels("RLE has too few segments for these pixels")
        return Plan(syntax, pixels, quality, lossy=False)
    if pixels.bits_allocated > 16:
        raise UnsupportedPixels("Pixels of more than 16 bits cannot be compressed in this transfer syntax")
    if syntax not in _JPEG_2000_FAMILY and max(pixels.rows, pixels.columns) > _JPEG_SIDE:
        raise UnsupportedPixels("The image is too large for this transfer syntax")
    return _PLANNERS[syntax](pixels, syntax, quality)


def encode(frame: Frame, plan: Plan) -> bytes:
    """Codes one frame. Raises PixelError."""
    try:
        return _ENCODERS[plan.syntax](frame, plan)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise PixelError("A frame cannot be encoded") from error


def _plan_dct(pixels: Pixels, syntax: str, quality: int) -> Plan:
    """JPEG baseline holds 8 bits (PS3.5 A.4.1), extended 8 or 12."""
    limit = 8 if syntax == JPEG_BASELINE else 12
    if pixels.bits_stored > limit:
        raise UnsupportedPixels(f"The transfer syntax holds at most {limit} bits a sample")
    if pixels.photometric == "PALETTE COLOR":
        raise UnsupportedPixels("Indices into a palette cannot be compressed with loss")
    if pixels.samples == 3 and pixels.bits_stored > 8:
        raise UnsupportedPixels("Colours of more than 8 bits cannot be compressed in this transfer syntax")
    bits = 8 if pixels.bits_stored <= 8 else 12
    allocated = 8 if bits == 8 else 16
    photometric = pixels.photometric
    if pixels.samples == 3:
        photometric = "YBR_FULL_422"
    described = _described(pixels, photometric, allocated, bits, bits - 1)
    return Plan(syntax, described, quality, lossy=True, to_ycbcr=pixels.photometric == "RGB")


def _plan_same(pixels: Pixels, syntax: str, quality: int) -> Plan:
    """JPEG lossless and JPEG-LS code any three components as they are."""
    lossy = syntax in LOSSY_METHODS
    if lossy and pixels.photometric == "PALETTE COLOR":
        raise UnsupportedPixels("Indices into a palette cannot be compressed with loss")
    described = _described(pixels, pixels.photometric)
    return Plan(syntax, described, quality, lossy=lossy)


def _plan_jpeg_2000(pixels: Pixels, syntax: str, quality: int) -> Plan:
    """RGB goes through the codec's own colour transform (PS3.5 8.2.4), other colours do not."""
    lossy = syntax in LOSSY_METHODS
    if lossy and pixels.photometric == "PALETTE COLOR":
        raise UnsupportedPixels("Indices into a palette cannot be compressed with loss")
    photometric = pixels.photometric
    if photometric == "RGB":
        photometric = "YBR_ICT" if lossy else "YBR_RCT"
    return Plan(syntax, _described(pixels, photometric), quality, lossy=lossy)


def _described(
    pixels: Pixels,
    photometric: str,
    allocated: int = 0,
    stored: int = 0,
    high_bit: int | None = None,
) -> Pixels:
    return Pixels(
        pixels.rows,
        pixels.columns,
        pixels.samples,
        allocated or pixels.bits_allocated,
        stored or pixels.bits_stored,
        pixels.high_bit if high_bit is None else high_bit,
        pixels.signed,
        photometric,
        planar=False,
    )


def _rle(frame: Frame, plan: Plan) -> bytes:
    """PS3.5 annex G: one segment a byte of a sample, the most significant first, each row on its own."""
    rows, columns = frame.shape[:2]
    width = frame.dtype.itemsize
    little = np.ascontiguousarray(frame, frame.dtype.newbyteorder("<"))
    planes = little.view(np.uint8).reshape(rows, columns, plan.pixels.samples, width)
    segments = []
    for sample in range(plan.pixels.samples):
        for byte in reversed(range(width)):
            plane = np.ascontiguousarray(planes[:, :, sample, byte])
            segment = bytes(imagecodecs.packbits_encode(plane, axis=-1))
            segments.append(segment + b"\0" * (len(segment) & 1))
    offsets, position = [], 64
    for segment in segments:
        offsets.append(position)
        position += len(segment)
    header = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(offsets)))
    return header + b"".join(segments)


def _dct(frame: Frame, plan: Plan) -> bytes:
    pixels = plan.pixels
    bits = pixels.bits_stored
    samples = _not_negative(frame, bits).astype(np.uint8 if bits == 8 else np.uint16)
    if pixels.samples == 1:
        return bytes(imagecodecs.jpeg8_encode(samples, plan.quality, bitspersample=bits))
    colorspace = "RGB" if plan.to_ycbcr else "YCBCR"
    return bytes(
        imagecodecs.jpeg8_encode(
            samples, plan.quality, colorspace=colorspace, outcolorspace="YCBCR", subsampling="422"
        )
    )


def _jpeg_lossless(frame: Frame, plan: Plan) -> bytes:
    samples = _unsigned(frame)
    # A sign that was cut off is lost on many decoders, so signed samples are coded with all their bits.
    container = samples.dtype.itemsize * 8
    bits = container if plan.pixels.signed else _precision(samples, plan.pixels)
    if container == 16:
        bits = max(bits, 9)  # the encoder takes the type of the samples from this
    # The same space twice means no transform. RGB gets a marker that says so; there is none for the rest, and
    # decoders fail on what this encoder makes of YCbCr.
    space = None
    if plan.pixels.samples == 3:
        space = "RGB" if plan.pixels.photometric == "RGB" else "UNKNOWN"
    return bytes(
        imagecodecs.jpeg8_encode(
            samples,
            lossless=True,
            predictor=_LOSSLESS_PREDICTOR[plan.syntax],
            bitspersample=bits,
            colorspace=space,
            outcolorspace=space,
        )
    )


def _jpeg_ls(frame: Frame, plan: Plan) -> bytes:
    near = NEAR if plan.lossy else 0
    samples = _unsigned(frame) if not near else _not_negative(frame, plan.pixels.bits_allocated)
    # Noise takes more room than it had.
    return bytes(imagecodecs.jpegls_encode(samples, near, out=2 * samples.nbytes + 4096))


def _jpeg_2000(frame: Frame, plan: Plan) -> bytes:
    samples, precision = _snug(frame, plan.pixels)
    level = None
    if plan.lossy:
        # The quality becomes a signal-to-noise ratio in dB, about that of a JPEG of this quality and better,
        # in relation to the values that are there: a CT image may use a tenth of what its bits could hold.
        level = round(40 + plan.quality / 5 + 20 * math.log10((1 << precision) / _range(samples)))
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples,
            level,
            codecformat="j2k",
            reversible=not plan.lossy,
            bitspersample=precision,
            mct=plan.pixels.photometric in ("YBR_ICT", "YBR_RCT"),
        )
    )


def _htj2k(frame: Frame, plan: Plan) -> bytes:
    samples, precision = _snug(frame, plan.pixels)
    transformed = plan.pixels.photometric in ("YBR_ICT", "YBR_RCT")
    container = samples.dtype.itemsize * 8
    if plan.lossy:
        # The step of quantisation is a part of the range of the values, the encoder wants that of the container.
        step = (101 - plan.quality) / 1000 * _range(samples) / (1 << container)
        return bytes(imagecodecs.htj2k_encode(samples, step, reversible=False, rgb=transformed))
    if not plan.pixels.signed and precision < container:
        # The encoder knows only the container. It centres unsigned samples at half its range; moved to there,
        # they come out the same from a stream that announces the true precision.
        samples = samples + samples.dtype.type((1 << container - 1) - (1 << precision - 1))
    stream = bytearray(
        imagecodecs.htj2k_encode(
            samples, reversible=True, rgb=transformed, tlm=True if plan.syntax == HTJ2K_RPCL else None
        )
    )
    _announce(stream, precision, plan.pixels.samples, signed=plan.pixels.signed)
    return bytes(stream)


def _announce(stream: bytearray, precision: int, samples: int, *, signed: bool) -> None:
    """Write the precision into the image size marker, which comes first (ISO 15444-1 A.5.1)."""
    for component in range(samples):
        stream[42 + 3 * component] = precision - 1 | (0x80 if signed else 0)


def _native(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame, frame.dtype.newbyteorder("="))


def _snug(frame: Frame, pixels: Pixels) -> tuple[Frame, int]:
    """The samples in the smallest type that holds them, and their precision."""
    samples = _native(frame)
    precision = _precision(samples, pixels)
    if precision <= 8 and samples.dtype.itemsize == 2:
        samples = samples.astype(f"{samples.dtype.kind}1")
    return samples, precision


def _unsigned(frame: Frame) -> Frame:
    """The same bits as unsigned numbers."""
    native = _native(frame)
    return native.view(np.dtype(f"u{native.dtype.itemsize}"))


def _not_negative(frame: Frame, bits: int) -> Frame:
    """Samples for a coding with loss that has no sign. Raises UnsupportedPixels for what does not fit."""
    native = _native(frame)
    if native.size and (int(native.min()) < 0 or int(native.max()) >> bits):
        raise UnsupportedPixels("The samples do not fit into what this transfer syntax can hold")
    return _unsigned(native)


def _range(samples: Frame) -> int:
    """How many values lie between the smallest and the largest, at least 1."""
    return max(int(samples.max()) - int(samples.min()), 1) if samples.size else 1


def _precision(samples: Frame, pixels: Pixels) -> int:
    """Bits Stored, or more if there is something above them."""
    container = samples.dtype.itemsize * 8
    stored = pixels.bits_stored
    if stored >= container or not samples.size:
        return container
    low, high = int(samples.min()), int(samples.max())
    if samples.dtype.kind == "i":
        fits = -(1 << stored - 1) <= low and high < 1 << stored - 1
    else:
        fits = high < 1 << stored
    return stored if fits and stored > 1 else container


_JPEG_2000_FAMILY = frozenset({JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K})
_PLANNERS: dict[str, Callable[[Pixels, str, int], Plan]] = {
    JPEG_BASELINE: _plan_dct,
    JPEG_EXTENDED: _plan_dct,
    **dict.fromkeys((JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR), _plan_same),
    **dict.fromkeys(_JPEG_2000_FAMILY, _plan_jpeg_2000),
}
_ENCODERS: dict[str, Callable[[Frame, Plan], bytes]] = {
    RLE: _rle,
    JPEG_BASELINE: _dct,
    JPEG_EXTENDED: _dct,
    **dict.fromkeys((JPEG_LOSSLESS, JPEG_LOSSLESS_SV1), _jpeg_lossless),
    **dict.fromkeys((JPEG_LS, JPEG_LS_NEAR), _jpeg_ls),
    **dict.fromkeys((JPEG_2000_LOSSLESS, JPEG_2000), _jpeg_2000),
    **dict.fromkeys((HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K), _htj2k),
}
