"""Pictures as PNG, JPEG and PAM files, read into the pixels of a new instance.

What such a file announces is checked before a decoder allocates it. Alpha is dropped, palettes and grey of
fewer than 8 bits become what DICOM viewers show: RGB, or 8 bits.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.pixels import codestream
from ithil.pixels.errors import PixelError

PNG, JPEG, PAM = "image/png", "image/jpeg", "image/x-portable-arbitrarymap"

MAXIMUM_SIDE = 65_535
MAXIMUM_BYTES = 256 << 20
"""Bytes of the pixels of one picture."""

Samples = NDArray[Any]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type (PNG 11.2.2)
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_BASELINE, _FRAMES = 0xC0, frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PAM_HEADER = 4096  # bytes in which the header of a PAM file must end
_MOST_SEGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as (rows, columns) or (rows, columns, 3), of type uint8 or uint16."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline JPEG that stays as it is: its size and Photometric Interpretation."""

    stream: bytes
    rows: int
    columns: int
    samples: int
    photometric: str


def read_picture(mime_type: str, content: bytes) -> Picture:
    """The pixels of a PNG, JPEG or PAM file.

    Raises CodedError (bad file format) for a file that is damaged, not of that type, too large, or that DICOM
    has no pixels for: more than 16 bits, colours of more than 8 bits, CMYK.
    """
    samples = {PNG: _png, JPEG: _jpeg, PAM: _pam}[mime_type](content)
    if samples.ndim == 3:
        channels = samples.shape[2]
        samples = samples[:, :, 0] if channels < 3 else samples[:, :, :3]
    if samples.ndim == 3 and samples.dtype != np.uint8:
        raise _bad("Colours of more than 8 bits are not supported")
    return Picture(np.ascontiguousarray(samples))


def read_baseline(content: bytes) -> Baseline:
    """A JPEG file that can be encapsulated (PS3.5 A.4.1): baseline, grey or in colour.

    Raises CodedError (bad file format).
    """
    found = _inspected(content)
    if _frame_marker(content) != _BASELINE:
        raise _bad("Only a baseline JPEG can be encapsulated")
    _jpeg(content)  # damaged streams must not come in
    photometric = "MONOCHROME2"
    if found.samples == 3:
        is_rgb = found.adobe_transform == 0 or (
            found.adobe_transform is None and not found.jfif and found.components == (0x52, 0x47, 0x42)
        )
        photometric = "RGB" if is_rgb else "YBR_FULL_422"
    return Baseline(content, found.rows, found.columns, found.samples, photometric)


def _png(content: bytes) -> Samples:
    # The signature and the chunk IHDR, which comes first.
    if len(content) < 33 or content[:8] != _PNG_SIGNATURE or content[12:16] != b"IHDR":
        raise _bad("This is not a PNG file")
    columns, rows, depth, colour = struct.unpack_from(">IIBB", content, 16)
    if depth not in _PNG_DEPTHS.get(colour, ()):
        raise _bad("The PNG file is damaged")
    _check_size(rows, columns, _PNG_CHANNELS[colour] * (2 if depth == 16 else 1))
    try:
        decoded: Samples = imagecodecs.png_decode(content)
    except (RuntimeError, ValueError, MemoryError, zlib.error):
        raise _bad("The PNG file is damaged") from None
    if decoded.shape[:2] != (rows, columns):
        raise _bad("The PNG file is damaged")
    return decoded


def _jpeg(content: bytes) -> Samples:
    found = _inspected(content)
    try:
        decoded: Samples = imagecodecs.jpeg8_decode(content)
    except (RuntimeError, ValueError, MemoryError):
        raise _bad("The JPEG file is damaged") from None
    if decoded.shape[:2] != (found.rows, found.columns) or decoded.dtype != np.uint8:
        raise _bad("The JPEG file is damaged")
    return decoded


def _inspected(content: bytes) -> codestream.Codestream:
    if content[:3] != b"\xff\xd8\xff":
        raise _bad("This is not a JPEG file")
    try:
        found = codestream.inspect(content)
    except PixelError:
        raise _bad("The JPEG file is damaged") from None
    if found.kind != codestream.JPEG or found.samples not in (1, 3) or found.precision != 8:
        raise _bad("The JPEG file must be grey or RGB with 8 bits a sample")
    _check_size(found.rows, found.columns, found.samples)
    return found


def _frame_marker(content: bytes) -> int:
    """The marker of the first frame header (ITU-T T.81 B.1.1.3), which tells the process; 0 if none comes."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        if position + 4 > len(content) or content[position] != 0xFF:
            return 0
        marker = content[position + 1]
        if marker in _FRAMES:
            return marker
        position += 1 if marker == 0xFF else 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return 0


def _pam(content: bytes) -> Samples:
    """Netpbm's PAM: a header of lines, then rows of samples, those of 16 bits in big endian."""
    head, end, _ = content[:_PAM_HEADER].partition(b"\nENDHDR\n")
    if not content.startswith(b"P7\n") or not end:
        raise _bad("This is not a PAM file")
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\n")[1:]:
        name, _, value = line.strip().partition(b" ")
        if name and not name.startswith(b"#"):
            fields[name] = value.strip()
    columns, rows = _number(fields, b"WIDTH"), _number(fields, b"HEIGHT")
    depth, largest = _number(fields, b"DEPTH"), _number(fields, b"MAXVAL")
    if depth > 4 or largest > 65_535:
        raise _bad("The PAM file has an impossible depth or range")
    width = 1 if largest < 256 else 2
    _check_size(rows, columns, depth * width)
    start = len(head) + len(end)
    if len(content) - start != rows * columns * depth * width:
        raise _bad("The PAM file does not have the size that its header says")
    flat = np.frombuffer(content, np.uint8 if width == 1 else np.dtype(">u2"), offset=start)
    return flat.astype(flat.dtype.newbyteorder("=")).reshape(rows, columns, depth)


def _number(fields: dict[bytes, bytes], name: bytes) -> int:
    text = fields.get(name, b"")
    if not text.isdigit() or len(text) > 9 or not int(text):
        raise _bad("The header of the PAM file is damaged")
    return int(text)


def _check_size(rows: int, columns: int, bytes_a_pixel: int) -> None:
    if not (0 < rows <= MAXIMUM_SIDE and 0 < columns <= MAXIMUM_SIDE):
        raise _bad("The picture has an impossible size")
    if rows * columns * bytes_a_pixel > MAXIMUM_BYTES:
        raise _bad("The picture is too large")


def _bad(details: str) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, details)
