"""Studies whose JSON is kept: it is that which would be made anew, and never that of a study as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.unit.application import Client
from tests.unit.dicomweb.searching import SERIES, STUDY, little_hospital, search, store, values

from ithil.archive.archive import Archive
from ithil.archive.find_attributes import Match
from ithil.dicom.dictionary import Dictionary, Entry, configured
from ithil.dicom.level import Level
from ithil.dicomweb import qido_answer
from ithil.dicomweb.qido_attributes import shown
from ithil.dicomweb.qido_ready import LARGEST_SHARE, MOST_NEW, ReadyJson

FORM = "form"
LISTS = (
    "/studies?limit=9",
    "/studies?includefield=Modality,BodyPartExamined",
    "/studies?includefield=SOPClassesInStudy,NumberOfPatientRelatedStudies",
    "/studies?PatientName=*y*",
)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> ReadyJson:
    """What is kept, nothing at first."""
    kept = ReadyJson(1 << 20)
    monkeypatch.setattr(qido_answer, "_ready", kept)
    return kept


@pytest.fixture
def hospital(client: Client) -> Client:
    little_hospital(client)
    return client


@pytest.mark.parametrize("path", LISTS)
def test_what_was_kept_is_what_would_be_made(
    hospital: Client, ready: ReadyJson, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    first = search(hospital, path)
    kept = ready.size
    # Each an address that was not asked, so that no whole answer is given again.
    assert search(hospital, f"{path}&offset=0") == first
    assert 0 < kept == ready.size
    monkeypatch.setattr(qido_answer, "_ready", ReadyJson(1 << 20))
    assert search(hospital, f"{path}&offset=00") == first
    assert search(hospital, f"{path}&offset=1") == first[1:]


def test_what_changes_a_study_shows_at_once(hospital: Client, ready: ReadyJson) -> None:
    path = (
        "/studies?AccessionNumber=ACC1&includefield=Modality,SOPClassesInStudy,NumberOfPatientRelatedStudies"
    )
    assert values(search(hospital, path), "00201206") == [2]
    study = {"PatientName": "Meyer^Anna", "PatientID": "A1", "StudyInstanceUID": STUDY}
    store(hospital, **study, SeriesInstanceUID="1.2.3.1.9", Modality="MR")
    (found,) = search(hospital, path)
    assert found["00080061"]["Value"] == ["CT", "MR", "SR"]
    assert (found["00201206"]["Value"], found["00201208"]["Value"]) == ([3], [4])
    store(hospital, PatientID="A1", StudyInstanceUID="1.2.3.7", Modality="US")
    assert values(search(hospital, path), "00201200") == [2]
    (series,) = hospital.post("/tools/lookup", content=SERIES).json()
    assert hospital.delete(f"/series/{series['ID']}").status_code == 200
    (found,) = search(hospital, path)
    assert found["00080061"]["Value"] == ["MR", "SR"]
    assert found["00080060"]["Value"] == ["SR"]
    assert ready.size > 0


def test_what_another_process_has_changed_shows_at_once(hospital: Client, ready: ReadyJson) -> None:
    """Here only the rows change, and nothing is told to this process."""
    before = search(hospital, "/studies?AccessionNumber=ACC1")
    archive: Archive = hospital.app.context.archive
    with archive.index.read() as session:
        session.cursor.execute("UPDATE studies SET main_tags = replace(main_tags, 'Head', 'Hand')")
    (after,) = search(hospital, "/studies?AccessionNumber=ACC1&limit=9")
    assert before[0]["00081030"]["Value"] == ["Head"]
    assert after["00081030"]["Value"] == ["Hand"]


def test_each_address_of_the_server_has_its_links(hospital: Client, ready: ReadyJson) -> None:
    for host in ("a.example", "b.example", "a.example"):
        (found,) = search(hospital, "/studies?AccessionNumber=ACC1", headers={"Host": host})
        assert found["00081190"]["Value"] == [f"http://{host}/dicom-web/studies/{STUDY}"]


@pytest.fixture
def dictionary() -> Iterator[Dictionary]:
    """What the configuration adds, which a server that starts anew reads again."""
    yield configured
    configured.clear()


def test_a_dictionary_that_has_changed_counts_at_once(hospital: Client, dictionary: Dictionary) -> None:
    names = [one["00100010"]["Value"] for one in search(hospital, "/studies?Ours=A1")]
    assert len(names) > 1  # the name is unknown, so all match
    dictionary.register(0x00100020, Entry("LO", "Ours"))
    assert values(search(hospital, "/studies?Ours=A1&limit=9"), "00100020") == ["A1"]
    dictionary.clear()
    dictionary.register(0x00080050, Entry("SH", "Ours"))
    assert values(search(hospital, "/studies?Ours=ACC1&limit=8"), "00080050") == ["ACC1"]
    assert search(hospital, "/studies?Ours=A1&limit=8") == []


@pytest.mark.parametrize("vr", ["SH", "LT"])
def test_what_was_kept_before_the_dictionary_changed_is_made_anew(
    hospital: Client, dictionary: Dictionary, vr: str
) -> None:
    """A long text is looked for in files too."""
    path = "/studies?AccessionNumber=ACC1"
    (before,) = search(hospital, path)
    dictionary.register(0x00081030, Entry(vr, "OurDescription"))
    (after,) = search(hospital, f"{path}&limit=9")
    assert (before["00081030"]["vr"], after["00081030"]["vr"]) == ("LO", vr)
    usual = shown(Level.STUDY, Level.PATIENT, frozenset({0x00080050}))
    assert (0x00081030 in usual.in_files) == (vr == "LT")
    dictionary.clear()
    assert search(hospital, f"{path}&limit=8") == [before]


# -- the cache itself ----------------------------------------------------------------------------------------


def _match(key: int, content: str = "{}") -> Match:
    return Match(key, None, None, (None, key, content))


def _make(match: Match) -> bytes:
    assert match.source is not None
    return json.dumps([match.key, match.source[2]]).encode()


def test_only_what_is_new_is_made() -> None:
    ready = ReadyJson(1 << 20)
    made: list[int] = []

    def make(match: Match) -> bytes:
        made.append(match.key)
        return _make(match)

    found = [_match(1), _match(2)]
    first = ready.of(FORM, found, make)
    assert ready.of(FORM, [*found, _match(3)], make) == [*first, _make(_match(3))]
    assert made == [1, 2, 3]
    assert ready.of(FORM, [_match(2, "changed")], make) == [_make(_match(2, "changed"))]
    assert ready.of(FORM, [_match(2)], make) == [_make(_match(2))]
    assert ready.of("another form", [_match(1)], make) == [_make(_match(1))]
    assert made == [1, 2, 3, 2, 2, 1]


def test_a_match_without_a_source_is_not_kept() -> None:
    ready = ReadyJson(1 << 20)
    assert ready.of(FORM, [Match(1, {})], lambda _: b"1") == [b"1"]
    assert ready.of(FORM, [Match(1, {})], lambda _: b"2") == [b"2"]


def test_it_never_takes_more_than_its_capacity() -> None:
    capacity = 100_000
    ready = ReadyJson(capacity)
    for number in range(2000):
        form = number % 3 if number < 1000 else number
        ready.of(form, [_match(number * 7 % 500, "x" * (number % 900))], _make)
        assert ready.size <= capacity
    ready.of(FORM, [_match(1, "y" * (capacity // LARGEST_SHARE))], _make)
    assert ready.size <= capacity


def test_what_was_shown_least_lately_goes_first_of_whichever_form() -> None:
    content = "x" * 10_000
    ready = ReadyJson(1 << 20)
    made: list[tuple[str, int]] = []

    def page(form: str, *keys: int) -> None:
        def make(match: Match) -> bytes:
            made.append((form, match.key))
            return _make(match)

        found = [_match(key, content) for key in keys]
        assert ready.of(form, found, make) == [_make(match) for match in found]

    for number in range(100):  # two forms whose first pages are asked for again and again
        page("a", 1, 2, 3)
        page("b", 1, 2, 3)
        page("a", 1000 + number)
        page("b", 2000 + number)
    assert sum(key < 10 for _, key in made) == 6
    assert len(made) == 206
    page("a", 1000)
    assert made[-1] == ("a", 1000)
    assert len(made) == 207


def test_a_form_that_was_forgotten_is_made_anew() -> None:
    ready = ReadyJson(100_000)
    for _ in range(2):
        for number in range(100):
            text = str(number).encode()
            assert ready.of(number, [_match(1)], lambda _, text=text: text) == [text]


def test_nothing_is_kept_after_it_was_cleared() -> None:
    ready = ReadyJson(1 << 20)
    ready.of(FORM, [_match(1)], lambda _: b"before")
    ready.clear()
    assert ready.size == 0
    assert ready.of(FORM, [_match(1)], lambda _: b"after") == [b"after"]


def test_a_long_list_leaves_what_is_kept_alone() -> None:
    ready = ReadyJson(1 << 20)
    ready.of(FORM, [_match(1)], _make)
    size = ready.size
    ready.of(FORM, [_match(number) for number in range(2, MOST_NEW + 3)], _make)
    assert ready.size == size
