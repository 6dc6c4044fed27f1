"""Reading the Native DICOM Model (PS3.19 A.1): from `application/dicom+xml` to the DICOM JSON Model.

Both models say the same, so an XML document is only brought into the shape of the other one, and
`json_reader` alone decides what a data set may hold. Documents with a DOCTYPE are refused, and with it all
entities, so that a document is never larger than its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from ithil.dicom.dictionary import is_private
from ithil.dicom.encoding import DEFAULT_LIMITS, ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.json_reader import Json

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_MOST_VALUES = 10_000_000
_STEPS_OF_A_LEVEL = 2  # an attribute and an item
_STEPS_OF_A_VALUE = 4  # PersonName, its group, its part

_Names = dict[str, dict[str, str]]


@dataclass(slots=True)
class _Attribute:
    """A DicomAttribute that is being read; `values` by their numbers."""

    tag: str
    vr: str
    creator: str
    values: dict[int, Any] = field(default_factory=dict)
    inline: str | None = None
    uri: str | None = None


def load(document: bytes, limits: ScanLimits = DEFAULT_LIMITS) -> list[Json]:
    """The data sets of a document as objects of the DICOM JSON Model. Raises DicomError."""
    return _Reader(limits).run(document)


class _Reader:
    def __init__(self, limits: ScanLimits) -> None:
        self._deepest = limits.maximum_depth * _STEPS_OF_A_LEVEL + _STEPS_OF_A_VALUE + 2
        self._found: list[Json] = []
        self._path: list[str] = []
        self._sets: list[Json] = []
        self._attributes: list[_Attribute] = []
        self._numbers: list[int] = []
        self._person: _Names = {}
        self._group = ""
        self._text: list[str] = []
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = self._doctype
        self._parser = parser

    def run(self, document: bytes) -> list[Json]:
        try:
            self._parser.Parse(document, True)
        except expat.ExpatError as error:
            raise DicomError(f"the document is not valid XML in line {error.lineno}") from None
        except (ValueError, LookupError) as error:
            if isinstance(error, DicomError):
                raise
            raise DicomError("the document is not valid XML") from None
        if not self._found:
            raise DicomError("the document holds no NativeDicomModel")
        return self._found

    def _doctype(self, *_: object) -> None:
        raise DicomError("the XML document has a DOCTYPE, which is not allowed")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if len(self._path) > self._deepest:
            raise DicomError("sequences are nested too deeply")
        self._text.clear()
        if name == "NativeDicomModel":
            if self._sets:
                raise DicomError("a NativeDicomModel is in another one")
            self._sets.append({})
        elif name == "DicomAttribute" and parent in ("NativeDicomModel", "Item"):
            get = attributes.get
            self._attributes.append(_Attribute(get("tag", ""), get("vr", ""), get("privateCreator", "")))
        elif name in ("Value", "Item", "PersonName") and parent == "DicomAttribute":
            self._numbers.append(self._number(attributes.get("number")))
            if name == "Item":
                self._sets.append({})
            self._person = {}
        elif name == "BulkData" and parent == "DicomAttribute":
            self._attributes[-1].uri = attributes.get("uri") or attributes.get("uuid") or ""
        elif name in _GROUPS and parent == "PersonName":
            self._group = name
            self._person[name] = {}
        elif not (name == "InlineBinary" and parent == "DicomAttribute") and not (
            name in _NAME_PARTS and parent in _GROUPS
        ):
            self._unexpected(parent)

    def _unexpected(self, parent: str) -> None:
        """Something around the data sets is passed over; inside of one it is refused."""
        if self._sets or parent in ("DicomAttribute", "Value"):
            raise DicomError("the document is not of the Native DICOM Model")

    def _number(self, text: str | None) -> int:
        values = self._attributes[-1].values
        if text is None:
            return len(values) + 1
        if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= _MOST_VALUES:
            raise DicomError("the number of a value is not one")
        return int(text[:9])

    def _end(self, name: str) -> None:
        name = name.rpartition(" ")[2]
        self._path.pop()
        text = "".join(self._text)
        self._text.clear()
        parent = self._path[-1] if self._path else ""
        if name == "NativeDicomModel":
            self._found.append(self._sets.pop())
        elif name == "DicomAttribute" and self._attributes:
            _add(self._sets[-1], self._attributes.pop())
        elif name == "Value" and self._attributes:
            self._put(text or None)
        elif name == "Item" and self._attributes:
            self._put(self._sets.pop())
        elif name == "PersonName" and self._attributes:
            self._put(_person(self._person))
        elif name == "InlineBinary" and self._attributes:
            self._attributes[-1].inline = "".join(text.split())
        elif name in _NAME_PARTS and parent in _GROUPS:
            if "^" in text:
                raise DicomError("a part of a person's name holds a caret")
            self._person[self._group][name] = text

    def _put(self, value: object) -> None:
        number = self._numbers.pop()
        values = self._attributes[-1].values
        if number in values:
            raise DicomError("a value has the number of another one")
        values[number] = value


def _person(groups: _Names) -> Json | None:
    """A name as the JSON model has it (PS3.18 F.2.2)."""
    made = {
        group: "^".join(parts.get(name, "") for name in _NAME_PARTS).rstrip("^")
        for group, parts in groups.items()
    }
    return {group: text for group, text in made.items() if text} or None


def _add(dataset: Json, read: _Attribute) -> None:
    """Put what was read into its data set."""
    name = _place(dataset, read)
    if name in dataset:
        raise DicomError("an attribute is there twice")
    result: Json = {"vr": read.vr} if read.vr else {}
    if read.values:
        # Numbers that are left out are empty values, and few of them fill a file of any size.
        count = max(read.values)
        if count > 2 * len(read.values) + 100:
            raise DicomError("the values of an attribute are not numbered one after the other")
        result["Value"] = [read.values.get(number) for number in range(1, count + 1)]
    if read.inline is not None:
        result["InlineBinary"] = read.inline
    if read.uri is not None:
        result["BulkDataURI"] = read.uri
    dataset[name] = result


def _place(dataset: Json, read: _Attribute) -> str:
    """The tag of an attribute; a private one that names its creator but no block goes into the creator's."""
    name = read.tag.upper()
    if not read.creator or len(name) != 8 or not name.isalnum() or not name.isascii():
        return name
    try:
        tag = int(name, 16)
    except ValueError:
        return name
    if not is_private(tag) or tag & 0xFFFF >= 0x1000:
        return name
    for block in range(0x10, 0x100):
        key = f"{tag & 0xFFFF0000 | block:08X}"
        owner = dataset.setdefault(key, {"vr": "LO", "Value": [read.creator]})
        if owner.get("Value") == [read.creator]:
            return f"{tag & 0xFFFF0000 | block << 8 | tag & 0xFF:08X}"
    raise DicomError("a group has no room for another private creator")
