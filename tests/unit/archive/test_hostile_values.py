"""Values that no honest device sends: stored or refused as DICOM, never an accident of the database."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.data.datasets import body, part10
from tests.data.real import all_files
from tests.unit.archive.places import image, put
from tests.unit.archive.recount import assert_sound

from ithil.archive import ingest, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import MissingIdentifier
from ithil.archive.model import Origin
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level

NOISE = random.Random(7).randbytes(30_000).hex().encode()

ODD: dict[str, dict[int, tuple[str, bytes]]] = {
    "NUL in the middle": {
        0x00100020: ("LO", b"A\0B "),
        0x00100010: ("PN", b"\0"),
        0x00081030: ("LO", b"\0\0"),
    },
    "NUL in a UID": {0x0020000D: ("UI", b"1.2\0.3\0")},
    "long identifiers": {0x00100020: ("UT", NOISE), 0x00100010: ("UT", NOISE), 0x00080050: ("UT", NOISE)},
    "identifiers too long for an index": dict.fromkeys(
        (524320, 524368, 1048592, 1048608), ("UT", NOISE[:3600])
    ),
    "UIDs too long for an index": dict.fromkeys((524312, 2097165, 2097166), ("UT", NOISE[:3600])),
    "long study date": {0x00080020: ("UT", NOISE)},
    "long UIDs": {0x0020000D: ("UT", NOISE), 0x0020000E: ("UT", NOISE)},
    "long SOP instance": {0x00080018: ("UT", NOISE)},
    "huge numbers": {
        0x00200013: ("IS", b"999999999999"),
        0x00280008: ("IS", b"999999999999"),
        0x00201002: ("IS", b"999999999999"),
        0x00200105: ("IS", b"999999999999"),
    },
    "negative numbers": {0x00200013: ("IS", b"-5"), 0x00280008: ("IS", b"-5"), 0x00181090: ("IS", b"-5")},
    "numbers in other digits": {0x00080005: ("CS", b"ISO_IR 192"), 0x00200013: ("IS", "٣".encode())},
    "no numbers": {0x00200013: ("IS", b"seven "), 0x00280008: ("IS", b"many")},
    "invalid UTF-8": {0x00080005: ("CS", b"ISO_IR 192"), 0x00100010: ("PN", b"\xff\xfe\xed\xa0\x80\xc3")},
    "unknown character set": {0x00080005: ("CS", b"KLINGON"), 0x00100010: ("PN", b"\xff\xfe")},
    "control characters": {0x00100010: ("PN", bytes(range(1, 32)) + b" ")},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_stored_or_refused(archive: Archive, name: str) -> None:
    elements: Any = ODD[name]
    content = part10(body(elements))
    put(archive, image())
    try:
        result = put(archive, content)
    except (DicomError, MissingIdentifier):
        assert len(resources.list_ids(archive, Level.INSTANCE)) == 1
    else:
        file = retrieve.dicom_file(archive, result.instance)
        assert file is not None
        assert retrieve.read(archive, file) == content
        for level, public_id in zip(
            Level, (result.patient, result.study, result.series, result.instance), strict=True
        ):
            assert resources.read(archive, level, public_id) is not None
    assert_sound(archive)


@pytest.mark.parametrize("title", ["A\0B", "ÄÖÜ", "x" * 5000])
def test_odd_titles_of_senders_are_kept(archive: Archive, title: str) -> None:
    result = ingest.store(archive, image(), Origin("DicomProtocol", "::1", title, title))
    found = resources.read(archive, Level.INSTANCE, result.instance)
    assert found is not None


def test_damaged_files_are_stored_or_refused(archive: Archive) -> None:
    """Random bytes of real files changed: whatever comes of it, it is an answer that every door knows."""
    choose = random.Random(11)
    small = [path.read_bytes() for path in all_files().values() if path.stat().st_size < 20_000]
    stored = 0
    for _ in range(300):
        content = bytearray(choose.choice(small))
        for _ in range(choose.randrange(1, 8)):
            content[choose.randrange(min(len(content), 2500))] = choose.choice(
                (0, 255, choose.randrange(256))
            )
        try:
            put(archive, bytes(content))
            stored += 1
        except (DicomError, MissingIdentifier):
            pass
    assert stored
    assert_sound(archive)
