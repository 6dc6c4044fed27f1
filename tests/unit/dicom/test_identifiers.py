"""Public ids are those that Orthanc gives."""

from __future__ import annotations

from ithil.dicom import identifiers as ids


def test_ids_of_a_well_known_file() -> None:
    """The ids that Orthanc answers for pydicom's CT_small.dcm."""
    study = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    series = "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
    instance = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
    expected = (
        "fa558bce-587a86d3-ad0da9b3-9d043d9d-4f5c5718",
        "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d",
        "93034833-163e42c3-bc9a428b-194620cf-2c5799e5",
        "f689ddd2-662f8fe1-8b18180d-ec2a2cee-937917af",
    )
    assert ids.public_ids("1CT1", study, series, instance) == expected
    assert ids.patient_id("1CT1") == expected[0]
    assert ids.study_id("1CT1", study) == expected[1]
    assert ids.series_id("1CT1", study, series) == expected[2]
    assert ids.instance_id("1CT1", study, series, instance) == expected[3]


def test_a_missing_patient_id_is_the_empty_string() -> None:
    assert ids.patient_id("") == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


def test_text_is_hashed_as_utf_8_without_surrounding_blanks() -> None:
    assert ids.patient_id("é?").startswith("06498f40-")
    assert ids.patient_id(" 1CT1 ") == ids.patient_id("1CT1")
    assert ids.public_ids(" 1CT1", "1 ", "2", "3") == ids.public_ids("1CT1", "1", "2", "3")


def test_what_looks_like_an_id() -> None:
    assert ids.is_public_id(ids.patient_id("x"))
    for other in ("", "a-b-c-d-e", ids.patient_id("x").upper(), ids.patient_id("x") + "-0"):
        assert not ids.is_public_id(other)
