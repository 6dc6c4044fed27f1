"""New values for elements, from JSON to bytes and into the character set of a data set."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.data.real import all_files

from ithil import error_codes as codes
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level
from ithil.edit.apply import apply
from ithil.edit.recipe import parse_modification
from ithil.edit.values import parse_value
from ithil.error_codes import CodedError


def make(syntax: str = ExplicitVRLittleEndian, **values: Any) -> bytes:
    """A small file."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.3"
    dataset.PatientID, dataset.PatientName = "P", "Doe^John"
    for name, value in values.items():
        setattr(dataset, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def modified(content: bytes, **body: Any) -> Dataset:
    """The instance after a modification."""
    return read(apply(parse_modification(body, Level.INSTANCE), content))


def read(content: bytes) -> Dataset:
    """What pydicom makes of a file."""
    return pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("StudyDescription", "hello", "hello"),
        ("StudyDescription", "", ""),
        ("StudyDescription", None, ""),
        ("ImageType", "DERIVED\\SECONDARY", ["DERIVED", "SECONDARY"]),
        ("DataPointRows", "5", 5),
        ("SmallestImagePixelValue", "-5", -5),
        ("ReferencePixelX0", "-7", -7),
        ("SimpleFrameList", "1\\2", [1, 2]),
        ("ExaminedBodyThickness", "1.5", 1.5),
        ("FrameIncrementPointer", "0018,1063", 0x00181063),
        ("FrameIncrementPointer", "FrameTime", 0x00181063),
        ("EncapsulatedDocument", "data:application/pdf;base64,QUJDRA==", b"ABCD"),
        ("EncapsulatedDocument", "QUJD", b"QUJD"),
    ],
)
def test_values_of_every_kind_arrive(syntax: str, name: str, text: Any, value: Any) -> None:
    made = modified(make(syntax, PixelRepresentation=1), Replace={name: text})
    assert made[name].value == value
    assert made.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize(
    ("name", "json", "code"),
    [
        *(("PatientName", json, codes.BAD_PARAMETER_TYPE) for json in (5, 1.5, True, [], {}, ["a"])),
        ("OtherPatientIDsSequence", ["a"], codes.BAD_PARAMETER_TYPE),
        ("OtherPatientIDsSequence", 5, codes.BAD_PARAMETER_TYPE),
        ("OtherPatientIDsSequence", "text", codes.BAD_FILE_FORMAT),
        ("OtherPatientIDsSequence", [{"Nope": "x"}], codes.UNKNOWN_DICOM_TAG),
        (
            "OtherPatientIDsSequence",
            [{"OtherPatientIDsSequence[0].PatientID": "x"}],
            codes.PARAMETER_OUT_OF_RANGE,
        ),
        *(("Rows", text, codes.BAD_FILE_FORMAT) for text in ("x", "1\\2", "70000", "-1", "1.5")),
        ("ExaminedBodyThickness", "wide", codes.BAD_FILE_FORMAT),
        ("FrameIncrementPointer", "Nope", codes.UNKNOWN_DICOM_TAG),
        ("EncapsulatedDocument", "data:application/pdf;base64,?", codes.BAD_FILE_FORMAT),
        ("PatientName", "x" * 70_000, codes.BAD_FILE_FORMAT),
    ],
)
def test_values_that_do_not_fit_are_refused(name: str, json: Any, code: int) -> None:
    with pytest.raises(CodedError) as refusal:
        parse_value(parse_tag(name), json)
    assert refusal.value.code == code
    assert "wide" not in str(refusal.value)


def test_a_sequence_that_is_too_deep_or_too_long_is_refused() -> None:
    deep: Any = [{"PatientID": "x"}]
    for _ in range(100):
        deep = [{"OtherPatientIDsSequence": deep}]
    for json in (deep, [{"PatientID": "x"}] * 20_000):
        with pytest.raises(CodedError) as refusal:
            parse_value(0x00101002, json)
        assert refusal.value.code == codes.PARAMETER_OUT_OF_RANGE


def test_items_of_a_new_sequence() -> None:
    items = [{"PatientID": "A", "IssuerOfPatientID": "I"}, {"0010,0020": "B"}]
    made = modified(make(), Replace={"OtherPatientIDsSequence": items, "PatientName": "New^Name"})
    assert [item.PatientID for item in made.OtherPatientIDsSequence] == ["A", "B"]
    assert made.OtherPatientIDsSequence[0].IssuerOfPatientID == "I"
    assert made.PatientName == "New^Name"
    one = modified(make(), Replace={"OtherPatientIDsSequence": {"PatientID": "A"}})
    assert [item.PatientID for item in one.OtherPatientIDsSequence] == ["A"]
    assert len(modified(make(), Replace={"OtherPatientIDsSequence": []}).OtherPatientIDsSequence) == 0


def test_paths_reach_items_that_are_there() -> None:
    first, second = Dataset(), Dataset()
    first.PatientID, second.PatientID = "A", "B"
    content = make(OtherPatientIDsSequence=[first, second])

    def ids(**body: Any) -> list[str]:
        return [item.get("PatientID") for item in modified(content, **body).OtherPatientIDsSequence]

    assert ids(Replace={"OtherPatientIDsSequence[1].PatientID": "X"}) == ["A", "X"]
    assert ids(Replace={"OtherPatientIDsSequence[*].PatientID": "X"}) == ["X", "X"]
    assert ids(Replace={"OtherPatientIDsSequence[5].PatientID": "X"}) == ["A", "B"]
    assert ids(Replace={"PatientName[0].PatientID": "X"}) == ["A", "B"]
    assert ids(Remove=["OtherPatientIDsSequence[0].PatientID"]) == [None, "B"]
    assert ids(Remove=["OtherPatientIDsSequence[*].PatientID"]) == [None, None]
    absent = modified(content, Replace={"RequestAttributesSequence[0].RequestedProcedureID": "X"})
    assert "RequestAttributesSequence" not in absent


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"Remove": ["PatientName"]}, None),
        ({"Remove": ["PatientName", "PatientName"], "Replace": {"PatientName": "Y"}}, "Y"),
        ({"Remove": ["PatientName"], "Keep": ["PatientName"]}, "Doe^John"),
        ({"Keep": ["PatientName"], "Replace": {"PatientName": "Y"}}, "Doe^John"),
    ],
)
def test_to_keep_is_stronger_than_to_replace_than_to_remove(body: dict[str, Any], name: str | None) -> None:
    assert modified(make(), **body).get("PatientName") == name


def test_text_goes_into_the_character_set_of_the_data_set() -> None:
    names = {
        "charset/chrH31.dcm": "山田^太郎",
        "charset/chrH32.dcm": "山田^太郎",
        "charset/chrKoreanMulti.dcm": "김희중",
        "charset/chrGreek.dcm": "Διονυσιος",
        "charset/chrRuss.dcm": "Людмила",
        "charset/chrFren.dcm": "Buc^Jérôme",
        "charset/chrX1.dcm": "Wang^王",
    }
    for file, name in names.items():
        content = all_files()[file].read_bytes()
        made = modified(content, Replace={"StudyDescription": name})
        before = read(content)
        assert made.StudyDescription == name, file
        assert made.SpecificCharacterSet == before.SpecificCharacterSet, file
        assert made.PatientName == before.PatientName, file


def test_a_data_set_moves_to_another_character_set_when_its_own_is_too_small() -> None:
    latin = make(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    japanese = modified(latin, Replace={"StudyDescription": "山田"})
    assert japanese.SpecificCharacterSet == "ISO_IR 192"
    assert (japanese.StudyDescription, japanese.PatientName) == ("山田", "Müller^Jörg")
    nothing = modified(make(), Replace={"StudyDescription": "Größe"})
    assert (nothing.StudyDescription, nothing.SpecificCharacterSet) == ("Größe", "ISO_IR 100")


def test_the_character_set_can_be_asked_for() -> None:
    latin = make(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    moved = modified(latin, Replace={"SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "é"})
    assert moved.SpecificCharacterSet == "ISO_IR 192"
    assert (moved.PatientName, moved.StudyDescription) == ("Müller^Jörg", "é")
    with pytest.raises(CodedError) as refusal:
        modified(latin, Replace={"SpecificCharacterSet": "ISO_IR 144"})
    assert refusal.value.code == codes.BAD_FILE_FORMAT


def test_private_elements_get_a_block_of_their_creator() -> None:
    free = modified(make(), Replace={"0009,1001": "secret"}, PrivateCreator="MINE")
    assert free[0x0009, 0x0010].value == "MINE"
    assert free[0x0009, 0x1001].value == b"secret"

    content = make()
    dataset = read(content)
    dataset.private_block(0x0009, "OTHER", create=True).add_new(1, "LO", "theirs")
    file = io.BytesIO()
    dataset.save_as(file)
    both = modified(file.getvalue(), Replace={"0009,1001": "mine"}, PrivateCreator="MINE")
    assert both.private_block(0x0009, "OTHER")[1].value == "theirs"
    assert both.private_block(0x0009, "MINE")[1].value == b"mine"
    known = modified(make(), Replace={"00091001": "text"}, PrivateCreator="GEMS_IDEN_01")
    assert known[0x0009, 0x1001].value == "text"
    gone = modified(file.getvalue(), RemovePrivateTags=True)
    assert not [element for element in gone if element.tag.is_private]
