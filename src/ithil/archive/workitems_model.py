"""A workitem as data: the DICOM JSON model (PS3.18 annex F), read strictly and looked at by tag.

Workitems come and go as DICOM JSON, are kept as it, and what is asked of them are a few values, so nothing
else is made of them. What a stranger sends is read here into one form: tags of eight upper case digits in
ascending order, the VR that the dictionary has for the tag, values of the type that belongs to the VR. What
does not fit is refused, without a word of it in the refusal.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from ithil import error_codes as codes
from ithil.dicom.dictionary import format_tag, is_private, is_private_creator, may_be_signed, tag_vr
from ithil.error_codes import CodedError

Attributes = dict[str, Any]
"""A data set: attributes by tag, each `{"vr": ..., "Value": [...]}`."""

MOST_ELEMENTS = 20_000
MOST_DEPTH = 16
LONGEST_TEXT = 64 * 1024  # characters of one value

CHARACTER_SET = "00080005"

_TAG = re.compile(r"[0-9A-Fa-f]{8}\Z")
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+\Z")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_WORDS = frozenset({"US", "SS", "OW", "OB"})  # between which PixelRepresentation decides
_LARGEST_GROUP = 0x7FDF  # pixel data, signatures and padding lie above


def is_uid(text: str) -> bool:
    """Whether a text is a UID (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.match(text) is not None


def read_attributes(value: Any) -> Attributes:
    """The data set that a JSON value is. Raises CodedError (bad request)."""
    return _data_set(value, [MOST_ELEMENTS], 0, "")


# -- looking at a data set -----------------------------------------------------------------------------------


def values(attributes: Attributes, tag: str) -> list[Any]:
    """The values of an attribute that are not null; [] if it is absent or empty."""
    found = attributes.get(tag)
    return [one for one in found.get("Value", ()) if one is not None] if found is not None else []


def items(attributes: Attributes, tag: str) -> list[Attributes]:
    """The items of a sequence that are not empty."""
    return [one for one in values(attributes, tag) if isinstance(one, dict) and one]


def text(attributes: Attributes, tag: str) -> str:
    """The first value of an attribute as text without blanks around it, "" if there is none."""
    found = values(attributes, tag)
    return as_text(found[0]).strip() if found else ""


def as_text(value: Any) -> str:
    """One value as DICOM writes it; the groups of a name between equals signs."""
    if isinstance(value, dict):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    return str(value)


def has_value(attributes: Attributes, tag: str) -> bool:
    """Whether an attribute is there and not empty."""
    found = attributes.get(tag)
    if found is None:
        return False
    return "InlineBinary" in found or any(one not in ("", {}) for one in values(attributes, tag))


def put(attributes: Attributes, tag: str, *found: Any) -> None:
    """Set an attribute; without values it is empty."""
    attributes[tag] = {"vr": tag_vr(int(tag, 16)), **({"Value": list(found)} if found else {})}


def in_order(attributes: Attributes) -> Attributes:
    """The same in ascending order of tags."""
    return {tag: attributes[tag] for tag in sorted(attributes)}


# -- reading -------------------------------------------------------------------------------------------------


def _data_set(value: Any, left: list[int], depth: int, within: str) -> Attributes:
    if not isinstance(value, dict):
        raise _refused(f"A data set{within} must be a JSON object")
    if depth > MOST_DEPTH:
        raise _refused(f"Sequences may be {MOST_DEPTH} levels deep")
    found: Attributes = {}
    for name, element in value.items():
        left[0] -= 1
        if left[0] < 0:
            raise _refused(f"A workitem may have {MOST_ELEMENTS} attributes")
        if _TAG.match(name) is None:
            raise _refused(f"The names of attributes{within} must be tags of eight hexadecimal digits")
        tag = int(name, 16)
        if not tag & 0xFFFF or (tag >> 16 < 8 and depth):
            continue  # lengths of groups
        if tag >> 16 > _LARGEST_GROUP:
            raise _refused(f"A workitem cannot have {format_tag(tag)}")
        found[f"{tag:08X}"] = _element(tag, element, left, depth)
    if CHARACTER_SET in found:
        found[CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return in_order(found)


def _element(tag: int, element: Any, left: list[int], depth: int) -> Attributes:
    name = format_tag(tag)
    if not isinstance(element, dict):
        raise _refused(f"{name} must be a JSON object")
    vr = _vr(tag, element.get("vr"))
    if "BulkDataURI" in element:
        raise _refused(f"{name}: a workitem has its values with it, not as bulk data")
    binary = element.get("InlineBinary")
    if vr in _BINARY:
        if binary is None:
            if element.get("Value"):
                raise _refused(f"{name} must have its value as InlineBinary")
            return {"vr": vr}
        return {"vr": vr, "InlineBinary": _base64(binary, name)} if binary else {"vr": vr}
    given = element.get("Value", [])
    if binary is not None or not isinstance(given, list):
        raise _refused(f"{name} must have its values as an array")
    if vr == "SQ":
        inner = f" in {name}"
        converted: list[Any] = [_data_set(one or {}, left, depth + 1, inner) for one in given]
    else:
        convert = _CONVERSIONS[vr]
        left[0] -= len(given)
        if left[0] < 0:
            raise _refused(f"A workitem may have {MOST_ELEMENTS} attributes and values")
        converted = [None if one is None else convert(one, name) for one in given]
    return {"vr": vr, "Value": converted} if converted else {"vr": vr}


def _vr(tag: int, given: Any) -> str:
    """The VR of an attribute: that of the dictionary, which a stated one must be."""
    known = "LO" if is_private_creator(tag) else "UN" if is_private(tag) else tag_vr(tag)
    if given is None:
        return known
    if given not in _CONVERSIONS and given not in _BINARY and given != "SQ":
        raise _refused(f"{format_tag(tag)} has a VR that there is not")
    if known in ("UN", given) or given == "UN":
        return str(given) if known == "UN" else known
    if {known, given} <= _WORDS and (may_be_signed(tag) or known in ("OW", "OB")):
        return str(given)
    raise _refused(f"{format_tag(tag)} has the VR {known}, not {given}")


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > LONGEST_TEXT:
        raise _refused(f"{name} must have texts as values")
    return value


def _number_text(value: Any, name: str) -> Any:
    """DS and IS: a number, or its text (PS3.18 F.2.3)."""
    return value if _is_number(value) else _string(value, name)


def _person(value: Any, name: str) -> Any:
    if isinstance(value, str):  # the form of the first edition of the model
        parts = _string(value, name).split("=")
        return {group: part for group, part in zip(_GROUPS, parts, strict=False) if part}
    if not isinstance(value, dict) or not set(value) <= set(_GROUPS):
        raise _refused(f"{name} must have names as values")
    return {group: _string(value[group], name) for group in _GROUPS if value.get(group)}


def _integer(value: Any, name: str) -> Any:
    if isinstance(value, str) and re.match(r"[+-]?[0-9]{1,20}\Z", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _refused(f"{name} must have whole numbers as values")


def _real(value: Any, name: str) -> Any:
    if _is_number(value) or value in ("NaN", "Infinity", "-Infinity"):
        return value
    raise _refused(f"{name} must have numbers as values")


def _tag(value: Any, name: str) -> str:
    if not isinstance(value, str) or _TAG.match(value) is None:
        raise _refused(f"{name} must have tags as values")
    return value.upper()


def _uid(value: Any, name: str) -> str:
    uid = _string(value, name).strip()
    if uid and not is_uid(uid):
        raise _refused(f"{name} must have UIDs as values")
    return uid


def _base64(value: Any, name: str) -> str:
    try:
        return base64.b64encode(base64.b64decode(value, validate=True)).decode("ascii")
    except (binascii.Error, TypeError, ValueError):
        raise _refused(f"{name} must have Base64 as InlineBinary") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)


_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_CONVERSIONS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UR", "UT"), _string),
    **dict.fromkeys(("DS", "IS"), _number_text),
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV"), _integer),
    **dict.fromkeys(("FL", "FD"), _real),
    "AT": _tag,
    "PN": _person,
    "UI": _uid,
}
