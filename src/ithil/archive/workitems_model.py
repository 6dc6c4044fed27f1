"""A workitem as data: the DICOM JSON model (PS3.18 annex F), read strictly and looked at by tag.

Workitems come and go as DICOM JSON, are kept as it, and what is asked of them are a few values, so nothing
else is made of them. What a stranger sends is read into elements as the metadata of an image is, and written
again, so that there is one form of it: tags of eight upper case digits in ascending order, values of the type
that belongs to the VR. What does not fit is refused, without a word of it in the refusal.
"""

from __future__ import annotations

import re
from typing import Any

from ithil import error_codes as codes
from ithil.dicom import json_reader
from ithil.dicom.dataset import Dataset
from ithil.dicom.dictionary import format_tag, tag_vr
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.json_model import to_object
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.error_codes import CodedError

Attributes = dict[str, Any]
"""A data set: attributes by tag, each `{"vr": ..., "Value": [...]}`."""

LIMITS = ScanLimits(maximum_depth=16, maximum_elements=20_000)
"""How deep the sequences of a workitem may be, and how many attributes it may have with those of its items."""

_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+\Z")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_AFFECTED, _INSTANCE = "00001000", "00080018"  # a UID as messages and as data sets have it
_LARGEST_GROUP = 0x7FDF  # pixel data, signatures and padding lie above


def is_uid(text: str) -> bool:
    """Whether a text is a UID (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.match(text) is not None


def read_attributes(value: Any) -> Attributes:
    """The data set that a JSON value is. Raises CodedError (bad request)."""
    if not isinstance(value, dict):
        raise _refused("A workitem must be a JSON object")
    found = _canonical({name: one for name, one in value.items() if not name.startswith("0000")})
    if _AFFECTED in value:
        found[_AFFECTED] = _canonical({_INSTANCE: value[_AFFECTED]})[_INSTANCE]
    _check(found)
    return found


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


def _canonical(document: json_reader.Json) -> Attributes:
    """A data set as `json_model` writes it, once `json_reader` has found that a file could have it."""
    try:
        elements = json_reader.read(document, limits=LIMITS).elements
        return to_object(Dataset(elements, EXPLICIT_LITTLE))
    except DicomError as error:
        raise _refused(f"This is no workitem: {error}") from None


def _check(attributes: Attributes) -> None:
    """What a workitem cannot have, or not like that, although a file can."""
    for name, attribute in attributes.items():
        tag = int(name, 16)
        if tag >> 16 > _LARGEST_GROUP:
            raise _refused(f"A workitem cannot have {format_tag(tag)}")
        found = [one for one in attribute.get("Value", ()) if one is not None]
        if attribute["vr"] == "SQ":
            for item in found:
                _check(item)
        elif attribute["vr"] == "UI" and not all(is_uid(uid) for uid in found):
            raise _refused(f"{format_tag(tag)} must have UIDs as values")


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)
