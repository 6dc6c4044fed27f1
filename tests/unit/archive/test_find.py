"""Searching: every kind of constraint at every level, paging, tags of files."""

from __future__ import annotations

import random
import threading

import pytest
import sqlalchemy as sa
from tests.unit.archive.places import Place, put
from tests.unit.archive.searching import constraints, ids, instance, search

from ithil.archive import find, resources
from ithil.archive.archive import Archive
from ithil.archive.errors import IndexUnavailable
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.matching import Match, accepts, parse_text
from ithil.archive.model import StoreResult
from ithil.archive.query import (
    BadQuery,
    Order,
    OrderKind,
    Query,
)
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level

PATIENT, STUDY, SERIES, INSTANCE = Level


@pytest.fixture
def filled(archive: Archive) -> dict[str, StoreResult]:
    """A few studies of three patients, by a short name each."""
    contents = {
        "doe": instance(
            PatientID="A_1",
            PatientName="Doe^John",
            PatientSex="M",
            PatientBirthDate="19600101",
            StudyDate="20240110",
            StudyTime="101500",
            StudyInstanceUID="1.2.3.1",
            SeriesInstanceUID="1.2.3.1.1",
            AccessionNumber="ACC1",
            StudyDescription="Head CT",
            StudyID="one",
            Modality="CT",
            SeriesDescription="Axial",
            Manufacturer="GE_Medical",
            InstanceNumber="2",
            KVP="120",
            ImageType="ORIGINAL\\PRIMARY\\AXIAL",
        ),
        "doe second": instance(
            PatientID="A_1",
            PatientName="Doe^John",
            StudyDate="20240110",
            StudyInstanceUID="1.2.3.1",
            SeriesInstanceUID="1.2.3.1.2",
            Modality="SR",
            SeriesDescription="Report",
            InstanceNumber="10",
        ),
        "jerome": instance(
            PatientID="A 1",
            PatientName="Jérôme^Ällen",
            StudyDate="20240315",
            StudyTime="",
            AccessionNumber="",
            StudyInstanceUID="1.2.3.2",
            Modality="MR",
            StudyDescription="Knie",
            InstanceNumber="1",
            Manufacturer="Siemens",
            KVP="80",
        ),
        "yamada": instance(
            PatientID="B%2",
            PatientName="山田^太郎",
            StudyInstanceUID="1.2.3.3",
            Modality="CT",
            StudyDescription='Head [CT] "x" 50%',
            InstanceNumber="01",
        ),
    }
    return {name: put(archive, content) for name, content in contents.items()}


STUDY_SEARCHES: list[tuple[dict[str, str], str]] = [
    ({}, "doe jerome yamada"),
    ({"PatientID": "A_1"}, "doe"),
    ({"PatientID": "a_1"}, "doe"),
    ({"PatientID": "A 1"}, "jerome"),
    ({"PatientID": "A1"}, ""),
    ({"PatientID": "A*"}, "doe jerome"),
    ({"PatientID": "A_*"}, "doe"),
    ({"PatientID": "*%*"}, "yamada"),
    ({"PatientID": "A?1"}, "doe jerome"),
    ({"PatientID": "A_1\\B%2"}, "doe yamada"),
    ({"PatientName": "doe*"}, "doe"),
    ({"PatientName": "*^j*"}, "doe"),
    ({"PatientName": "jerome^allen"}, "jerome"),
    ({"PatientName": "JÉRÔME*"}, "jerome"),
    ({"PatientName": "*田*"}, "yamada"),
    ({"PatientName": "*"}, "doe jerome yamada"),
    ({"PatientSex": "m"}, "doe"),
    ({"PatientSex": "*"}, "doe"),
    ({"PatientBirthDate": "19500101-19700101"}, "doe"),
    ({"PatientBirthDate": "-19700101"}, "doe"),
    ({"StudyDate": "20240110"}, "doe"),
    ({"StudyDate": "20240101-20240201"}, "doe"),
    ({"StudyDate": "20240111-"}, "jerome"),
    ({"StudyDate": "-20240201"}, "doe"),
    ({"StudyDate": "20240110\\20240315"}, "doe jerome"),
    ({"StudyDate": "-"}, "doe jerome yamada"),
    ({"StudyTime": "-12"}, "doe jerome"),  # an empty time is before all others, a missing one is none
    ({"StudyTime": "101500\\"}, "doe jerome"),
    ({"AccessionNumber": "*"}, "doe jerome"),
    ({"AccessionNumber": "?*"}, "doe"),
    ({"AccessionNumber": "acc1\\"}, "doe jerome"),
    ({"StudyDescription": "head*"}, "doe yamada"),
    ({"StudyDescription": "head [ct]*"}, "yamada"),
    ({"StudyDescription": "*50%"}, "yamada"),
    ({"StudyDescription": '*"x"*'}, "yamada"),
    ({"StudyID": "ONE"}, "doe"),
    ({"StudyID": "o?e"}, "doe"),
    ({"StudyInstanceUID": "1.2.3.1\\1.2.3.3"}, "doe yamada"),
    ({"ModalitiesInStudy": "CT"}, "doe yamada"),
    ({"ModalitiesInStudy": "ct"}, "doe yamada"),
    ({"ModalitiesInStudy": "SR\\MR"}, "doe jerome"),
    ({"ModalitiesInStudy": "M*"}, "jerome"),
    ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.7"}, "doe jerome yamada"),
    ({"NumberOfStudyRelatedSeries": "2"}, "doe"),
    ({"NumberOfStudyRelatedInstances": "1\\3"}, "jerome yamada"),
    ({"NumberOfStudyRelatedInstances": "two"}, ""),
    ({"NumberOfPatientRelatedStudies": "1"}, "doe jerome yamada"),
    ({"InstanceAvailability": "ONLINE"}, "doe jerome yamada"),
    ({"InstanceAvailability": "OFFLINE"}, ""),
    ({"Modality": "CT"}, "doe yamada"),
    ({"Modality": "CT", "SeriesDescription": "axial"}, "doe"),
    ({"Modality": "CT", "SeriesDescription": "report"}, ""),  # not the same series
    ({"ModalitiesInStudy": "CT", "SeriesDescription": "report"}, "doe"),
    ({"Manufacturer": "ge_*"}, "doe"),
    ({"Manufacturer": "ge *"}, ""),
    ({"InstanceNumber": "1"}, "jerome"),
    ({"Modality": "SR", "InstanceNumber": "10"}, "doe"),
    ({"Modality": "CT", "InstanceNumber": "10"}, ""),
    ({"KVP": "120"}, "doe"),
    ({"KVP": "80\\120", "StudyDate": "20240201-"}, "jerome"),
    ({"ImageType": "AXIAL"}, "doe"),
    ({"PatientID": "A_1", "StudyDate": "20200101-20201231"}, ""),
    ({"0011,0011": "x"}, ""),
]


@pytest.mark.parametrize(("query", "expected"), STUDY_SEARCHES, ids=lambda value: str(value))
def test_studies(
    archive: Archive, filled: dict[str, StoreResult], query: dict[str, str], expected: str
) -> None:
    assert search(archive, STUDY, **query) == [filled[name].study for name in expected.split()]


@pytest.mark.parametrize(
    ("level", "query", "expected"),
    [
        (PATIENT, {"PatientName": "doe*"}, "doe"),
        (PATIENT, {"StudyDate": "20240315"}, "jerome"),
        (PATIENT, {"ModalitiesInStudy": "SR"}, "doe"),
        (PATIENT, {"StudyDate": "20240110", "ModalitiesInStudy": "MR"}, ""),
        (PATIENT, {"NumberOfPatientRelatedInstances": "2"}, "doe"),
        (PATIENT, {"Modality": "CT", "InstanceNumber": "01"}, "yamada"),
        (SERIES, {"Modality": "CT"}, "doe|yamada"),
        (SERIES, {"PatientID": "A_1"}, "doe|doe second"),
        (SERIES, {"PatientName": "*rô*"}, "jerome"),
        (SERIES, {"StudyDescription": "head*"}, "doe|doe second|yamada"),
        (SERIES, {"ModalitiesInStudy": "SR"}, "doe|doe second"),
        (SERIES, {"NumberOfSeriesRelatedInstances": "1", "Modality": "SR"}, "doe second"),
        (SERIES, {"KVP": "120"}, "doe"),
        (INSTANCE, {"PatientID": "A_1"}, "doe|doe second"),
        (INSTANCE, {"Modality": "SR"}, "doe second"),
        (INSTANCE, {"StudyDate": "-20240201"}, "doe|doe second"),
        (INSTANCE, {"InstanceNumber": "1"}, "jerome"),
        (INSTANCE, {"InstanceNumber": "01"}, "yamada"),
        (INSTANCE, {"KVP": "80"}, "jerome"),
        (INSTANCE, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "doe|doe second|jerome|yamada"),
    ],
    ids=str,
)
def test_other_levels(
    archive: Archive,
    filled: dict[str, StoreResult],
    level: Level,
    query: dict[str, str],
    expected: str,
) -> None:
    field = level.singular.lower()
    names = [name for name in expected.split("|") if name]
    assert search(archive, level, **query) == [getattr(filled[name], field) for name in names]


def test_case_counts_if_asked_for(archive: Archive, filled: dict[str, StoreResult]) -> None:
    for name, text, other in (
        ("PatientName", "Doe^John", "DOE^JOHN"),
        ("PatientName", "*^J*n", "*^J*N"),
        ("PatientName", "Jérôme*", "Jerome*"),
        ("ModalitiesInStudy", "SR", "sr"),
        ("StudyID", "one", "One"),
        ("Manufacturer", "GE*", "ge*"),
        ("StudyDescription", "Knie", "knie"),
    ):
        assert len(search(archive, STUDY, case_sensitive=True, **{name: text})) == 1
        assert search(archive, STUDY, case_sensitive=True, **{name: other}) == []


def test_without_access_to_files_their_tags_match_nothing(
    archive: Archive, filled: dict[str, StoreResult]
) -> None:
    query = Query(STUDY, constraints({"KVP": "120"}), open_files=False)
    assert ids(archive, query) == []
    assert find.count(archive, query) == 0


def test_a_lost_file_fails_no_search(archive: Archive, filled: dict[str, StoreResult]) -> None:
    with archive.index.read() as session:
        files = Statement(sa.select(t.instances.c.file_uuid).order_by(t.instances.c.id))
        uuid = session.all(files)[0][0]
    archive.storage.remove(uuid)
    assert search(archive, STUDY, KVP="80\\120") == [filled["jerome"].study]


def test_resources_below_a_parent(archive: Archive, filled: dict[str, StoreResult]) -> None:
    doe = filled["doe"]
    assert ids(archive, Query(INSTANCE, parents=((PATIENT, doe.patient),))) == [
        doe.instance,
        filled["doe second"].instance,
    ]
    query = Query(SERIES, constraints({"Modality": "SR"}), parents=((STUDY, doe.study),))
    assert ids(archive, query) == [filled["doe second"].series]
    assert ids(archive, Query(SERIES, parents=((STUDY, "nope"),))) == []
    with pytest.raises(BadQuery):
        ids(archive, Query(STUDY, parents=((SERIES, doe.series),)))


def test_pages(archive: Archive) -> None:
    stored = [put(archive, instance(PatientID=f"P{number}", KVP="1")).study for number in range(7)]
    for query in ({}, {"PatientID": "P*"}, {"StudyID": "\\x"}, {"KVP": "1"}):
        expected = stored if "StudyID" not in query else []
        for since, limit in ((0, 0), (0, 3), (3, 3), (6, 3), (7, 1), (2**62, 2**62), (2, 0)):
            asked = Query(STUDY, constraints(query), since=since, limit=limit)
            assert ids(archive, asked) == expected[since : since + limit if limit else None]


def test_windows_and_batches_meet(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "BATCH", 2)
    monkeypatch.setattr(find, "FILE_BATCH", 2)
    monkeypatch.setattr(find, "WINDOW", 3)
    monkeypatch.setattr(find, "_FIRST_WINDOW", 2)
    stored = [put(archive, instance(PatientID=f"P{number % 2}_", KVP="1")).study for number in range(11)]
    newest_first = (Order(OrderKind.TAG, parse_tag("StudyInstanceUID"), descending=True),)
    for query, expected in (
        ({}, stored),
        ({"PatientID": "p1_"}, stored[1::2]),
        ({"PatientID": "p*"}, stored),
        ({"KVP": "1", "PatientID": "P0_"}, stored[::2]),
    ):
        for since, limit in ((0, 0), (0, 4), (3, 5), (1, 3)):
            part = slice(since, since + limit if limit else None)
            asked = constraints(query)
            assert ids(archive, Query(STUDY, asked, since=since, limit=limit)) == expected[part]
            found = ids(archive, Query(STUDY, asked, order=newest_first, since=since, limit=limit))
            by_uid = sorted(expected, key=lambda one: _study_uid(archive, one), reverse=True)
            assert found == by_uid[part]


def _study_uid(archive: Archive, public_id: str) -> str:
    query = Statement(
        sa.select(t.studies.c.study_instance_uid).where(t.studies.c.public_id == sa.bindparam("id"))
    )
    with archive.index.read() as session:
        row = session.one(query, {"id": public_id})
    assert row is not None
    return str(row[0])


def test_tags_that_the_configuration_adds(place: Place) -> None:
    archive = place.open(extra_main_dicom_tags={STUDY: [0x00180060]})
    stored = put(archive, instance(KVP="120"))
    put(archive, instance(KVP="80"))
    assert search(archive, STUDY, KVP="120") == [stored.study]
    assert ids(archive, Query(STUDY, constraints({"KVP": "120"}), open_files=False)) == [stored.study]


def test_the_settings_limit_answers(place: Place) -> None:
    archive = place.open(limit_find_results=2, limit_find_instances=1)
    for _ in range(4):
        put(archive, instance())
    for level, asked, expected in ((STUDY, 0, 2), (STUDY, 1, 1), (SERIES, 9, 2), (INSTANCE, 0, 1)):
        query = find.limited(archive, Query(level, limit=asked))
        assert len(ids(archive, query)) == expected
    assert len(ids(place.open(), find.limited(place.open(), Query(STUDY)))) == 4


def test_a_server_that_stops_ends_its_searches(archive: Archive, filled: dict[str, StoreResult]) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(IndexUnavailable):
        list(find.ids(archive, Query(STUDY), stop))


def test_what_is_asked_never_is_sql(archive: Archive, filled: dict[str, StoreResult]) -> None:
    texts = (
        "' OR 1=1 --",
        '"; DROP TABLE studies; --',
        "%",
        "_",
        "\\'",
        "%(after)s",
        ":after",
        "[",
        "{",
        "$",
    )
    for text in texts:
        for name in ("PatientName", "StudyID", "Manufacturer", "KVP"):
            search(archive, STUDY, **{name: f"{text}x"})
            if name != "KVP":
                search(archive, STUDY, **{name: f"{text}x*"})
    assert len(search(archive, STUDY)) == 3


VALUES = ["", "a", "A", "b", "ab", "a_b", "a b", "ä", "ab%", "a*", "[b]_"]
TAGS = ["PatientID", "PatientName", "StudyDescription", "RequestingPhysician", "SeriesDescription"]


@pytest.mark.parametrize("seed", range(3))
def test_searches_agree_with_looking_at_every_value(archive: Archive, seed: int) -> None:
    """Random archives and queries against the plainest search there is."""
    source = random.Random(seed)
    known: dict[str, dict[str, str]] = {}
    for _ in range(25):
        values = {name: source.choice(VALUES) for name in TAGS if source.random() < 0.8}
        known[put(archive, instance(**values)).series] = values
    texts = ["a", "A*", "*b", "?", "*", "a_*", "a\\", "b\\ä", "ä*", "*a*b*", "a?b", "*%", "ab"]
    texts += ["*b*", "*B]*", "*[b]*", "*a_b*", "* *", "**a**", "*%*"]
    for _ in range(60):
        query = {name: source.choice(texts) for name in source.sample(TAGS, source.choice((1, 1, 2)))}
        case_sensitive = source.random() < 0.3

        def matches(
            values: dict[str, str], query: dict[str, str] = query, case_sensitive: bool = case_sensitive
        ) -> bool:
            tests: list[tuple[str, Match]] = [(name, parse_text(text)) for name, text in query.items()]
            return all(
                name in values and accepts(match, case_sensitive=case_sensitive)(values[name])
                for name, match in tests
            )

        expected = [one for one, values in known.items() if matches(values)]
        assert search(archive, SERIES, case_sensitive=case_sensitive, **query) == expected, query


def test_a_lookup_tells_characters_apart_that_sql_gives_a_meaning(archive: Archive) -> None:
    found = {
        name: put(archive, instance(PatientID=name)).patient for name in ("1234", "_1234", "%1234", "12 34")
    }
    for name, public_id in found.items():
        assert resources.lookup(archive, name) == [(PATIENT, public_id)]
    assert resources.lookup(archive, "12_34") == []
