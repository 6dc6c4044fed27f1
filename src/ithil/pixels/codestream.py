"""What a compressed frame says of itself, read before any decoder sees it.

A decoder allocates what the codestream announces, not what the DICOM header does. So the few bytes that hold
the dimensions are parsed here and compared with the header first; a frame that says something else is never
decoded. Parsing is a bounded walk over marker segments; it allocates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ithil.pixels.errors import PixelError

JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K = "jpeg", "jpeg-lossless", "jpeg-ls", "jpeg2000", "htj2k"

MAXIMUM_SCANS = 100
"""A progressive JPEG is decoded once more for each scan, so their number is what an attacker would raise."""

_MAXIMUM_SEGMENTS = 10_000
_LOSSLESS_FRAMES = (0xC3,)
_DCT_FRAMES = (0xC0, 0xC1, 0xC2)
_JPEG_LS_FRAME = 0xF7
_FRAMES = (*_DCT_FRAMES, *_LOSSLESS_FRAMES, _JPEG_LS_FRAME)
_OTHER_FRAMES = (0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)  # hierarchical, arithmetic
_ALONE = (0x01, *range(0xD0, 0xD8))
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream announces.

    Attributes:
        kind: which family of decoders reads it.
        precision: bits of a sample.
        signed: whether its samples are signed; only JPEG 2000 can tell.
        components: the identifiers of JPEG's components, in order.
        adobe_transform: the colour transform of Adobe's marker, None without one.
        jfif: whether there is JFIF's marker, which means YCbCr.
    """

    kind: str
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    components: tuple[int, ...] = ()
    adobe_transform: int | None = None
    jfif: bool = False


def inspect(frame: bytes) -> Codestream:
    """Reads the announcement of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K frame. Raises PixelError."""
    if frame[:2] == b"\xff\xd8":
        return _jpeg(frame)
    if frame[:4] == b"\xff\x4f\xff\x51":
        return _jpeg_2000(frame, 0)
    if frame[4:8] == b"jP  ":
        return _jpeg_2000(frame, _codestream_of_file(frame))
    raise PixelError("The frame does not begin like any known codestream")


def _jpeg(frame: bytes) -> Codestream:
    """ITU-T T.81 annex B: markers up to the first scan."""
    position, found = 2, None
    adobe: int | None = None
    jfif = False
    for _ in range(_MAXIMUM_SEGMENTS):
        while frame[position : position + 2] == b"\xff\xff":
            position += 1
        if len(frame) < position + 4 or frame[position] != 0xFF:
            raise PixelError("The JPEG codestream is damaged before its first scan")
        marker = frame[position + 1]
        if marker in _ALONE:
            position += 2
            continue
        length = int.from_bytes(frame[position + 2 : position + 4], "big")
        body = frame[position + 4 : position + 2 + length]
        if marker in _OTHER_FRAMES or marker == _END_OF_IMAGE:
            raise PixelError("The JPEG codestream is of a process that is not supported")
        if marker in _FRAMES:
            if found is not None:
                raise PixelError("The JPEG codestream holds more than one frame")
            found = (marker, body)
        elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE0 and body[:5] == b"JFIF\0":
            jfif = True
        elif marker == _START_OF_SCAN:
            break
        position += 2 + length
    if found is None:
        raise PixelError("The JPEG codestream has no frame header")
    marker, body = found
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise PixelError("The JPEG codestream has a damaged frame header")
    if marker == 0xC2 and frame.count(b"\xff\xda") > MAXIMUM_SCANS:
        raise PixelError("The JPEG codestream has too many scans")
    kind = JPEG if marker in _DCT_FRAMES else JPEG_LS if marker == _JPEG_LS_FRAME else JPEG_LOSSLESS
    return Codestream(
        kind,
        rows=int.from_bytes(body[1:3], "big"),
        columns=int.from_bytes(body[3:5], "big"),
        samples=body[5],
        precision=body[0],
        components=tuple(body[6 : 6 + 3 * body[5] : 3]),
        adobe_transform=adobe,
        jfif=jfif,
    )


def _codestream_of_file(frame: bytes) -> int:
    """Where the codestream begins inside the boxes of a JP2 file (ITU-T T.800 annex I)."""
    position = 0
    for _ in range(100):
        header = frame[position : position + 16]
        if len(header) < 8:
            break
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        size = 8
        if length == 1:
            length, size = int.from_bytes(header[8:16], "big"), 16
        if kind == b"jp2c":
            return position + size
        if length < size:
            break
        position += length
    raise PixelError("The JPEG 2000 file holds no codestream")


def _jpeg_2000(frame: bytes, start: int) -> Codestream:
    """ITU-T T.800 A.5.1: the SIZ marker comes first."""
    siz = frame[start : start + 4 + 38 + 3 * 4]
    if siz[:4] != b"\xff\x4f\xff\x51" or len(siz) < 4 + 38 + 3:
        raise PixelError("The JPEG 2000 codestream is damaged")
    capabilities = int.from_bytes(siz[6:8], "big")
    numbers = [int.from_bytes(siz[8 + 4 * i : 12 + 4 * i], "big") for i in range(8)]
    width, height, left, top, tile_width, tile_height, tile_left, tile_top = numbers
    samples = int.from_bytes(siz[40:42], "big")
    if not tile_width or not tile_height or width <= left or height <= top or not 0 < samples <= 4:
        raise PixelError("The JPEG 2000 codestream has impossible dimensions")
    tiles = -(-(width - tile_left) // tile_width) * -(-(height - tile_top) // tile_height)
    if tile_left > left or tile_top > top or tiles > 65_535:
        raise PixelError("The JPEG 2000 codestream has impossible tiles")
    parts = [frame[start + 42 + 3 * i : start + 45 + 3 * i] for i in range(samples)]
    if any(len(part) < 3 or part[1] != 1 or part[2] != 1 for part in parts):
        raise PixelError("The JPEG 2000 codestream has subsampled components")
    if any(part[0] != parts[0][0] for part in parts):
        raise PixelError("The JPEG 2000 codestream has components of different depths")
    depth = parts[0][0]
    return Codestream(
        HTJ2K if capabilities & 0x4000 else JPEG_2000,
        rows=height - top,
        columns=width - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )
