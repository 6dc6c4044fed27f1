"""Where a private element goes: into the block that its creator has reserved, or reserves now (PS3.5 7.8.1)."""

from __future__ import annotations

from bisect import bisect_left

from ithil.dicom.dataset import Element
from ithil.edit.values import Encoder, element_of


def place_private(elements: list[Element], tag: int, creator: str, encode: Encoder) -> int:
    """The tag that the private element `tag` of `creator` has among `elements`.

    That is its own if its block is free or the creator's. If another creator has the block, it is one in
    another block of the group. The element that reserves the block is added where it is missing.
    """
    group, block = tag & 0xFFFF0000, tag >> 8 & 0xFF
    reserved = {
        element.tag & 0xFF: bytes(element.value).rstrip(b" \0").decode("latin_1")
        for element in elements
        if element.tag & 0xFFFF0000 == group and 0x10 <= element.tag & 0xFFFF <= 0xFF
    }
    mine = [number for number, owner in reserved.items() if owner == creator]
    if mine and block not in mine:
        block = mine[0]
    elif reserved.get(block, creator) != creator or block < 0x10:
        block = next((number for number in range(0x10, 0x100) if number not in reserved), block)
    if block not in reserved and block >= 0x10:
        owner = element_of(group | block, creator, encode, "<")
        place = bisect_left(elements, owner.tag, key=lambda element: element.tag)
        elements.insert(place, owner)
    return group | block << 8 | tag & 0xFF
