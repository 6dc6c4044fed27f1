"""Small DICOM images made byte by byte, honest or not, and a way to look at the pixels of any file's bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from ithil.dicom import dataset
from ithil.dicom.frames import FrameIndex, frame_index
from ithil.dicom.scan import PIXEL_DATA_TAGS, scan
from ithil.dicom.uids import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE
from ithil.pixels.decode import Samples, decode_frame
from ithil.pixels.description import PixelDescription, describe
from ithil.pixels.frame_bytes import read_frame
from tests.data.datasets import body, element, implicit, part10, undefined_sequence

Elements = Mapping[int, tuple[str, bytes] | bytes]


def us(*numbers: int) -> tuple[str, bytes]:
    """An element of unsigned shorts."""
    return "US", struct.pack(f"<{len(numbers)}H", *numbers)


def ds(*numbers: float | str) -> tuple[str, bytes]:
    """An element of decimal strings."""
    return text("DS", "\\".join(map(str, numbers)))


def text(vr: str, value: str) -> tuple[str, bytes]:
    """An element of text, padded to an even length."""
    return vr, (value + " " * (len(value) % 2)).encode()


def header(rows: int, columns: int, bits: int = 8, **more: int | str) -> dict[int, tuple[str, bytes] | bytes]:
    """The Image Pixel module; `more` are `samples`, `stored`, `high`, `signed`, `photometric`, `planar`, `frames`."""
    stored = int(more.get("stored", bits))
    samples = int(more.get("samples", 1))
    elements: dict[int, tuple[str, bytes] | bytes] = {
        0x00280002: us(samples),
        0x00280004: text("CS", str(more.get("photometric", "RGB" if samples == 3 else "MONOCHROME2"))),
        0x00280010: us(rows),
        0x00280011: us(columns),
        0x00280100: us(bits),
        0x00280101: us(stored),
        0x00280102: us(int(more.get("high", stored - 1))),
        0x00280103: us(int(more.get("signed", 0))),
    }
    if samples == 3:
        elements[0x00280006] = us(int(more.get("planar", 0)))
    if "frames" in more:
        elements[0x00280008] = text("IS", str(more["frames"]))
    return elements


def native(head: Elements, pixels: bytes, extra: Elements | None = None, *, vr: str = "OW") -> bytes:
    """A file of explicit little endian with native pixel data."""
    padded = pixels + b"\0" * (len(pixels) % 2)
    return part10(body({**head, **(extra or {}), 0x7FE00010: (vr, padded)}), EXPLICIT_LITTLE)


def encapsulated(
    head: Elements, fragments: Sequence[bytes], transfer_syntax: str, extra: Elements | None = None
) -> bytes:
    """A file with these fragments and an empty offset table."""
    items = b"".join(implicit(0xFFFEE000, part + b"\0" * (len(part) % 2)) for part in (b"", *fragments))
    pixel_data = undefined_sequence(0x7FE00010, items, "OB")
    return part10(body({**head, **(extra or {}), 0x7FE00010: pixel_data}), transfer_syntax)


def big_endian(head: Elements, pixels: bytes, *, vr: str = "OW") -> bytes:
    """A file of explicit big endian; `pixels` are as they lie in the file."""
    elements = body_elements(head)
    parts = [
        element(tag, vr_, value[::-1] if vr_ == "US" else value, big=True)
        for tag, (vr_, value) in sorted(elements.items())
    ]
    parts.append(element(0x7FE00010, vr, pixels + b"\0" * (len(pixels) % 2), big=True))
    return part10(b"".join(parts), EXPLICIT_BIG)


def body_elements(head: Elements) -> dict[int, tuple[str, bytes]]:
    """The elements of a header that are not bytes already."""
    return {tag: value for tag, value in head.items() if isinstance(value, tuple)}


class Pixels:
    """What the bytes of a file hold, without an archive."""

    def __init__(self, content: bytes) -> None:
        found = scan(content, frozenset())
        self.inline: bytes | None = None
        if found.transfer_syntax_uid == DEFLATED:
            parsed = dataset.parse(content, stop_at_pixel_data=False)
            value = next(e for e in parsed.elements if e.tag in PIXEL_DATA_TAGS)
            self.content = bytes(value.value)
            self.description: PixelDescription = describe(parsed, pixel_tag=value.tag, pixel_vr=value.vr)
            self.index = FrameIndex(1, 0, len(self.content))
            return
        self.content = content
        parsed = dataset.parse(content[: found.pixel_data_offset])
        self.description = describe(parsed, pixel_tag=found.pixel_data_tag or 0, pixel_vr=found.pixel_data_vr)
        self.index = frame_index(content, found)

    def frame(self, number: int = 0) -> Samples:
        """The decoded samples of a frame."""
        stored = read_frame(self.description, self.index, number, lambda start, end: self.content[start:end])
        return decode_frame(self.description, stored)
