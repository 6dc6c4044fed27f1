"""File meta information, written and read."""

from __future__ import annotations

import io

import pydicom
import pytest

from ithil.dicom import uids
from ithil.dicom.encoding import NeedMoreData
from ithil.dicom.part10 import file_meta, read_file_meta


@pytest.mark.parametrize("calling", ["", "MODALITY", "ODD"])
def test_what_is_written_is_valid_for_pydicom(calling: str) -> None:
    made = file_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3", uids.EXPLICIT_LITTLE, calling)
    read = pydicom.dcmread(io.BytesIO(made)).file_meta
    assert read.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert read.MediaStorageSOPInstanceUID == "1.2.3"
    assert read.TransferSyntaxUID == uids.EXPLICIT_LITTLE
    assert read.FileMetaInformationVersion == b"\0\1"
    assert read.ImplementationClassUID == uids.IMPLEMENTATION_CLASS_UID
    assert read.get("SourceApplicationEntityTitle", "") == calling
    assert read.FileMetaInformationGroupLength == len(made) - 144


def test_what_is_written_is_read_back() -> None:
    made = file_meta("1.2", "1.2.3", uids.RLE, implementation_version_name="X")
    found = read_file_meta(made, len(made))
    assert (found.sop_class_uid, found.sop_instance_uid) == ("1.2", "1.2.3")
    assert found.transfer_syntax_uid == uids.RLE
    assert (found.meta_offset, found.dataset_offset) == (132, len(made))
    assert not found.truncated


def test_a_lying_group_length_does_no_harm() -> None:
    made = bytearray(file_meta("1.2", "1.2.3", uids.RLE))
    made[140:144] = b"\xff\xff\xff\x7f"
    assert read_file_meta(bytes(made), len(made)).dataset_offset == len(made)


def test_a_cut_is_told_from_a_prefix() -> None:
    made = file_meta("1.2", "1.2.3", uids.RLE)
    for size in range(133, len(made) - 1):
        with pytest.raises(NeedMoreData):
            read_file_meta(made[:size], 5000)
    assert read_file_meta(made[:-3], len(made) - 3).truncated
