"""Names, VRs and spellings of tags."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ithil.dicom import dictionary
from ithil.dicom.dictionary import Entry, configured, parse_tag, tag_name, tag_vr


@pytest.fixture
def registered() -> Iterator[dictionary.Dictionary]:
    yield configured
    configured.clear()


def test_whoever_keeps_what_follows_from_it_is_told(
    registered: dictionary.Dictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the dictionary itself has forgotten what it knew before."""
    monkeypatch.setattr(dictionary, "_dependents", [])
    before = tag_name(0x00201234)
    seen: list[str] = []
    dictionary.when_changed(lambda: seen.append(tag_name(0x00201234)))
    registered.register(0x00201234, Entry("LO", "Ours"))
    registered.clear()
    assert seen == ["Ours", before]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("PatientName", 0x00100010),
        ("0010,0010", 0x00100010),
        ("0010-0010", 0x00100010),
        ("7FE00010", 0x7FE00010),
        ("7fe0,0010", 0x7FE00010),
        ("RETIRED_NetworkID", 0x00081000),
        ("OtherPatientIDs", 0x00101000),
    ],
)
def test_spellings_of_tags(text: str, tag: int) -> None:
    assert parse_tag(text) == tag


@pytest.mark.parametrize("text", ["", "Nonsense", "0010", "0010,00", "0010;0010", "0010,00100"])
def test_what_names_no_tag(text: str) -> None:
    with pytest.raises(ValueError, match="unknown DICOM tag"):
        parse_tag(text)


@pytest.mark.parametrize(
    ("tag", "creator", "name", "vr"),
    [
        (0x00100010, "", "PatientName", "PN"),
        (0x00080001, "", "RETIRED_LengthToEnd", "UL"),
        (0x00101000, "", "OtherPatientIDs", "LO"),
        (0x60020010, "", "OverlayRows", "US"),
        (0x50000005, "", "RETIRED_CurveDimensions", "US"),
        (0x00080000, "", "GenericGroupLength", "UL"),
        (0x00020000, "", "FileMetaInformationGroupLength", "UL"),
        (0x00090000, "", "PrivateGroupLength", "UL"),
        (0x00090010, "", "PrivateCreator", "LO"),
        (0x00091001, "", "Unknown Tag & Data", "UN"),
        (0x00091001, "GEMS_IDEN_01", "FullFidelity", "LO"),
        (0x00191018, "GEMS_ACQU_01", "FirstScanRAS", "LO"),
        (0x60031010, "PAPYRUS 3.0", "OverlayRows", "US"),
        (0x00091001, "NOBODY", "Unknown Tag & Data", "UN"),
        (0x00080007, "", "Unknown Tag & Data", "UN"),
        (0x00283006, "", "LUTData", "OW"),
    ],
)
def test_names_and_vrs(tag: int, creator: str, name: str, vr: str) -> None:
    assert (tag_name(tag, creator), tag_vr(tag, creator)) == (name, vr)


def test_a_configuration_adds_entries(registered: dictionary.Dictionary) -> None:
    registered.register(0x00080007, Entry("SH", "MyTag"))
    registered.register(0x00091001, Entry("US", "MyPrivate", creator="ME"))
    assert (tag_name(0x00080007), tag_vr(0x00080007)) == ("MyTag", "SH")
    assert parse_tag("MyTag") == 0x00080007
    assert (tag_name(0x00091101, "ME"), tag_vr(0x00091101, "ME")) == ("MyPrivate", "US")
    assert tag_name(0x00091001, "YOU") == dictionary.UNKNOWN_NAME
    registered.clear()
    assert tag_name(0x00080007) == dictionary.UNKNOWN_NAME


def test_creators_belong_to_private_tags_only(registered: dictionary.Dictionary) -> None:
    with pytest.raises(ValueError, match="private"):
        registered.register(0x00091001, Entry("US", "X"))
    with pytest.raises(ValueError, match="private"):
        registered.register(0x00080007, Entry("US", "X", creator="ME"))


def test_reading_and_naming_tags_does_not_import_pydicom() -> None:
    """It would cost 130 ms and 18 MB in every process at start."""
    program = (
        "import sys\n"
        "from ithil.dicom import dataset, dictionary, frames, main_tags, part10, scan, tags_format, uids\n"
        "assert dictionary.tag_name(0x00100010) == 'PatientName'\n"
        "assert uids.is_storage_sop_class('1.2.840.10008.5.1.4.1.1.2')\n"
        "assert 'pydicom' not in sys.modules\n"
        "import pydicom\n"
        "assert pydicom.datadict.keyword_for_tag(0x00100010) == 'PatientName'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
