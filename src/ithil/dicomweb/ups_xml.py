"""Workitems as the Native DICOM Model (PS3.19 A.1), read and written: between XML and the DICOM JSON model.

A document is read by expat, which is told to stop at the first declaration of a document type, so that there
are no entities to expand and nothing outside to fetch. It becomes the JSON of the same data set, which then is
checked as every other.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from ithil import error_codes as codes
from ithil.dicom.dictionary import UNKNOWN_NAME, is_private, tag_name, tag_vr
from ithil.error_codes import CodedError

MOST_DEPTH = 128  # elements inside each other; a sequence takes two
_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_TAG = re.compile(r"[0-9A-Fa-f]{8}\Z")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV"})
_REALS = frozenset({"FL", "FD"})


def read_xml(content: bytes) -> dict[str, Any]:
    """The DICOM JSON of a document. Raises CodedError (bad request)."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=None)
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.buffer_text = True
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise _refused("The body is not XML") from error
    if reader.result is None:
        raise _refused("The body must be a NativeDicomModel")
    return reader.result


class _Reader:
    """Builds the data set while expat walks through the document."""

    def __init__(self) -> None:
        self.result: dict[str, Any] | None = None
        self._names: list[str] = []
        self._sets: list[dict[str, Any]] = []  # data sets that are open, the innermost last
        self._attributes: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._person: dict[str, dict[str, str]] = {}

    def start(self, name: str, given: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        parent = self._names[-1] if self._names else ""
        if len(self._names) >= MOST_DEPTH:
            raise _refused("The document is nested too deeply")
        if name not in _CHILDREN.get(parent, ()):
            raise _refused("The document does not follow the Native DICOM Model")
        self._names.append(name)
        self._texts = []
        if name in ("NativeDicomModel", "Item"):
            self._sets.append({})
        elif name == "DicomAttribute":
            tag = given.get("tag", "")
            self._attributes.append({"vr": given.get("vr") or _known_vr(tag)})
            self._sets[-1][tag] = self._attributes[-1]
        elif name == "BulkData":
            self._attributes[-1]["BulkDataURI"] = given.get("uri", "")
        elif name == "PersonName":
            self._person = {}
        elif name in _GROUPS:
            self._person[name] = {}

    def text(self, text: str) -> None:
        if self._names and self._names[-1] in _WITH_TEXT:
            self._texts.append(text)

    def end(self, name: str) -> None:
        name = self._names.pop()
        text = "".join(self._texts) if name in _WITH_TEXT else ""
        if name == "NativeDicomModel":
            self.result = self._sets.pop()
        elif name == "Item":
            self._add(self._sets.pop())
        elif name == "DicomAttribute":
            self._attributes.pop()
        elif name == "Value":
            self._add(_value(self._attributes[-1].get("vr", ""), text))
        elif name == "InlineBinary":
            self._attributes[-1]["InlineBinary"] = "".join(text.split())
        elif name in _PARTS:
            self._person[self._names[-1]][name] = text
        elif name == "PersonName":
            self._add(
                {
                    group: "^".join(parts.get(part, "") for part in _PARTS).rstrip("^")
                    for group, parts in self._person.items()
                }
            )
        self._texts = []

    def _add(self, value: Any) -> None:
        self._attributes[-1].setdefault("Value", []).append(value)


_CHILDREN = {
    "": ("NativeDicomModel",),
    "NativeDicomModel": ("DicomAttribute",),
    "Item": ("DicomAttribute",),
    "DicomAttribute": ("Value", "Item", "PersonName", "InlineBinary", "BulkData"),
    "PersonName": _GROUPS,
    **dict.fromkeys(_GROUPS, _PARTS),
}
_WITH_TEXT = frozenset({"Value", "InlineBinary", *_PARTS})


def _known_vr(tag: str) -> str:
    """The VR of an attribute that does not state it; PS3.19 says that it shall."""
    return tag_vr(int(tag, 16)) if _TAG.match(tag) else ""


def _value(vr: str, text: str) -> Any:
    if not text:
        return None
    try:
        if vr in _NUMBERS:
            return int(text) if len(text) <= 24 else text
        if vr in _REALS:
            return float(text) if text not in ("NaN", "Infinity", "-Infinity") else text
    except ValueError:
        pass  # it is refused as what it is not
    return text


def _refuse_document_type(*_: Any) -> None:
    raise _refused("The document may not declare a document type")


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)


# -- writing -------------------------------------------------------------------------------------------------


def write_xml(attributes: dict[str, Any]) -> bytes:
    """The document of a data set in the DICOM JSON model."""
    lines: list[str] = []
    _write(attributes, lines)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">'
    return (head + "".join(lines) + "</NativeDicomModel>\n").encode("utf-8", "replace")


def _write(attributes: dict[str, Any], lines: list[str]) -> None:
    for tag, attribute in attributes.items():
        name = tag_name(int(tag, 16)).removeprefix("RETIRED_") if not is_private(int(tag, 16)) else ""
        keyword = f' keyword="{_clean(name)}"' if name and name != UNKNOWN_NAME else ""
        lines.append(f'<DicomAttribute tag="{tag}" vr="{attribute["vr"]}"{keyword}>')
        if "InlineBinary" in attribute:
            lines.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
        for number, value in enumerate(attribute.get("Value", ()), 1):
            if attribute["vr"] == "SQ":
                lines.append(f'<Item number="{number}">')
                _write(value or {}, lines)
                lines.append("</Item>")
            elif attribute["vr"] == "PN":
                lines.append(f'<PersonName number="{number}">{_person(value or {})}</PersonName>')
            else:
                text = "" if value is None else _clean(str(value))
                lines.append(f'<Value number="{number}">{text}</Value>')
        lines.append("</DicomAttribute>")


def _person(value: dict[str, str]) -> str:
    groups = []
    for group in _GROUPS:
        parts = value.get(group, "").split("^")
        named = [(name, part) for name, part in zip(_PARTS, parts, strict=False) if part]
        if named:
            inner = "".join(f"<{name}>{_clean(part)}</{name}>" for name, part in named)
            groups.append(f"<{group}>{inner}</{group}>")
    return "".join(groups)


def _clean(text: str) -> str:
    """Text for XML 1.0, which has no place for control characters, not even escaped."""
    return escape(_NOT_XML.sub("", text), {'"': "&quot;"})
