"""Reads the table of private data elements, `private_tags.txt`, on first use.

It is the table that Orthanc names private elements from; pydicom's has other names for the same elements.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, tuple[str, str]]]:
    """By creator and then by `gggg ee`: VR and name."""
    table: dict[str, dict[str, tuple[str, str]]] = {}
    block: dict[str, tuple[str, str]] = {}
    text = Path(__file__).with_name("private_tags.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            block = table.setdefault(line[1:-1], {})
        elif not line.startswith("#"):
            group, element, vr, name = line.split(" ", 3)
            block[f"{group} {element}"] = (vr, name)
    return table


def private_entry(tag: int, creator: str) -> tuple[str, str] | None:
    """VR and name of a private element in a block of this creator, or None if the table has none."""
    block = _table().get(creator)
    if block is None:
        return None
    group, element = f"{tag >> 16:04x}", f"{tag & 0xFF:02x}"
    return block.get(f"{group} {element}") or block.get(f"{group[:2]}xx {element}")
