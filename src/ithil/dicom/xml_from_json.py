"""An object of the DICOM JSON Model as a document of the Native DICOM Model (PS3.18 F, PS3.19 A.1).

For answers that are not data sets of a file, such as results of searches: they are made once, as objects, and
written in whichever model the client asks for.
"""

from __future__ import annotations

from typing import Any

from ithil.dicom.json_model import Json
from ithil.dicom.xml_model import GROUPS, HEAD, escaped, keyword_of, person_groups


def object_to_xml(value: Json) -> bytes:
    """The document with the attributes of one object, in their order."""
    pieces = [HEAD]
    _attributes(value, pieces)
    pieces.append("</NativeDicomModel>\n")
    return "".join(pieces).encode("utf-8", "replace")


def _attributes(value: Json, pieces: list[str]) -> None:
    for name, attribute in value.items():
        vr = attribute["vr"]
        keyword = keyword_of(int(name, 16))
        named = f' keyword="{escaped(keyword)}"' if keyword else ""
        pieces.append(f'<DicomAttribute tag="{name}" vr="{vr}"{named}>')
        if "BulkDataURI" in attribute:
            pieces.append(f'<BulkData uri="{escaped(attribute["BulkDataURI"])}"/>')
        elif "InlineBinary" in attribute:
            pieces.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
        else:
            for number, one in enumerate(attribute.get("Value", ()), 1):
                _value(vr, number, one, pieces)
        pieces.append("</DicomAttribute>")


def _value(vr: str, number: int, value: Any, pieces: list[str]) -> None:
    if vr == "SQ":
        pieces.append(f'<Item number="{number}">')
        _attributes(value or {}, pieces)
        pieces.append("</Item>")
    elif vr == "PN":
        groups = "=".join((value or {}).get(group, "") for group in GROUPS)
        pieces.append(f'<PersonName number="{number}">{person_groups(groups)}</PersonName>')
    else:
        pieces.append(f'<Value number="{number}">{"" if value is None else escaped(str(value))}</Value>')
