"""JSON values as the XML that `Accept: application/xml` asks for.

Objects become elements named by their keys, items of arrays become elements named `item`. Keys such as
`0010,0020` are not names in XML's sense; Orthanc writes them as they are and its clients expect them so.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

_HEADER = '<?xml version="1.0" encoding="utf-8"?>\n'


def to_xml(value: Any) -> bytes:
    """The document whose root element `root` holds `value`."""
    lines: list[str] = []
    _write("root", value, "", lines)
    return (_HEADER + "\n".join(lines) + "\n").encode("utf-8", "replace")


def _write(name: str, value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict):
        children = [(_name(key), value[key]) for key in sorted(value)]
    elif isinstance(value, (list, tuple)):
        children = [("item", item) for item in value]
    else:
        lines.append(f"{indent}<{name}>{escape(_text(value))}</{name}>")
        return
    if not children:
        lines.append(f"{indent}<{name} />")
        return
    lines.append(f"{indent}<{name}>")
    for child_name, child in children:
        _write(child_name, child, indent + "  ", lines)
    lines.append(f"{indent}</{name}>")


def _name(key: str) -> str:
    """A key without the characters that would end the tag."""
    return "".join(character for character in key if character not in "<>&\"'/ \t\r\n") or "item"


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    # Control characters have no place in XML 1.0, not even escaped.
    return "".join(c for c in str(value) if c >= " " or c in "\t\n\r")
