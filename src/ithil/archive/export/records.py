"""What the directory of a medium says about an instance (PS3.3 F.5), taken from the instance's header.

Values go over as the bytes that they are, together with the SpecificCharacterSet they are written in, so no
character is lost. A key that the instance lacks has an empty value. Which type of record an instance gets
follows from its SOP class (PS3.3 F.4); what is of no special type is an IMAGE, as everything is in Orthanc.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ithil.dicom.dataset import Element, parse
from ithil.dicom.encoding import Buffer

_CHARSET = 0x00080005
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_MODALITY = 0x00080060
_PLAN_LABEL, _ENCAPSULATED_DOCUMENT = 0x300A0002, 0x00420011

Keys = tuple[tuple[int, str], ...]

_PATIENT: Keys = ((0x00100010, "PN"), (0x00100020, "LO"))
_STUDY: Keys = (
    (0x00080020, "DA"),
    (0x00080030, "TM"),
    (0x00080050, "SH"),
    (0x00081030, "LO"),
    (0x0020000D, "UI"),
    (0x00200010, "SH"),
)
_SERIES: Keys = ((_MODALITY, "CS"), (0x0020000E, "UI"), (0x00200011, "IS"))
_SERIES_DESCRIPTION = (0x0008103E, "LO")  # type 3, for extended directories only

_NUMBER = (0x00200013, "IS")
_CONTENT: Keys = ((0x00080023, "DA"), (0x00080033, "TM"), _NUMBER)
_CONCEPT = (0x0040A043, "SQ")
_LABELLED: Keys = (*_CONTENT, (0x00700080, "CS"), (0x00700081, "LO"), (0x00700084, "PN"))
_TREATED: Keys = (_NUMBER, (0x30080250, "DA"), (0x30080251, "TM"))

_INSTANCE: dict[str, Keys] = {
    "IMAGE": (_NUMBER,),
    "RT DOSE": (_NUMBER, (0x3004000A, "CS")),
    "RT STRUCTURE SET": (_NUMBER, (0x30060002, "SH"), (0x30060008, "DA"), (0x30060009, "TM")),
    "RT PLAN": (_NUMBER, (_PLAN_LABEL, "SH"), (0x300A0006, "DA"), (0x300A0007, "TM")),
    "RT TREAT RECORD": _TREATED,
    "PRESENTATION": (
        (0x00700080, "CS"),
        (0x00700081, "LO"),
        (0x00700082, "DA"),
        (0x00700083, "TM"),
        (0x00700084, "PN"),
        _NUMBER,
    ),
    "WAVEFORM": _CONTENT,
    "SR DOCUMENT": (*_CONTENT, _CONCEPT, (0x0040A491, "CS"), (0x0040A493, "CS")),
    "KEY OBJECT DOC": (*_CONTENT, _CONCEPT),
    "SPECTROSCOPY": ((0x00080008, "CS"), *_CONTENT, (0x00280008, "IS")),
    "RAW DATA": _CONTENT,
    "REGISTRATION": _LABELLED,
    "FIDUCIAL": _LABELLED,
    "VALUE MAP": _LABELLED,
    "STEREOMETRIC": _CONTENT,
    "ENCAP DOC": (*_CONTENT, _CONCEPT, (0x00420010, "ST"), (0x00420012, "LO")),
    "MEASUREMENT": _CONTENT,
    "SURFACE": _CONTENT,
    "SURFACE SCAN": _CONTENT,
    "TRACT": _CONTENT,
    "ASSESSMENT": _CONTENT,
    "ANNOTATION": _CONTENT,
    "RADIOTHERAPY": _CONTENT,
    "PLAN": _CONTENT,
}
"""The keys of each type of record, besides the reference to the file."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_TYPES = {
    **dict.fromkeys(("481.5", "481.8"), "RT PLAN"),
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    **dict.fromkeys(("481.4", "481.6", "481.7", "481.9"), "RT TREAT RECORD"),
    **dict.fromkeys(("9.100.1", "9.100.2"), "PRESENTATION"),
    "88.59": "KEY OBJECT DOC",
    "79.1": "SR DOCUMENT",
    "78.6": "SR DOCUMENT",
    "4.2": "SPECTROSCOPY",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "67": "VALUE MAP",
    "68.1": "SURFACE SCAN",
    "68.2": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    "80.1": "MEASUREMENT",
    "90.1": "ASSESSMENT",
    "91.1": "ANNOTATION",
    "131": "PRESENTATION",
}
_TYPES_BY_GROUP = {
    "9.": "WAVEFORM",
    "11.": "PRESENTATION",
    "88.": "SR DOCUMENT",
    "78.": "MEASUREMENT",
    "104.": "ENCAP DOC",
}
"""Types of records by what follows the common start of the UIDs of storage SOP classes."""

_RADIOTHERAPY_MODALITIES = (b"RTINTENT", b"RTSEGANN", b"RTRAD")
_TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_LONG_VRS = frozenset({"UC", "UR", "UT"})
_LONGEST_VALUE = 64 * 1024 - 2  # what the length field of a short VR holds, evenly
_DEEPEST = 4  # sequences in sequences

_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHI")
_ITEM = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Records:
    """The keys of the four records of one instance, encoded in Explicit VR Little Endian, without group 4."""

    patient: bytes
    study: bytes
    series: bytes
    instance: bytes
    kind: str  # the type of the last record
    sop_class: str
    sop_instance: str
    transfer_syntax: str


def describe(content: Buffer, *, extended: bool) -> Records:
    """The records for a DICOM file; `content` may end after its header.

    `extended` adds keys of type 3. Raises DicomError for a header that cannot be read.
    """
    dataset = parse(content)
    found = {element.tag: element for element in dataset.elements}
    series = (*_SERIES, _SERIES_DESCRIPTION) if extended and _SERIES_DESCRIPTION[0] in found else _SERIES
    kind = record_type(found)
    return Records(
        _keys(found, _PATIENT),
        _keys(found, _STUDY),
        _keys(found, series),
        _keys(found, _INSTANCE[kind]),
        kind,
        _text(found, _SOP_CLASS),
        _text(found, _SOP_INSTANCE),
        dataset.transfer_syntax_uid,
    )


def from_values(values: dict[int, str], sop_class: str, transfer_syntax: str) -> Records:
    """The records made of what the index knows, for an instance whose header cannot be read."""
    texts = {
        tag: Element(tag, vr, memoryview(values[tag].encode()))
        for tag, vr in (*_PATIENT, *_STUDY, *_SERIES, _NUMBER)
        if tag in values
    }
    texts[_CHARSET] = Element(_CHARSET, "CS", memoryview(b"ISO_IR 192"))
    return Records(
        _keys(texts, _PATIENT),
        _keys(texts, _STUDY),
        _keys(texts, _SERIES),
        _keys(texts, _INSTANCE["IMAGE"]),
        "IMAGE",
        sop_class,
        values.get(_SOP_INSTANCE, ""),
        transfer_syntax,
    )


def record_type(found: dict[int, Element]) -> str:
    """The type of the record for an instance with these elements (PS3.3 F.4)."""
    sop_class = _text(found, _SOP_CLASS)
    if sop_class.startswith(_STORAGE):
        rest = sop_class.removeprefix(_STORAGE)
        known = _TYPES.get(rest)
        if known is not None:
            return known
        for group, kind in _TYPES_BY_GROUP.items():
            if rest.startswith(group):
                return kind
    modality = bytes(found[_MODALITY].value).strip(b" \0") if _MODALITY in found else b""
    if modality in _RADIOTHERAPY_MODALITIES:
        return "RADIOTHERAPY"
    if modality == b"PLAN":
        return "PLAN"
    if _PLAN_LABEL in found:
        return "RT PLAN"
    return "ENCAP DOC" if _ENCAPSULATED_DOCUMENT in found else "IMAGE"


def _text(found: dict[int, Element], tag: int) -> str:
    element = found.get(tag)
    return "" if element is None else bytes(element.value).strip(b" \0").decode("ascii", "replace")


def _keys(found: dict[int, Element], keys: Keys) -> bytes:
    """The elements of a record, in the order of their tags, the character set among them if there is one."""
    every = sorted((*keys, (_CHARSET, "CS")) if _CHARSET in found else keys)
    return b"".join(_encoded(tag, vr, found.get(tag), 0) for tag, vr in every)


def _encoded(tag: int, vr: str, element: Element | None, depth: int) -> bytes:
    if vr == "SQ":
        return _sequence(tag, element.items if element is not None else None, depth)
    value = b"" if element is None or element.items is not None else bytes(element.value)
    return text_element(tag, vr, value if len(value) <= _LONGEST_VALUE else b"")


def text_element(tag: int, vr: str, value: bytes) -> bytes:
    """One element of a text VR, padded to an even length (PS3.5 6.2)."""
    if len(value) & 1:
        value += b"\0" if vr == "UI" else b" "
    if vr in _LONG_VRS:
        return _LONG.pack(tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(value)) + value
    return _SHORT.pack(tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


def _sequence(tag: int, items: list[list[Element]] | None, depth: int) -> bytes:
    """A sequence with the text of its items: the keys that are sequences hold codes, which are text."""
    body = b""
    for item in items or ():
        inside = b"".join(
            _encoded(element.tag, element.vr, element, depth + 1)
            for element in item
            if element.vr in _TEXT_VRS or (element.vr == "SQ" and depth < _DEEPEST)
        )
        body += _ITEM.pack(0xFFFE, 0xE000, len(inside)) + inside
        if len(body) > _LONGEST_VALUE:
            body = b""
            break
    return _LONG.pack(tag >> 16, tag & 0xFFFF, b"SQ", 0, len(body)) + body
