"""Results of a search as a table for people: CSV (RFC 4180), a line for each result, a column for each attribute.

Spreadsheets run what begins like a formula, and whoever sends an image can put one into a name. So text that
begins with such a character gets an apostrophe before it, which spreadsheets take for "this is text".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from ithil.dicom.dictionary import UNKNOWN_NAME, tag_name
from ithil.dicom.json_model import Json

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_QUOTED = frozenset('",\r\n\t')


def lines(tags: Sequence[int], batches: Iterable[Sequence[Json]]) -> Iterator[bytes]:
    """The table in pieces; the first line has the keywords of the attributes."""
    names = [f"{tag:08X}" for tag in tags]
    yield _line([_title(tag) for tag in tags])
    for batch in batches:
        yield b"".join(_line([_cell(one.get(name)) for name in names]) for one in batch)


def _title(tag: int) -> str:
    name = tag_name(tag)
    return f"{tag:08X}" if name == UNKNOWN_NAME else name.removeprefix("RETIRED_")


def _line(cells: Iterable[str]) -> bytes:
    return (",".join(map(_written, cells)) + "\r\n").encode("utf-8", "replace")


def _written(cell: str) -> str:
    if _QUOTED.isdisjoint(cell):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def _cell(attribute: Json | None) -> str:
    """The values of an attribute with backslashes between them, as DICOM has them."""
    if attribute is None:
        return ""
    if attribute["vr"] == "SQ":
        return _safe(orjson.dumps(attribute.get("Value", [])).decode())
    values: list[Any] = attribute.get("Value", [])
    if len(values) == 1 and isinstance(values[0], int | float):
        return str(values[0])
    return _safe("\\".join(_text(value) for value in values))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip(
            "="
        )
    return "" if value is None else str(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_DANGEROUS) else text
