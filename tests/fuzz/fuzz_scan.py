"""Fuzzes everything that reads a stranger's DICOM bytes: the scanner, the element tree, frames, formatting.

`python -m tests.fuzz.fuzz_scan --seconds 60` runs under atheris if it is installed, which follows the
coverage, and else mutates small real files. Any exception but `DicomError` is a finding.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from ithil.dicom import dataset, tags_format
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import FrameIndex, frame_index
from ithil.dicom.main_tags import ALL_MAIN_TAGS
from ithil.dicom.scan import scan
from tests.fuzz import course

LIMITS = ScanLimits(maximum_elements=100_000, maximum_inflated=4 << 20)
SMALL = 12_000  # bytes of a seed: mutations then hit headers more often than pixels


def fuzz_one(data: bytes) -> None:
    """Reads `data` in every way; raises only for a defect."""
    for total in (None, len(data) + 1000):
        try:
            found = scan(data, ALL_MAIN_TAGS, limits=LIMITS, total_size=total)
            for text in found.tags.values():
                text.encode("utf-8")
            if total is None:
                index = frame_index(data, found)
                assert FrameIndex.from_bytes(index.to_bytes()) == index
                for frame in range(min(index.count, 50)):
                    for offset, length in index.ranges(frame):
                        assert 0 <= offset <= offset + length <= len(data)
        except DicomError:
            pass
    for reading in (True, False):
        try:
            parsed = dataset.parse(data, stop_at_pixel_data=reading, limits=LIMITS)
            for form in tags_format.Format:
                tags_format.format_dataset(parsed, form)
        except DicomError:
            pass
    try:
        tags_format.header(dataset.parse_meta(data), tags_format.Format.FULL)
    except DicomError:
        pass
    try:
        scan(data, ALL_MAIN_TAGS, limits=LIMITS, transfer_syntax="1.2.840.10008.1.2.1.99")
    except DicomError:
        pass


def seeds() -> list[bytes]:
    """The heads and tails of real files, so that both headers and fragments are among them."""
    from tests.data.real import all_files

    result = []
    for path in all_files().values():
        content = path.read_bytes()
        result.append(content if len(content) <= SMALL else content[: SMALL // 2] + content[-SMALL // 2 :])
    return result


_INTERESTING = (
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\xfe\xff\0\xe0",
    b"\xfe\xff\x0d\xe0",
    b"\xfe\xff\xdd\xe0",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"SQ\0\0",
    b"UN\0\0",
    b"\xe0\x7f\x10\0",
    b"\x1b$B",
)


def mutations(chance: random.Random) -> Iterator[bytes]:
    """Mutated seeds without end, the same ones for the same seed of `chance`."""
    corpus = seeds()
    while True:
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(5):
                case 0 if at < len(data):
                    data[at] = chance.randrange(256)
                case 1:
                    piece = chance.choice(_INTERESTING)
                    data[at : at + len(piece)] = piece
                case 2:
                    del data[at : at + chance.choice((1, 2, 8, 100))]
                case 3:
                    data[at:at] = data[at : at + chance.choice((8, 12, 64, 500))]
                case _:
                    if chance.random() < 0.2:
                        del data[at:]
        yield bytes(data)


if __name__ == "__main__":
    course.main(__doc__, fuzz_one, mutations)
