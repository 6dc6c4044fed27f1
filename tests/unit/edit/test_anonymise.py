"""Anonymisation: nothing of what the profile takes away is left anywhere, and references stay right."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian
from tests.data.real import all_files
from tests.unit.edit.test_values import make, read

from ithil.dicom.dataset import Element, parse
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.dicom.scan import scan
from ithil.edit.apply import apply
from ithil.edit.identifiers import new_uid
from ithil.edit.profile import VERSIONS, Action, profile
from ithil.edit.recipe import PATIENT_NAME, Recipe, parse_anonymization, parse_modification
from ithil.edit.tail import ends_with_pixel_data

IDENTITY = {0x00080018, 0x00100010, 0x00100020, 0x0020000D, 0x0020000E}
PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}

PEOPLE = {
    "ISO_IR 100": "Müller^Jürgen",
    "ISO_IR 192": "Ďurišová^Žofia=山田^太郎",
    "ISO_IR 144": "Щукина^Людмила",
    "ISO_IR 126": "Διονύσιος^Νίκος",
    "GB18030": "王小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎",
}


def recipe_of(**body: Any) -> Recipe:
    return parse_anonymization(body, server="Test").with_values({PATIENT_NAME: "Nobody7"})


def anonymised(content: bytes, **body: Any) -> Dataset:
    return read(apply(recipe_of(**body), content))


def walk(elements: list[Element], nested: bool = False) -> Iterator[tuple[Element, bool]]:
    for element in elements:
        yield element, nested
        for item in element.items or ():
            yield from walk(item, True)


def parsed(content: bytes) -> list[Element]:
    return parse(content, stop_at_pixel_data=False).elements


def goes(element: Element, version: str) -> bool:
    """Whether the value of an element must not survive."""
    tag = element.tag
    action = profile(version).action(tag)
    return bool(tag & 0x10000) or tag in IDENTITY or action is not None


def check_clean(content: bytes, made: bytes, version: str) -> None:
    """No value that goes is anywhere in `made`, unless a value that stays says the same."""
    stays: list[bytes] = []
    forbidden: set[bytes] = set()
    gone: set[int] = set()
    for element, _ in walk(parsed(content)):
        value = bytes(element.value).strip(b" \0")
        if element.tag in PIXELS:
            continue
        if goes(element, version):
            gone.add(element.tag)
            if len(value) > 4 and not value.startswith(b"1.2.840.10008."):
                forbidden.add(value)
        else:
            stays.append(value)
    everything_else = b"\n".join(stays)
    rest = b"\n".join(
        bytes(e.value) for e, _ in walk(parsed(made)) if e.tag not in PIXELS and e.items is None
    )
    head = made[: made.index(rest.partition(b"\n")[0])]
    # New identifiers are long random numbers, in which a short one may well be.
    rest, head = (re.sub(rb"2\.25\.\d+", b"", part) for part in (rest, head))
    for value in forbidden:
        if value not in everything_else:
            assert value not in rest
            assert value not in head
    for element, _ in walk(parsed(made)):
        action = profile(version).action(element.tag)
        assert not element.tag & 0x10000
        assert action is not Action.REMOVE
        if action is Action.EMPTY:
            assert not element.items
            assert not bytes(element.value)


def files() -> Iterator[tuple[str, bytes]]:
    for name, path in all_files().items():
        content = path.read_bytes()
        try:
            elements = parsed(content)
        except DicomError:
            continue
        if len(content) < 2_000_000 and any(element.tag == 0x00080018 for element in elements):
            yield name, content


FILES = dict(files())


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_a_real_file_is_left(name: str) -> None:
    content = FILES[name]
    made = apply(recipe_of(), content)
    check_clean(content, made, "2023b")
    dataset = pydicom.dcmread(io.BytesIO(made))
    assert dataset.PatientName == "Nobody7"
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    before = {e.tag: bytes(e.value) for e in parsed(content) if e.tag in PIXELS}
    after = {e.tag: bytes(e.value) for e in parsed(made) if e.tag in PIXELS}
    assert {tag: value + b"\0" * (len(value) & 1) for tag, value in before.items()} == after


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("character_set", PEOPLE)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian])
def test_nothing_of_a_person_is_left_anywhere(version: str, character_set: str, syntax: str) -> None:
    """Names at every depth, in private elements, and under tags that the table has."""
    name = PEOPLE[character_set]
    deepest = Dataset()
    deepest.PatientName, deepest.PatientID = name, "SECRET-ID-3"
    deepest.StudyDescription, deepest.PatientBirthDate = "secret description", "19610102"
    deepest.add_new(0x00090010, "LO", "SECRET MAKER")
    deepest.add_new(0x00091001, "LO", "secret private")
    middle = Dataset()
    middle.PatientName, middle.PatientComments = name, "secret comment"
    middle.ReferencedInstanceSequence = Sequence([deepest])
    content = make(
        syntax,
        SpecificCharacterSet=character_set.split("\\") if "\\" in character_set else character_set,
        PatientName=name,
        PatientID="SECRET-ID-1",
        OtherPatientNames=name,
        PatientAddress="secret street",
        StudyDescription="secret description",
        InstitutionName="secret hospital",
        PatientBirthDate="19610102",
        ReferencedSeriesSequence=Sequence([middle]),
        OtherPatientIDsSequence=Sequence([deepest]),
    )
    made = apply(recipe_of(DicomVersion=version), content)
    if version != "2008":  # which does not know PatientComments or the rest in sequences
        check_clean(content, made, version)
    dataset = read(content)
    raw = {bytes(part) for part in read_raw(dataset)}
    for secret in (*raw, b"SECRET-ID", b"secret private", b"secret street", b"secret hospital"):
        assert secret not in made


def read_raw(dataset: Dataset) -> Iterator[bytes]:
    """The parts of the name as they are in the file."""
    file = io.BytesIO()
    dataset.save_as(file)
    element = next(e for e in parsed(file.getvalue()) if e.tag == PATIENT_NAME)
    for part in bytes(element.value).strip().replace(b"=", b"^").split(b"^"):
        if len(part) > 3:
            yield part


def test_a_sequence_that_hides_as_unknown_is_cleaned() -> None:
    item = Dataset()
    item.PatientName = "Hidden^Name"
    content = make(ReferencedSeriesSequence=Sequence([item]))
    before = b"\x08\x00\x15\x11SQ\0\0"
    assert before in content
    inner = b"\x10\x00\x10\x00\x0c\0\0\0Hidden^Name "
    value = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    start = content.index(before)
    length = int.from_bytes(content[start + 8 : start + 12], "little")
    hidden = b"\x08\x00\x15\x11UN\0\0" + len(value).to_bytes(4, "little") + value
    unknown = content[:start] + hidden + content[start + 12 + length :]
    made = apply(recipe_of(), unknown)
    assert b"Hidden" in unknown
    assert b"Hidden" not in made
    assert read(made).ReferencedSeriesSequence[0].PatientName == "Nobody7"
    damaged = unknown.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x00\xff")
    assert b"Hidden" not in apply(recipe_of(), damaged)


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", uid
    return item


def structure_set(study: str, series: str, images: list[str]) -> bytes:
    """A structure set that refers to images of its study, and to a frame of reference."""
    of_series = Dataset()
    of_series.SeriesInstanceUID = series
    of_series.ContourImageSequence = Sequence([reference(uid) for uid in images])
    of_study = reference(study)
    of_study.RTReferencedSeriesSequence = Sequence([of_series])
    frame = Dataset()
    frame.FrameOfReferenceUID = "1.2.9"
    frame.RTReferencedStudySequence = Sequence([of_study])
    roi = Dataset()
    roi.ReferencedFrameOfReferenceUID, roi.ROIName = "1.2.9", "Tumour of Mr Doe"
    return make(
        ReferencedFrameOfReferenceSequence=Sequence([frame]),
        StructureSetROISequence=Sequence([roi]),
        ReferencedImageSequence=Sequence([reference(uid) for uid in (*images, "7.7.7")]),
        FrameOfReferenceUID="1.2.9",
        StudyInstanceUID=study,
        SeriesInstanceUID="1.2.77",
    )


def references(dataset: Dataset) -> dict[str, Any]:
    frame = dataset.ReferencedFrameOfReferenceSequence[0]
    study = frame.RTReferencedStudySequence[0]
    series = study.RTReferencedSeriesSequence[0]
    return {
        "frame": (
            frame.FrameOfReferenceUID,
            dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID,
        ),
        "study": study.ReferencedSOPInstanceUID,
        "series": series.SeriesInstanceUID,
        "images": [item.ReferencedSOPInstanceUID for item in series.ContourImageSequence],
        "outside": dataset.ReferencedImageSequence[-1].ReferencedSOPInstanceUID,
    }


def test_references_are_anonymised_with_what_they_refer_to() -> None:
    recipe = recipe_of()
    images = [make(SOPInstanceUID=f"1.2.5.{n}", FrameOfReferenceUID="1.2.9") for n in range(3)]
    made = [read(apply(recipe, image)) for image in images]
    plan = read(apply(recipe, structure_set("1.2", "1.2.3", ["1.2.5.0", "1.2.5.1", "1.2.5.2"])))
    found = references(plan)
    assert found["images"] == [image.SOPInstanceUID for image in made]
    assert found["series"] == made[0].SeriesInstanceUID == made[2].SeriesInstanceUID
    assert found["study"] == plan.StudyInstanceUID == made[0].StudyInstanceUID
    assert set(found["frame"]) == {made[0].FrameOfReferenceUID} == {plan.FrameOfReferenceUID}
    assert plan.StructureSetROISequence[0].ROIName == ""
    assert len({image.PatientID for image in (*made, plan)}) == 1
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in found["images"])
    assert not {"1.2.5.0", "7.7.7", "1.2.9"} & {*found["images"], found["outside"], *found["frame"]}


def test_another_job_names_everything_otherwise() -> None:
    content = make()
    first, second = anonymised(content), anonymised(content)
    for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert first[name].value != second[name].value
    recipe = recipe_of()
    assert apply(recipe, content) == apply(Recipe.from_json(recipe.to_json()), content)


def test_identifiers_that_are_kept_are_kept_in_references_too() -> None:
    images = ["1.2.5.0", "1.2.5.1"]
    content = structure_set("1.2", "1.2.3", images)
    body = {"Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Force": True}
    kept = {uid: uid for uid in ("1.2", "1.2.3", "1.2.77", *images)}
    made = read(apply(recipe_of(**body), content, kept))
    found = references(made)
    assert (found["study"], found["series"], found["images"]) == ("1.2", "1.2.3", images)
    assert found["outside"] != "7.7.7"
    assert made.StudyInstanceUID == "1.2"


def test_a_modification_renames_references_to_what_is_renamed_with_it() -> None:
    recipe = parse_modification({}, Level.STUDY)
    secret = bytes.fromhex(recipe.secret)
    images = ["1.2.5.0", "1.2.5.1"]
    renamed = {uid: new_uid(secret, uid) for uid in ("1.2", "1.2.3", *images)}
    made = read(apply(recipe, structure_set("1.2", "1.2.3", images), renamed))
    found = references(made)
    assert found["images"] == [renamed[uid] for uid in images]
    assert (found["study"], found["series"]) == (renamed["1.2"], renamed["1.2.3"])
    assert found["outside"] == "7.7.7"
    assert found["frame"] == ("1.2.9", "1.2.9")
    assert (made.PatientID, made.PatientName) == ("P", "Doe^John")


def test_what_is_kept_and_replaced() -> None:
    item = Dataset()
    item.PatientID, item.StudyDescription = "OTHER", "nested"
    content = make(
        StudyDescription="desc", OtherPatientIDsSequence=Sequence([item]), PatientSex="M", Modality="CT"
    )
    assert anonymised(content, Keep=["StudyDescription"]).StudyDescription == "desc"
    assert anonymised(content, Replace={"StudyDescription": "new"}).StudyDescription == "new"
    assert anonymised(content, Keep=["PatientName"]).PatientName == "Doe^John"
    assert anonymised(content, Replace={"PatientName": "X"}).PatientName == "X"
    assert "Modality" not in anonymised(content, Remove=["Modality"])
    assert "PatientName" not in anonymised(content, Remove=["PatientName"])
    whole = anonymised(content, Keep=["OtherPatientIDsSequence"]).OtherPatientIDsSequence[0]
    assert (whole.PatientID, whole.StudyDescription) == ("OTHER", "nested")
    part = anonymised(content, Keep=["OtherPatientIDsSequence[*].PatientID"]).OtherPatientIDsSequence[0]
    assert part.PatientID == "OTHER"
    assert "StudyDescription" not in part


def test_the_method_names_the_profile_only_if_nothing_was_changed() -> None:
    content = make(StudyDescription="x")
    title = "Test - PS 3.15-2023b Table E.1-1 Basic Profile"
    assert anonymised(content).DeidentificationMethod == title
    assert (
        anonymised(content, DicomVersion="2008").DeidentificationMethod == "Test - PS 3.15-2008 Table E.1-1"
    )
    assert anonymised(content, KeepPrivateTags=True).DeidentificationMethod == "Test"
    assert anonymised(content, Keep=["StudyDescription"]).DeidentificationMethod == "Test"
    given = anonymised(content, Replace={"DeidentificationMethod": "mine"})
    assert given.DeidentificationMethod == "mine"
    options = anonymised(content, ProfileOptions=["RetainUIDs"]).DeidentificationMethod
    assert list(options) == [title, "Retain UIDs Option"]


def test_private_elements_can_be_kept_all_or_by_name() -> None:
    dataset = read(make())
    block = dataset.private_block(0x0009, "MAKER", create=True)
    block.add_new(1, "LO", "one")
    block.add_new(2, "LO", "two")
    file = io.BytesIO()
    dataset.save_as(file)
    content = file.getvalue()
    assert not [e for e in anonymised(content) if e.tag.is_private]
    assert anonymised(content, KeepPrivateTags=True).private_block(0x0009, "MAKER")[2].value == "two"
    named = anonymised(content, Keep=["0009,1001"])
    assert named.private_block(0x0009, "MAKER")[1].value == "one"
    assert 2 not in named.private_block(0x0009, "MAKER")


def test_dates_can_be_moved_together() -> None:
    content = make(
        StudyDate="20240229", StudyTime="101112", SeriesDate="20240301", AcquisitionDateTime="20240301120000"
    )
    made = anonymised(content, ProfileOptions=["RetainLongitudinalModifiedDates"])
    assert made.StudyTime == "101112"
    study, series = (pydicom.valuerep.DA(made[name].value) for name in ("StudyDate", "SeriesDate"))
    assert study is not None
    assert series is not None
    assert (series - study).days == 1
    assert made.AcquisitionDateTime == f"{made.SeriesDate}120000"
    assert study.year < 2024
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    kept = anonymised(content, ProfileOptions=["RetainLongitudinalFullDates"])
    assert (kept.StudyDate, kept.LongitudinalTemporalInformationModified) == ("20240229", "UNMODIFIED")
    odd = anonymised(make(StudyDate="yesterday"), ProfileOptions=["RetainLongitudinalModifiedDates"])
    assert odd.StudyDate == ""


def test_uids_of_the_standard_stay() -> None:
    frame = "1.2.840.10008.1.4.1.1"  # the Talairach brain atlas
    assert anonymised(make(FrameOfReferenceUID=frame)).FrameOfReferenceUID == frame


@pytest.mark.parametrize("name", FILES)
def test_the_head_alone_is_edited_as_the_whole_is(name: str) -> None:
    """Where the pixel data comes last; what follows it is noticed."""
    content = FILES[name]
    offset = scan(content, frozenset()).pixel_data_offset
    if offset is None:
        return
    if ends_with_pixel_data(content, offset, len(content)):
        recipe = recipe_of()
        head = apply(recipe, content[:offset], head_only=True)
        assert head + content[offset:] == apply(recipe, content)
    assert not ends_with_pixel_data(content + bytes(8), offset, len(content) + 8)


def test_what_follows_the_pixel_data_is_not_overlooked() -> None:
    content = all_files()["pydicom/CT_small.dcm"].read_bytes()  # which has trailing padding
    offset = scan(content, frozenset()).pixel_data_offset
    assert offset is not None
    assert not ends_with_pixel_data(content, offset, len(content))
    assert b"\xfc\xff\xfc\xff" not in apply(recipe_of(), content)
