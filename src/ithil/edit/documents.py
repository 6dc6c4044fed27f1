"""Documents that instances carry as they are: PDF and three-dimensional models (PS3.3 A.45, A.85, A.86)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.error_codes import CodedError

PDF, STL, OBJ, MTL = "application/pdf", "model/stl", "model/obj", "model/mtl"

MAXIMUM_BYTES = 1 << 30
_TRIANGLE, _STL_HEADER = 50, 84  # bytes of a binary STL file
_LOOKED_AT = 64 * 1024


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """What an instance with such a document says of itself where the request does not say it."""

    sop_class_uid: str
    modality: str


KINDS = {
    PDF: DocumentKind("1.2.840.10008.5.1.4.1.1.104.1", "OT"),
    STL: DocumentKind("1.2.840.10008.5.1.4.1.1.104.3", "M3D"),
    OBJ: DocumentKind("1.2.840.10008.5.1.4.1.1.104.4", "M3D"),
    MTL: DocumentKind("1.2.840.10008.5.1.4.1.1.104.5", "M3D"),
}


def check(mime_type: str, content: bytes) -> None:
    """Raises CodedError (bad file format) for a document that is not what its MIME type says."""
    if len(content) > MAXIMUM_BYTES:
        raise CodedError(codes.BAD_FILE_FORMAT, "The document is too large")
    is_right = {PDF: _is_pdf, STL: _is_stl, OBJ: _is_obj, MTL: _is_mtl}[mime_type]
    if not is_right(content):
        raise CodedError(codes.BAD_FILE_FORMAT, f"Not a {mime_type.partition('/')[2].upper()} file")


def _is_pdf(content: bytes) -> bool:
    return content.startswith(b"%PDF-")


def _is_stl(content: bytes) -> bool:
    """Binary, whose size follows from the number of triangles, or text."""
    if len(content) >= _STL_HEADER:
        triangles: int = struct.unpack_from("<I", content, _STL_HEADER - 4)[0]
        if len(content) == _STL_HEADER + _TRIANGLE * triangles:
            return True
    return content.lstrip()[:5] == b"solid" and b"\0" not in content[:_LOOKED_AT]


def _is_obj(content: bytes) -> bool:
    return _has_line(content, (b"v ", b"v\t", b"o ", b"g ", b"mtllib "))


def _is_mtl(content: bytes) -> bool:
    return _has_line(content, (b"newmtl ",))


def _has_line(content: bytes, starts: tuple[bytes, ...]) -> bool:
    """Whether a text has a line that begins so, within the part that is looked at."""
    start = content[:_LOOKED_AT]
    return b"\0" not in start and any(line.lstrip().startswith(starts) for line in start.splitlines())
