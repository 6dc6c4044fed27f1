"""The scanner agrees with pydicom on every real file at hand, broken ones included."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.data.real import all_files

from ithil.dicom.errors import DicomError
from ithil.dicom.frames import frame_index
from ithil.dicom.main_tags import ALL_MAIN_TAGS, SOP_CLASS_UID
from ithil.dicom.scan import NeedMoreData, scan

WANTED = ALL_MAIN_TAGS | {SOP_CLASS_UID, 0x00080008, 0x00280010, 0x00280030, 0x00280103, 0x00189087}
UIDS = (0x00080018, 0x0020000D, 0x0020000E)
FILES = all_files()


def read(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, force=True)
        except Exception:
            return None


def text_of(element: Any) -> str:
    value = element.value
    values = value if element.VM > 1 else [value]
    if element.VR in ("FD", "FL"):
        return "\\".join(f"{number:.17g}" for number in values)
    if element.VR in ("DS", "IS"):
        values = [getattr(one, "original_string", one) for one in values]
    return "\\".join("" if one is None else str(one) for one in values)


def parts(text: str) -> list[str]:
    # pydicom drops an empty last component group of a person name.
    return [part.strip(" \0").rstrip("=") for part in text.split("\\")]


@pytest.mark.parametrize("name", FILES)
def test_values_and_offsets_are_those_of_pydicom(name: str) -> None:
    content = FILES[name].read_bytes()
    expected = read(FILES[name])
    try:
        found = scan(content, WANTED)
    except DicomError:
        assert expected is None or not any(uid in expected for uid in UIDS)
        return
    assert expected is not None or found.truncated
    if expected is None or found.truncated:
        return
    syntax = getattr(expected, "file_meta", Dataset()).get("TransferSyntaxUID")
    if syntax:
        assert found.transfer_syntax_uid == syntax
    decoded = read(FILES[name])
    assert decoded is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoded.decode()
        for tag in sorted(WANTED):
            assert (tag in expected and expected[tag].VR == "SQ") == (tag in found.sequences), hex(tag)
            if tag in found.tags:
                assert parts(found.tags[tag]) == parts(text_of(decoded[tag])), hex(tag)
            elif tag in expected and tag not in found.sequences:
                # What has no text: too long a value, an empty number, a number that was sent as UN.
                raw = expected.get_item(tag)
                assert tag in found.too_long or expected[tag].is_empty or raw.VR == "UN", hex(tag)
    pixel_data = expected.get_item(0x7FE00010) if 0x7FE00010 in expected else None
    assert found.has_pixel_data == any(tag in expected for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010))
    if pixel_data is not None and not found.deflated:
        assert found.pixel_value_offset == getattr(pixel_data, "value_tell", None)
        assert found.is_encapsulated == (found.pixel_value_length is None)
        assert content[found.pixel_data_offset :][:4] in (b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10")


@pytest.mark.parametrize("name", FILES)
def test_a_prefix_gives_the_same_or_asks_for_more(name: str) -> None:
    content = FILES[name].read_bytes()
    try:
        whole = scan(content, WANTED)
    except DicomError:
        return
    for size in {100, 140, 400, 1000, 3000, len(content) - 1} & set(range(len(content))):
        try:
            start = scan(content[:size], WANTED, total_size=len(content))
        except NeedMoreData:
            continue
        assert start.tags == whole.tags
        assert start.pixel_data_offset == whole.pixel_data_offset
        assert start.number_of_frames == whole.number_of_frames


@pytest.mark.parametrize("name", FILES)
def test_frames_hold_the_pixel_data_that_pydicom_finds(name: str) -> None:
    content = FILES[name].read_bytes()
    try:
        found = scan(content, frozenset())
        index = frame_index(content, found)
    except DicomError:
        return
    expected = read(FILES[name])
    if not index.count or expected is None or "PixelData" not in expected or not expected.PixelData:
        return
    frames = [b"".join(content[o : o + n] for o, n in index.ranges(i)) for i in range(index.count)]
    if found.is_encapsulated:
        from pydicom.encaps import generate_frames

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = list(
                    generate_frames(expected.PixelData, number_of_frames=found.number_of_frames or 1)
                )
            except ValueError:
                return
        assert frames == wanted
    elif not index.bits:
        assert expected.PixelData.startswith(b"".join(frames))
        assert index.count == (found.number_of_frames or 1)
