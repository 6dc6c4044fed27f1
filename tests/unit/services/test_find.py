"""C-FIND as provider: what matches, what is answered, and what bad questions get."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data.datasets import body, element, item, part10
from tests.unit.archive.places import OnSqlite, put, put_all
from tests.unit.archive.searching import instance
from tests.unit.services.finding import (
    EVERY_SYNTAX,
    ask,
    association,
    find,
    identifier,
)

from ithil.archive.archive import Archive
from ithil.archive.errors import IndexUnavailable
from ithil.network import status
from ithil.network.errors import NoAcceptedContext
from ithil.network.messages import Command, CommandField
from ithil.services.find_identifier import PATIENT_ROOT_FIND, PATIENT_STUDY_ONLY_FIND

SUCCESS, CANCEL = status.SUCCESS, status.CANCEL
MISMATCH, NOT_UNDERSTOOD = status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, status.CANNOT_UNDERSTAND


@pytest.fixture
def open_archive(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    """Opens an archive that answers C-FIND of anybody."""
    with OnSqlite(tmp_path) as place:
        yield lambda **settings: place.open(**{"dicom_always_allow_find": True, **settings})


@pytest.fixture
def archive(open_archive: Callable[..., Archive]) -> Archive:
    return open_archive()


def test_an_answer_has_what_was_asked_for_and_where_to_retrieve_it(archive: Archive) -> None:
    put(archive, instance(PatientName="DOE^JANE", PatientID="P1", StudyDate="20240229", Modality="CT"))
    found = find(archive, "STUDY", PatientName="", StudyDate="", AccessionNumber="", StudyInstanceUID="")
    assert found.status == SUCCESS
    assert found.pending == {status.PENDING}
    (answer,) = found.answers
    assert answer.pop("StudyInstanceUID").startswith("1.2.7.")
    assert answer == {
        "SpecificCharacterSet": "ISO_IR 100",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "ORTHANC",
        "PatientName": "DOE^JANE",
        "StudyDate": "20240229",
        "AccessionNumber": "",
    }


def test_no_match_is_a_success_without_answers(archive: Archive) -> None:
    found = find(archive, "STUDY", PatientID="NOBODY")
    assert (found.status, found.answers) == (SUCCESS, [])


def test_elements_of_answers_are_in_order_and_even(archive: Archive) -> None:
    put(archive, instance(PatientName="ODD", PatientID="P1", Manufacturer="abc"))
    with association(archive) as peer:
        (raw,) = ask(peer, {"QueryRetrieveLevel": "STUDY", "Manufacturer": "", "PatientName": ""}).raw
    tags, position = [], 0
    while position < len(raw):
        group, number, _, length = struct.unpack_from("<HH2sH", raw, position)
        assert length % 2 == 0
        tags.append((group, number))
        position += 8 + length
    assert position == len(raw)
    assert tags == sorted(tags)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_every_uncompressed_encoding(archive: Archive, syntax: str) -> None:
    rows = element(0x00280010, "US", struct.pack("<H", 512))
    name = element(0x00100010, "PN", b"DOE^JANE")
    put(archive, part10(body({0x00100010: name, 0x00280010: rows})))
    with association(archive, syntaxes=EVERY_SYNTAX) as peer:
        wanted = {"QueryRetrieveLevel": "IMAGE", "PatientName": "doe*", "Rows": b"", "SOPClassUID": ""}
        (answer,) = ask(peer, wanted, syntax).answers
    assert answer["PatientName"] == "DOE^JANE"
    assert answer["Rows"] == "512"
    assert answer["SOPClassUID"] == "1.2.840.10008.5.1.4.1.1.7"


def test_names_are_matched_without_case_and_accents_and_all_else_with_case(archive: Archive) -> None:
    put_all(
        archive,
        instance(PatientName="Müller^Ända", PatientID="Ab1"),
        instance(PatientName="Miller^Anda", PatientID="aB1"),
    )
    assert find(archive, "STUDY", PatientName="muller^anda", PatientID="").all("PatientID") == ["Ab1"]
    assert find(archive, "STUDY", PatientName="M?LLER*", PatientID="").all("PatientID") == ["Ab1", "aB1"]
    assert find(archive, "STUDY", PatientID="ab1").answers == []
    assert find(archive, "STUDY", PatientID="a*").all("PatientID") == ["aB1"]


def test_names_are_matched_with_case_if_that_is_asked_for(open_archive: Callable[..., Archive]) -> None:
    archive = open_archive(case_sensitive_pn=True)
    put(archive, instance(PatientName="Doe^Jane", PatientID="P1"))
    assert find(archive, "STUDY", PatientName="doe*").answers == []
    assert len(find(archive, "STUDY", PatientName="Doe*").answers) == 1


def test_text_beyond_the_default_character_set_goes_out_in_unicode(archive: Archive) -> None:
    put_all(
        archive,
        instance(PatientName="Müller", PatientID="1"),
        instance(PatientName="山田^太郎", PatientID="2"),
    )
    found = find(archive, "STUDY", PatientName="", PatientID="")
    by_id = {one["PatientID"]: (one["SpecificCharacterSet"], one["PatientName"]) for one in found.answers}
    assert by_id == {"1": ("ISO_IR 100", "Müller"), "2": ("ISO_IR 192", "山田^太郎")}


def test_the_default_encoding_is_that_of_the_answers(open_archive: Callable[..., Archive]) -> None:
    archive = open_archive(default_encoding="Greek")
    put(archive, instance(PatientName="Διονυσιος", PatientID="2"))
    (answer,) = find(archive, "STUDY", PatientName="").answers
    assert (answer["SpecificCharacterSet"], answer["PatientName"]) == ("ISO_IR 126", "Διονυσιος")


def test_a_query_is_read_in_its_own_character_set(archive: Archive) -> None:
    put(archive, instance(PatientName="Διονυσιος", PatientID="G"))
    greek = "Διον*".encode("iso8859_7")
    keys = {
        "SpecificCharacterSet": "ISO_IR 126",
        "QueryRetrieveLevel": "STUDY",
        "PatientName": greek + b" " * (len(greek) & 1),
        "PatientID": "",
    }
    with association(archive) as peer:
        assert ask(peer, keys).all("PatientID") == ["G"]


@pytest.mark.parametrize("padding", [b" ", b"\0", b"   \0", b""])
def test_padding_of_keys_does_not_count_not_even_of_odd_lengths(archive: Archive, padding: bytes) -> None:
    put(archive, instance(PatientID="P1", StudyInstanceUID="1.2.3.4"))
    keys = {"QueryRetrieveLevel": b"STUDY" + padding, "PatientID": b"P1" + padding}
    with association(archive) as peer:
        assert len(ask(peer, {**keys, "StudyInstanceUID": b"1.2.3.4" + padding}).answers) == 1


def test_sequences_are_answered_whole(archive: Archive) -> None:
    inner = element(0x00081155, "UI", b"1.2.3.4\0") + element(0x00081199, "SQ", item(b""))
    study = element(0x00081110, "SQ", item(inner) + item(b""))
    put(archive, part10(body({0x00081110: study})))
    found = find(archive, "STUDY", ReferencedStudySequence="")
    (answer,) = found.answers
    assert answer["ReferencedStudySequence"] == [
        {"ReferencedSOPInstanceUID": "1.2.3.4", "ReferencedSOPSequence": [{}]},
        {},
    ]
    assert found.pending == {status.PENDING}


def test_keys_inside_sequences_are_not_matched_which_the_status_tells(archive: Archive) -> None:
    put(archive, instance(PatientID="P1"))
    asked = item(element(0x00081155, "UI", b"1.2.3.4\0"))
    found = find(archive, "STUDY", ReferencedStudySequence=asked)
    assert len(found.answers) == 1
    assert found.pending == {status.PENDING_WARNING}
    assert found.status == SUCCESS


def test_private_attributes_are_found_in_whichever_block_their_creator_has(archive: Archive) -> None:
    creator = element(0x00290011, "LO", b"ITHIL TESTS ")
    value = element(0x00291101, "LO", b"secret")
    put(archive, part10(body({0x00290011: creator, 0x00291101: value})))
    found = find(archive, "IMAGE", **{"0029,0010": "ITHIL TESTS", "0029,1001": ""})
    (raw,) = found.raw if found.raw else (b"",)
    assert element(0x00290010, "LO", b"ITHIL TESTS ") + element(0x00291001, "LO", b"secret") in raw
    assert len(find(archive, "IMAGE", **{"0029,1101": "sec*"}).answers) == 1
    assert find(archive, "IMAGE", **{"0029,1101": "other"}).answers == []


def test_files_are_opened_as_the_settings_say(open_archive: Callable[..., Archive]) -> None:
    for choice, answered, matched in (("Always", "Maker", 1), ("Answers", "Maker", 0), ("Never", "", 0)):
        archive = open_archive(storage_access_on_find=choice)
        if choice == "Always":
            put(archive, instance(KVP="120", PatientPosition="Maker"))
        assert find(archive, "SERIES", PatientPosition="").all("PatientPosition") == [answered]
        assert len(find(archive, "SERIES", PatientPosition="Maker").answers) == matched


def test_what_is_computed(archive: Archive) -> None:
    study = {"StudyInstanceUID": "1.2.3", "PatientID": "P1"}
    put_all(
        archive,
        instance(**study, SeriesInstanceUID="1.2.3.1", Modality="CT"),
        instance(**study, SeriesInstanceUID="1.2.3.1", Modality="CT"),
        instance(**study, SeriesInstanceUID="1.2.3.2", Modality="SR"),
        instance(StudyInstanceUID="1.2.4", PatientID="P1", Modality="US"),
    )
    keys = ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
    (answer,) = find(archive, "STUDY", StudyInstanceUID="1.2.3", **dict.fromkeys(keys, "")).answers
    assert [answer[key] for key in keys] == ["CT\\SR", "2", "3"]
    (answer,) = find(archive, "PATIENT", PatientID="P1", NumberOfPatientRelatedStudies="").answers
    assert answer["NumberOfPatientRelatedStudies"] == "2"
    found = find(archive, "STUDY", ModalitiesInStudy="SR\\US", StudyInstanceUID="", InstanceAvailability="")
    assert found.all("StudyInstanceUID") == ["1.2.3", "1.2.4"]
    assert found.all("InstanceAvailability") == ["ONLINE", "ONLINE"]


def test_dates_and_times_are_one_range_only_if_that_was_agreed(archive: Archive) -> None:
    for number, (day, hour) in enumerate(
        (("01", "09"), ("01", "15"), ("02", "09"), ("03", "09"), ("03", "15"))
    ):
        put(archive, instance(StudyDate=f"202401{day}", StudyTime=f"{hour}0000", StudyID=str(number)))
    keys = {
        "QueryRetrieveLevel": "STUDY",
        "StudyDate": "20240101-20240103",
        "StudyTime": "12-12",
        "StudyID": "",
    }
    with association(archive, extended=b"\1\1\1\1") as peer:
        (answer,) = peer.accept.user_information.extended
        assert answer.information == b"\1\1\0\0"
        assert ask(peer, keys).all("StudyID") == ["1", "2", "3"]
        assert ask(peer, {**keys, "StudyTime": "-12"}).all("StudyID") == ["0", "1", "2", "3"]
        assert ask(peer, {**keys, "StudyDate": "20240102-"}).all("StudyID") == ["3", "4"]
    with association(archive) as peer:
        assert peer.accept.user_information.extended == ()
        assert ask(peer, keys).answers == []
    with association(archive, extended=b"\1") as peer:
        assert peer.accept.user_information.extended[0].information == b"\1"
        assert ask(peer, keys).answers == []


def test_a_limit_ends_the_answers_and_says_so(open_archive: Callable[..., Archive]) -> None:
    archive = open_archive(limit_find_results=3, limit_find_instances=2)
    put_all(archive, *(instance(PatientID=f"P{number}") for number in range(4)))
    found = find(archive, "STUDY", PatientID="")
    assert (len(found.answers), found.status, found.comment) == (3, CANCEL, "There are more than 3 matches")
    assert len(find(archive, "IMAGE", PatientID="").answers) == 2
    found = find(archive, "STUDY", PatientID="P1\\P2\\P3")
    assert (len(found.answers), found.status) == (3, SUCCESS)


def test_a_cancelled_query_ends_and_the_association_lives_on(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ithil.archive.find.BATCH", 5)
    put_all(archive, *(instance(PatientID=f"P{number}") for number in range(60)))
    with association(archive) as peer:
        context = next(iter(peer.contexts.values()))
        command = Command(
            AffectedSOPClassUID=context.abstract_syntax, CommandField=CommandField.C_FIND, Priority=0
        )
        responses = peer.request(
            context, command, [identifier({"QueryRetrieveLevel": "STUDY", "PatientID": ""})]
        )
        peer.cancel(context)
        statuses = [response.command.status for response in responses]
        assert statuses[-1] in (CANCEL, SUCCESS)  # all may have gone out before
        assert set(statuses[:-1]) <= {status.PENDING}
        assert len(ask(peer, {"QueryRetrieveLevel": "STUDY", "PatientID": "P7"}).answers) == 1


@pytest.mark.parametrize(
    ("keys", "expected", "comment"),
    [
        ({"PatientID": ""}, MISMATCH, "0008,0052"),
        ({"QueryRetrieveLevel": "", "PatientID": ""}, MISMATCH, "0008,0052"),
        ({"QueryRetrieveLevel": "BODY", "PatientID": ""}, MISMATCH, "PATIENT, STUDY, SERIES or IMAGE"),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.*"}, NOT_UNDERSTOOD, "0020,000d"),
        ({"QueryRetrieveLevel": "STUDY", "StudyDate": "2004*"}, NOT_UNDERSTOOD, "0008,0020"),
        (b"nonsense that is no data set", NOT_UNDERSTOOD, "cannot be parsed"),
        (element(0x00080052, "CS", b"STUDY ", length=600), NOT_UNDERSTOOD, "cannot be parsed"),
        (b"", MISMATCH, "0008,0052"),
    ],
)
def test_bad_questions_get_the_status_that_fits_and_a_comment_that_helps(
    archive: Archive, keys: Any, expected: int, comment: str
) -> None:
    put(archive, instance(PatientID="P1"))
    with association(archive) as peer:
        found = ask(peer, keys)
        assert (found.status, found.answers) == (expected, [])
        assert comment in found.comment
        assert len(ask(peer, {"QueryRetrieveLevel": "STUDY"}).answers) == 1


def test_too_many_keys_are_refused(archive: Archive) -> None:
    many = b"".join(element(0x00090000 + number, "LO", b"") for number in range(0x1000, 0x1400))
    with association(archive) as peer:
        assert ask(peer, element(0x00080052, "CS", b"STUDY ") + many).status == NOT_UNDERSTOOD
        matched = b"".join(element(0x00090000 + number, "LO", b"x ") for number in range(0x1000, 0x1100))
        assert ask(peer, element(0x00080052, "CS", b"STUDY ") + matched).status == NOT_UNDERSTOOD


def test_a_request_without_an_identifier(archive: Archive) -> None:
    with association(archive) as peer:
        context = next(iter(peer.contexts.values()))
        command = Command(
            AffectedSOPClassUID=context.abstract_syntax, CommandField=CommandField.C_FIND, Priority=0
        )
        (response,) = peer.request(context, command)
        assert response.command.status == MISMATCH


def test_levels_of_the_information_models(archive: Archive) -> None:
    put(archive, instance(PatientID="P1"))
    for sop_class, levels in (
        (PATIENT_ROOT_FIND, ("PATIENT", "STUDY", "SERIES", "IMAGE")),
        (PATIENT_STUDY_ONLY_FIND, ("PATIENT", "STUDY")),
    ):
        with association(archive, sop_class) as peer:
            for level in levels:
                assert len(ask(peer, {"QueryRetrieveLevel": level, "PatientID": ""}).answers) == 1
    with association(archive, PATIENT_STUDY_ONLY_FIND) as peer:
        found = ask(peer, {"QueryRetrieveLevel": "SERIES"})
        assert found.status == MISMATCH
        assert "PATIENT and STUDY" in found.comment


def test_whoever_may_not_ask_gets_no_presentation_context(tmp_path: Path) -> None:
    with OnSqlite(tmp_path) as place, association(place.open()) as peer, pytest.raises(NoAcceptedContext):
        peer.context_for("1.2.840.10008.5.1.4.1.2.2.1")


def test_a_database_that_fails_in_the_middle(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    put(archive, instance(PatientID="P1"))

    def failing(*_: Any) -> Iterator[Any]:
        raise IndexUnavailable("The database does not answer")
        yield

    with association(archive) as peer:
        with monkeypatch.context() as patch:
            patch.setattr("ithil.archive.find.resources", failing)
            found = ask(peer, {"QueryRetrieveLevel": "STUDY"})
        assert (found.status, found.comment) == (status.OUT_OF_RESOURCES, "The database does not answer")
        assert len(ask(peer, {"QueryRetrieveLevel": "STUDY"}).answers) == 1


def test_a_file_that_is_lost_leaves_its_values_empty(archive: Archive) -> None:
    put(archive, instance(PatientID="P1", KVP="120"))
    for path in Path(archive.settings.storage_directory).rglob("*"):
        if path.is_file() and len(path.name) == 36:
            path.unlink()
    (answer,) = find(archive, "IMAGE", PatientID="", KVP="").answers
    assert answer["PatientID"] == "P1"
