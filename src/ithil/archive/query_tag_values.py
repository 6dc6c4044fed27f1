"""What an instance has in the declared query tags: from its elements to rows of the index.

Values are checked against the VR of the declaration. What is unfit is not kept, and the reason is noted instead, for
a search that silently passes over an instance is worse than one that is known to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ithil.archive.index.query_tag_conditions import NUMBER_VRS, as_number
from ithil.archive.index.query_tags import QueryTag, Value
from ithil.archive.matching import fold
from ithil.dicom import charsets
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Dataset, Element, decoder_of, parse
from ithil.dicom.encoding import Buffer, ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.scan import Scan
from ithil.dicom.values import TEXT_VRS, clean_text, value_text

VRS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UC", "UI", "UR"}) | NUMBER_VRS
"""VRs that tags can be declared with."""

LONGEST = 512
"""Characters of a value that is kept; PostgreSQL's indexes take 2,704 bytes."""

MOST_ROWS = 4000
"""Values of one tag in one instance that are kept, the whole ones of several included."""

_Row = tuple[str, str, float | None]  # norm, value, number

_FORMS = {
    "AS": re.compile(r"[0-9]{3}[DWMY]\Z"),
    "DA": re.compile(r"[0-9]{8}\Z"),
    "DT": re.compile(r"[0-9]{4,14}(\.[0-9]{1,6})?([+-][0-9]{4})?\Z"),
    "TM": re.compile(r"[0-9]{2,6}(\.[0-9]{1,6})?\Z"),
    "UI": re.compile(r"[0-9.]{1,64}\Z"),
}
_OLD_SEPARATORS = {"DA": ".", "TM": ":"}  # of ACR-NEMA, which PS3.5 6.2 lets readers accept
_TOO_LONG = "The value is too long"
_TOO_MANY = f"There are more than {MOST_ROWS} values"
UNREADABLE = "The header of the file cannot be read"


def of_file(
    buffer: Buffer, tags: Sequence[QueryTag], limits: ScanLimits, default_encoding: str
) -> tuple[Value, ...]:
    """What a file has in the tags; never raises. No view of `buffer` is left when this returns."""
    try:
        return of_dataset(parse(buffer, limits=limits, default_encoding=default_encoding), tags)
    except DicomError:
        return unreadable(tags)


def unreadable(tags: Sequence[QueryTag]) -> tuple[Value, ...]:
    """What is kept of a file that cannot be read."""
    return tuple(Value(tag, (), UNREADABLE) for tag in tags)


def of_dataset(dataset: Dataset, tags: Sequence[QueryTag]) -> tuple[Value, ...]:
    """What the elements of an instance have in the tags; those that are absent or empty are left out."""
    inherited = charsets.decoder(None, dataset.default_encoding)
    found = []
    for tag in tags:
        value = _value(dataset, tag, inherited)
        if value.rows or value.reason:
            found.append(value)
    return tuple(found)


def of_scan(scanned: Scan, tags: Sequence[QueryTag]) -> tuple[Value, ...]:
    """The same from what the scanner found, for tags that it can find (see `is_scanned`)."""
    found = []
    for tag in tags:
        text = scanned.tags.get(tag.path[0])
        if text:
            found.append(_kept(tag, (text.replace("\0", ""),)))
        elif tag.path[0] in scanned.too_long:
            found.append(Value(tag, (), _TOO_LONG))
    return tuple(found)


def is_scanned(tag: QueryTag) -> bool:
    """Whether the scanner finds the tag: it is of the standard, and in no sequence."""
    return len(tag.path) == 1 and not tag.private_creator


def _value(dataset: Dataset, tag: QueryTag, inherited: Decoder) -> Value:
    leaves = _leaves(dataset.elements, tag, 0, inherited, dataset.default_encoding)
    return _kept(tag, (_text(element, tag.vr, decode, dataset.sign) for element, decode in leaves))


def _kept(tag: QueryTag, texts: Iterable[str | None]) -> Value:
    rows: dict[str, _Row] = {}
    reason = ""
    for text in texts:
        if text is None:
            reason = f"The value is not of the VR {tag.vr}"
            continue
        if max(len(text), len(fold(text))) > LONGEST:
            reason = _TOO_LONG
            continue
        if len(rows) >= MOST_ROWS:
            reason = _TOO_MANY
            break
        parts = text.split("\\") if tag.vr != "UR" else [text]
        if len(parts) > 1:
            rows.setdefault(text.strip(), (fold(text), text.strip(), None))  # its form says nothing
        for part in map(str.strip, parts):
            row = _row(part, tag.vr) if part else None
            if row is not None:
                rows.setdefault(part, row)
            elif part:
                reason = f"The value is not of the VR {tag.vr}"
    return Value(tag, tuple(rows.values()), reason)


def _leaves(
    elements: list[Element], tag: QueryTag, depth: int, inherited: Decoder, default_encoding: str
) -> Iterator[tuple[Element, Decoder]]:
    """The elements that the path leads to, one in each item that has it."""
    decode = decoder_of(elements, inherited, default_encoding)
    element = _find(elements, tag.path[depth], tag.private_creator)
    if element is None:
        return
    if depth + 1 == len(tag.path):
        if element.items is None and len(element.value):
            yield element, decode
        return
    for item in element.items or ():
        yield from _leaves(item, tag, depth + 1, decode, default_encoding)


def _find(elements: list[Element], wanted: int, creator: str) -> Element | None:
    """The element with that tag; of a private one the block is the one that its creator has in this data set."""
    if creator and wanted & 0x10000:
        for element in elements:
            if (element.tag ^ wanted) & 0xFFFF00FF == 0 and element.private_creator == creator:
                return element
        return None
    for element in elements:
        if element.tag == wanted:
            return element
    return None


def _text(element: Element, vr: str, decode: Decoder, sign: str) -> str | None:
    """The text of a value. The VR of the file counts, unless it says nothing."""
    known = vr if element.vr in ("UN", "OB") else element.vr
    raw = bytes(element.value[: 8 * LONGEST])  # of the longest there are 4 bytes a character
    text = clean_text(raw, decode) if known in TEXT_VRS else value_text(known, raw, decode, sign)
    return None if text is None else text.replace("\0", "")


def _row(text: str, vr: str) -> _Row | None:
    if vr in _OLD_SEPARATORS:
        text = text.replace(_OLD_SEPARATORS[vr], "") if vr == "TM" else _date(text)
    form = _FORMS.get(vr)
    if form is not None and not form.match(text):
        return None
    number = as_number(vr, text) if vr in NUMBER_VRS else None
    if number is None and vr in NUMBER_VRS:
        return None
    return fold(text), text, number


def _date(text: str) -> str:
    return text.replace(".", "") if len(text) == 10 else text
