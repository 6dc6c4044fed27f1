"""Documents inside of DICOM files (PS3.3 A.45): PDF, CDA, models. They are served as the parts of files they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ithil.archive import headers, retrieve
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.dicom import dataset
from ithil.dicom.element_place import Place, element_place, place_from
from ithil.dicom.encoding import NeedMoreData
from ithil.dicom.errors import DicomError

_FAMILY = "1.2.840.10008.5.1.4.1.1.104."
_MEDIA_TYPES = {
    "1": "application/pdf",
    "2": "text/xml",
    "3": "model/stl",
    "4": "model/obj",
    "5": "model/mtl",
}
"""By the end of the SOP class; PS3.18 8.7.3.6 and the media types of the classes."""

_DOCUMENT, _LENGTH = 0x00420011, 0x00420015
_FIRST_READ = 256 * 1024
_BEHIND = 4096  # bytes behind a document that are looked at for its true length


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its media type, and where it is in the file; `inline` instead if that file is deflated."""

    media_type: str
    file: Attachment
    start: int
    end: int
    inline: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the document."""
        return self.end - self.start


def media_type(sop_class: str) -> str | None:
    """The media type of the documents of a SOP class; None if its instances are no documents."""
    if not sop_class.startswith(_FAMILY):
        return None
    return _MEDIA_TYPES.get(sop_class.removeprefix(_FAMILY))


def document_of(archive: Archive, file: Attachment, sop_class: str) -> Document:
    """The document in a file of that SOP class, without the byte that makes its length even.

    Raises DicomError if it has none, and what reading a file raises.
    """
    kind = media_type(sop_class)
    if kind is None:
        raise DicomError("the instance is no document")
    size = file.uncompressed_size
    read = min(_FIRST_READ, size)
    limits = headers.limits(archive)
    while True:
        start = retrieve.read(archive, file, 0, read)
        try:
            place = element_place(start, _DOCUMENT, size, limits)
            break
        except NeedMoreData:
            if read >= size:
                raise
            read = min(4 * read, size)
        except DicomError:
            return _inline(archive, file, kind)
    if place is None:
        raise DicomError("the instance holds no document")
    return Document(kind, file, place.start, place.end - _padding(archive, file, place))


def pieces(archive: Archive, document: Document, start: int, end: int) -> Iterator[bytes]:
    """The bytes `start` to `end` (excluded) of a document, piece by piece. Raises what reading a file raises."""
    if document.inline is not None:
        yield document.inline[start:end]
    else:
        yield from retrieve.pieces(archive, document.file, document.start + start, document.start + end)


def _padding(archive: Archive, file: Attachment, place: Place) -> int:
    """1 if the last byte is only there to make the length even, as an element behind the document tells."""
    end = min(place.end + _BEHIND, file.uncompressed_size)
    behind = retrieve.read(archive, file, place.end, end)
    try:
        found = place_from(behind, _LENGTH, 0, len(behind), place)
    except DicomError:
        return 0
    if found is None or found.length != 4:
        return 0
    value = behind[found.start : found.end]
    return int(int.from_bytes(value, "big" if found.big_endian else "little") == place.length - 1)


def _inline(archive: Archive, file: Attachment, kind: str) -> Document:
    """The document of a deflated data set."""
    parsed = dataset.parse(retrieve.read(archive, file), limits=headers.limits(archive))
    element = parsed.find(_DOCUMENT)
    if element is None:
        raise DicomError("the instance holds no document")
    content = bytes(element.value)
    length = parsed.find(_LENGTH)
    if length is not None and len(length.value) == 4:
        announced = int.from_bytes(length.value, "big" if parsed.big_endian else "little")
        content = content[:announced] if announced == len(content) - 1 else content
    return Document(kind, file, 0, len(content), content)
