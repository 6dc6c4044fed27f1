"""Transfer syntaxes, storage classes and new UIDs; pydicom is the other source."""

from __future__ import annotations

from pydicom.uid import UID, AllTransferSyntaxes

from ithil.dicom import uids


def test_encodings_are_those_of_pydicom() -> None:
    for uid in AllTransferSyntaxes:
        if "SMPTE" in uid.name or uid.name in ("RFC 2557 MIME encapsulation", "XML Encoding"):
            continue
        mine = uids.TRANSFER_SYNTAXES[uid]
        assert mine.implicit == uid.is_implicit_VR
        assert mine.big_endian == (not uid.is_little_endian)
        if "JPIP" not in uid.name:
            assert mine.encapsulated == uid.is_encapsulated
            assert mine.deflated == uid.is_deflated
    assert uids.transfer_syntax("1.2.840.10008.1.2.4.95").deflated


def test_an_unknown_transfer_syntax_is_explicit_little_endian() -> None:
    unknown = uids.transfer_syntax("1.2.3.4")
    assert unknown == uids.TransferSyntax("1.2.3.4", "1.2.3.4")


def test_groups_of_orthancs_options_have_their_sizes() -> None:
    sizes = {name: len(group) for name, group in uids.TRANSFER_SYNTAX_GROUPS.items()}
    assert sizes == {
        "Deflated": 1,
        "Jpeg": 18,
        "Jpeg2000": 4,
        "JpegLossless": 2,
        "Jpip": 2,
        "Mpeg2": 2,
        "Rle": 1,
        "Mpeg4": 5,
        "H265": 2,
    }
    for group in uids.TRANSFER_SYNTAX_GROUPS.values():
        assert group <= set(uids.TRANSFER_SYNTAXES)


def test_wildcards() -> None:
    assert uids.matches_uid("1.2.840.10008.1.2", ["1.2.840.10008.1.*", "x"]) is True
    assert not uids.matches_uid("1.2.840.10008.1.2", ["1.2.840.10008.1"])
    assert uids.matches_uid("1.2.4", ["1.?.4"])
    assert not uids.matches_uid("1.2.4", ["1.[2].4"])
    assert uids.RLE in uids.matching_transfer_syntaxes(["1.2.840.10008.1.*"])
    assert uids.matching_transfer_syntaxes(["9.9"]) == {"9.9"}


def test_storage_sop_classes() -> None:
    for keyword in (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.88.22",
    ):
        assert uids.is_storage_sop_class(keyword)
    for other in (uids.MEDIA_STORAGE_DIRECTORY, "1.2.840.10008.1.1", "1.2.840.10008.1.20.1", "", "1.2"):
        assert not uids.is_storage_sop_class(other)
    assert len(uids.storage_sop_classes()) > 190


def test_names() -> None:
    assert uids.uid_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert uids.uid_name("1.2.3") == "1.2.3"


def test_new_uids_are_valid_and_differ() -> None:
    made = {uids.generate_uid() for _ in range(100)}
    assert len(made) == 100
    for uid in made:
        assert UID(uid).is_valid
        assert len(uid) <= 64
    assert UID(uids.IMPLEMENTATION_CLASS_UID).is_valid
    assert len(uids.IMPLEMENTATION_VERSION_NAME) <= 16
