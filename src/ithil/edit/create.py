"""Making a new instance: from tags, what is inherited from a parent, and a picture or document (PS3.3 A.8, A.45).

`parse_tags` checks what a request asks for, once; `create` puts one instance together and gives the bytes of
its file. What nobody states is filled in: UIDs, dates, the character set, the SOP class that the content
needs.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from ithil import error_codes as codes
from ithil.dicom import charsets, uids
from ithil.dicom.dataset import Element
from ithil.dicom.dictionary import is_private, is_private_creator, parse_tag, tag_name, tag_vr
from ithil.edit import documents, pictures
from ithil.edit.data_uri import Payload
from ithil.edit.document import Document, write
from ithil.edit.private import place_private
from ithil.edit.text import SPECIFIC_CHARACTER_SET, make_room
from ithil.edit.values import Value, element_of, parse_value, texts_of
from ithil.error_codes import CodedError
from ithil.pixels.encapsulate import encapsulate
from ithil.pixels.syntaxes import JPEG_BASELINE

PIXEL_DATA, PATIENT_ID = 0x7FE00010, 0x00100020
SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
IDENTIFIERS = frozenset({SOP_INSTANCE, STUDY, SERIES})
"""UIDs that make themselves, so that stating them needs `Force`."""

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MODALITY, _CONVERSION, _PHOTOMETRIC = 0x00080060, 0x00080064, 0x00280004
_DOCUMENT, _DOCUMENT_TYPE, _DOCUMENT_LENGTH = 0x00420011, 0x00420012, 0x00420015
_DATES = (0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023)
_TIMES = (0x00080013, 0x00080030, 0x00080031, 0x00080032, 0x00080033)
_MOST_TAGS = 10_000
_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


@dataclass(frozen=True, slots=True)
class Tags:
    """What a request says of a new instance; private tags go to the block of `creator`."""

    values: dict[int, Value] = field(default_factory=dict)
    creator: str = ""

    def over(self, other: Tags) -> Tags:
        """These tags, and those of `other` that are not among them."""
        return Tags(other.values | self.values, self.creator)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a new instance takes over from the modules of its parents, in their character set."""

    elements: list[Element] = field(default_factory=list)
    default_encoding: str = charsets.DEFAULT_ENCODING

    @property
    def tags(self) -> frozenset[int]:
        """The tags of the elements."""
        return frozenset(element.tag for element in self.elements)


def parse_tags(json: dict[str, Any], creator: str = "", *, interpret_binary: bool = True) -> Tags:
    """The tags in the JSON of a request, by name or number.

    With `interpret_binary` a data URI for a binary VR stands for its bytes. File meta information and group
    lengths are left out, as they make themselves. Raises CodedError: unknown DICOM tag, bad type, bad file
    format, use content (for pixel data).
    """
    if len(json) > _MOST_TAGS:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "There are too many tags")
    values: dict[int, Value] = {}
    for name, value in json.items():
        try:
            tag = parse_tag(name)
        except ValueError:
            raise codes.unknown_tag(name) from None
        if tag == PIXEL_DATA:
            raise CodedError(codes.CREATE_DICOM_USE_CONTENT)
        if tag >> 16 <= 2 or not tag & 0xFFFF:
            continue
        vr = tag_vr(tag, creator if is_private(tag) else "")
        if not interpret_binary and isinstance(value, str) and vr in _BINARY_VRS:
            values[tag] = value
        else:
            values[tag] = parse_value(tag, value, creator)
    return Tags(values, creator)


def check_overrides(tags: Tags, inherited: Inherited, parent_id: str | None) -> None:
    """Refuse tags that only `Force` may state: UIDs, and what comes from the parents.

    The parents' own PatientID (`parent_id`) may be repeated. Raises CodedError (override tag).
    """
    for tag in tags.values:
        if tag == PATIENT_ID and parent_id is not None and tags.values[tag] == parent_id:
            continue
        if tag in IDENTIFIERS or tag in inherited.tags:
            raise CodedError(codes.CREATE_DICOM_OVERRIDE_TAG, tag_name(tag))


def create(
    tags: Tags,
    inherited: Inherited,
    content: Payload | None,
    *,
    now: datetime | None = None,
    encapsulate_jpeg: bool = False,
) -> bytes:
    """The file of a new instance, in explicit little endian or with the JPEG that it was given.

    `now` fills in dates and times that nobody states; None leaves them out. Raises CodedError (bad file
    format) for content that is not what its MIME type says, or text that its character set cannot hold.
    """
    default_encoding = inherited.default_encoding
    elements = {element.tag: _copy(element) for element in inherited.elements}
    document = Document([elements[tag] for tag in sorted(elements)], uids.EXPLICIT_LITTLE)
    document.default_encoding = default_encoding
    wanted = tags.values.get(SPECIFIC_CHARACTER_SET)
    texts = [text for value in tags.values.values() for text in texts_of(value)]
    if wanted is None and SPECIFIC_CHARACTER_SET not in elements and now is not None:
        term = charsets.defined_term(default_encoding) or "ISO_IR 6"
        _put(document, _ascii(SPECIFIC_CHARACTER_SET, "CS", term))
    encode = make_room(
        document.elements, texts, default_encoding, wanted.encode() if isinstance(wanted, str) else None
    )
    stated_creators = {
        tag: value for tag, value in tags.values.items() if is_private_creator(tag) and isinstance(value, str)
    }
    for tag in sorted(tags.values):
        value = tags.values[tag]
        if tag == SPECIFIC_CHARACTER_SET:
            continue
        creator = ""
        place = tag
        if is_private(tag) and not is_private_creator(tag):
            creator = stated_creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, tags.creator)
            if creator:
                place = place_private(document.elements, tag, creator, encode)
        element = element_of(tag, value, encode, "<", creator)
        element.tag = place
        _put(document, element)
    _fill(document, now)
    if content is not None:
        _add_content(document, content, encapsulate_jpeg=encapsulate_jpeg)
    return write(document)


def with_identifiers(inherited: Inherited) -> Inherited:
    """The same with what the instances of one series must have in common: patient, study and series."""
    missing = [tag for tag in (STUDY, SERIES) if tag not in inherited.tags]
    elements = [*inherited.elements, *(_ascii(tag, "UI", uids.generate_uid()) for tag in missing)]
    if PATIENT_ID not in inherited.tags:
        elements.append(_ascii(PATIENT_ID, "LO", str(uuid.uuid4())))
    return Inherited(elements, inherited.default_encoding)


def of_series(tags: Tags, number: int, count: int) -> Tags:
    """The tags of instance `number` (from 1) of a series of `count` that comes into being as a whole."""
    position: dict[int, Value] = {
        0x00200013: str(number),  # InstanceNumber
        0x00200105: "1",  # NumberOfTemporalPositions
        0x00201002: str(count),  # ImagesInAcquisition
        0x00541330: str(min(number, 65_535)),  # ImageIndex
    }
    return Tags(tags.values | position, tags.creator)


def _fill(document: Document, now: datetime | None) -> None:
    """What every instance needs and nobody stated."""
    for tag in (STUDY, SERIES, SOP_INSTANCE):
        if not document.text(tag):
            _put(document, _ascii(tag, "UI", uids.generate_uid()))
    if document.find(PATIENT_ID) is None:
        _put(document, _ascii(PATIENT_ID, "LO", str(uuid.uuid4())))
    if now is not None:
        date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S.000000")
        for tag in _DATES:
            if document.find(tag) is None:
                _put(document, _ascii(tag, "DA", date))
        for tag in _TIMES:
            if document.find(tag) is None:
                _put(document, _ascii(tag, "TM", time))


def _add_content(document: Document, content: Payload, *, encapsulate_jpeg: bool) -> None:
    mime_type = content.mime_type
    if mime_type in documents.KINDS:
        _add_document(document, content)
        return
    if mime_type not in (pictures.PNG, pictures.JPEG, pictures.PAM):
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "Nothing here reads content of this MIME type")
    if document.find(SOP_CLASS) is None:
        _put(document, _ascii(SOP_CLASS, "UI", _SECONDARY_CAPTURE))
        _put_missing(document, _CONVERSION, "CS", "WSD")
        _put_missing(document, _MODALITY, "CS", "OT")
    if mime_type == pictures.JPEG and encapsulate_jpeg:
        stays = pictures.read_baseline(content.content)
        _describe(document, stays.rows, stays.columns, stays.samples, 8, stays.photometric)
        _put(document, Element(PIXEL_DATA, "OB", memoryview(encapsulate([stays.stream]).value)))
        for tag, vr, text in (
            (0x00282110, "CS", "01"),  # LossyImageCompression
            (0x00282114, "CS", "ISO_10918_1"),  # LossyImageCompressionMethod
        ):
            _put(document, _ascii(tag, vr, text))
        document.transfer_syntax_uid = JPEG_BASELINE
        return
    samples = pictures.read_picture(mime_type, content.content).samples
    bits = samples.dtype.itemsize * 8
    channels = samples.shape[2] if samples.ndim == 3 else 1
    rows, columns = samples.shape[:2]
    _describe(document, rows, columns, channels, bits, "RGB" if channels == 3 else "MONOCHROME2")
    value = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes()
    _put(document, Element(PIXEL_DATA, "OW", memoryview(value)))


def _describe(document: Document, rows: int, columns: int, samples: int, bits: int, photometric: str) -> None:
    """The Image Pixel module (PS3.3 C.7.6.3). MONOCHROME1 stays if the request says so."""
    if not (samples == 1 and document.text(_PHOTOMETRIC) == "MONOCHROME1"):
        _put(document, _ascii(_PHOTOMETRIC, "CS", photometric))
    numbers = {
        0x00280002: samples,
        0x00280010: rows,
        0x00280011: columns,
        0x00280100: bits,
        0x00280101: bits,
        0x00280102: bits - 1,
        0x00280103: 0,
    }
    if samples == 3:
        numbers[0x00280006] = 0
    for tag, number in numbers.items():
        _put(document, Element(tag, "US", memoryview(struct.pack("<H", number))))
    document.elements[:] = [element for element in document.elements if element.tag != 0x00280008]


def _add_document(document: Document, content: Payload) -> None:
    """The Encapsulated Document module (PS3.3 C.24.2)."""
    documents.check(content.mime_type, content.content)
    kind = documents.KINDS[content.mime_type]
    _put(document, _ascii(SOP_CLASS, "UI", kind.sop_class_uid))
    _put_missing(document, _MODALITY, "CS", kind.modality)
    _put_missing(document, _CONVERSION, "CS", "WSD")
    _put_missing(document, _DOCUMENT_TYPE, "LO", content.mime_type)
    _put(document, Element(_DOCUMENT, "OB", memoryview(content.content)))
    _put(document, Element(_DOCUMENT_LENGTH, "UL", memoryview(struct.pack("<I", len(content.content)))))


def _copy(element: Element) -> Element:
    """An element of its own, for its value may be changed to another character set."""
    items = None if element.items is None else [[_copy(inner) for inner in item] for item in element.items]
    return Element(element.tag, element.vr, element.value, items, element.private_creator)


def _put_missing(document: Document, tag: int, vr: str, text: str) -> None:
    if document.find(tag) is None:
        _put(document, _ascii(tag, vr, text))


def _put(document: Document, element: Element) -> None:
    """Set an element, in the order of tags."""
    elements = document.elements
    place = next((i for i, other in enumerate(elements) if other.tag >= element.tag), len(elements))
    if place < len(elements) and elements[place].tag == element.tag:
        elements[place] = element
    else:
        elements.insert(place, element)


def _ascii(tag: int, vr: str, text: str) -> Element:
    value = text.encode("ascii")
    return Element(tag, vr, memoryview(value + (b"\0" if vr == "UI" else b" ") * (len(value) & 1)))
