"""What a C-MOVE or C-GET asks for: levels, keys, lists, and identifiers that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.data.datasets import element, implicit, undefined_sequence
from tests.unit.archive.places import OnSqlite

from ithil.archive.matching import MOST_VALUES, Equal, OneOf
from ithil.archive.model import Origin
from ithil.archive.query import Query
from ithil.dicom.level import Level
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.handler import Peer
from ithil.services.access import Rights
from ithil.services.identifier import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, requested
from ithil.services.provider import Call

LEVEL = 0x00080052
ACCESSION, INSTANCE, PATIENT, STUDY, SERIES = 0x00080050, 0x00080018, 0x00100020, 0x0020000D, 0x0020000E
VRS = {LEVEL: "CS", ACCESSION: "SH", INSTANCE: "UI", PATIENT: "LO", STUDY: "UI", SERIES: "UI"}

Ask = Callable[..., list[Query]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Puts an identifier, by tags or as bytes."""
    with OnSqlite(tmp_path) as place:
        archive = place.open()

        def put(
            keys: dict[int, str] | bytes | None,
            *,
            model: str = STUDY_ROOT,
            syntax: str = EXPLICIT_LITTLE,
            deduce: bool = True,
        ) -> list[Query]:
            context = PresentationContext(1, f"{model}.2", syntax, False, True)
            call = Call(archive, context, Origin(), Rights(), Peer("127.0.0.1", 1))
            data = encoded(keys) if isinstance(keys, dict) else keys
            return requested(call, data, deduce_level=deduce)

        yield put


def encoded(keys: dict[int, str]) -> bytes:
    return b"".join(element(tag, VRS[tag], even(text)) for tag, text in sorted(keys.items()))


def even(text: str) -> bytes:
    raw = text.encode()
    return raw + b" " * (len(raw) & 1)


def refusal(ask: Ask, *args: object, **options: object) -> int:
    with pytest.raises(Refusal) as raised:
        ask(*args, **options)
    assert raised.value.comment
    assert len(raised.value.comment) <= 64
    return raised.value.status


def test_the_keys_of_the_level_and_of_those_above(ask: Ask) -> None:
    (query,) = ask({LEVEL: "SERIES", PATIENT: "P1", STUDY: "1.2", SERIES: "1.2.3"})
    assert query.level == Level.SERIES
    assert {one.tag: one.match for one in query.constraints} == {
        SERIES: Equal("1.2.3"),
        PATIENT: Equal("P1"),
        STUDY: Equal("1.2"),
    }


def test_keys_below_the_level_do_not_count(ask: Ask) -> None:
    (query,) = ask({LEVEL: "STUDY", STUDY: "1.2", SERIES: "1.2.3"})
    assert [one.tag for one in query.constraints] == [STUDY]


def test_lists_and_empty_values(ask: Ask) -> None:
    (query,) = ask({LEVEL: "STUDY", STUDY: "1.2\\\\1.3\\1.2", PATIENT: ""})
    assert [one.match for one in query.constraints] == [OneOf(("1.2", "1.3"))]


def test_a_wildcard_is_a_character_like_any_other(ask: Ask) -> None:
    (query,) = ask({LEVEL: "STUDY", STUDY: "*"})
    assert [one.match for one in query.constraints] == [Equal("*")]


def test_a_study_by_its_accession_number(ask: Ask) -> None:
    (query,) = ask({LEVEL: "STUDY", ACCESSION: "A7"})
    assert [(one.tag, one.match) for one in query.constraints] == [(ACCESSION, Equal("A7"))]
    (query,) = ask({LEVEL: "STUDY", ACCESSION: "A7", STUDY: "1.2"})
    assert [one.tag for one in query.constraints] == [STUDY]


@pytest.mark.parametrize(
    ("keys", "level"),
    [
        ({PATIENT: "P"}, Level.PATIENT),
        ({PATIENT: "P", STUDY: "1"}, Level.STUDY),
        ({ACCESSION: "A"}, Level.STUDY),
        ({STUDY: "1", SERIES: "2", INSTANCE: ""}, Level.SERIES),
        ({STUDY: "1", SERIES: "2", INSTANCE: "3"}, Level.INSTANCE),
    ],
)
def test_the_level_is_deduced_from_the_keys(ask: Ask, keys: dict[int, str], level: Level) -> None:
    assert ask(keys)[0].level == level
    assert ask({LEVEL: "", **keys})[0].level == level
    assert refusal(ask, keys, deduce=False) == status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS


@pytest.mark.parametrize(
    ("keys", "model"),
    [
        ({LEVEL: "STUDY"}, STUDY_ROOT),
        ({LEVEL: "STUDY", STUDY: ""}, STUDY_ROOT),
        ({LEVEL: "PATIENT", PATIENT: " "}, PATIENT_ROOT),
        ({LEVEL: "SERIES", STUDY: "1"}, STUDY_ROOT),
        ({LEVEL: "EVERYTHING", STUDY: "1"}, STUDY_ROOT),
        ({LEVEL: "STUDY\\SERIES", STUDY: "1"}, STUDY_ROOT),
        ({LEVEL: "SERIES", SERIES: "1"}, PATIENT_STUDY_ONLY),
        ({}, STUDY_ROOT),
    ],
)
def test_what_does_not_fit_the_service(ask: Ask, keys: dict[int, str], model: str) -> None:
    assert refusal(ask, keys, model=model) == status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS


@pytest.mark.parametrize(
    "damaged",
    [
        element(STUDY, "UI", b"1.2.3\0", length=60_000),
        b"\x20",
        undefined_sequence(0x00081111, b"")[:-4],
    ],
)
def test_what_cannot_be_read(ask: Ask, damaged: bytes) -> None:
    assert refusal(ask, damaged) == status.CANNOT_UNDERSTAND


def test_no_identifier_at_all(ask: Ask) -> None:
    assert refusal(ask, None) == status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS


def test_implicit_vr(ask: Ask) -> None:
    data = implicit(LEVEL, b"STUDY ") + implicit(STUDY, b"1.2\0")
    (query,) = ask(data, syntax=IMPLICIT_LITTLE)
    assert [(one.tag, one.match) for one in query.constraints] == [(STUDY, Equal("1.2"))]


def test_a_very_long_list_becomes_several_searches(ask: Ask) -> None:
    count = 2 * MOST_VALUES + 5
    uids = "\\".join(f"1.2.{number}" for number in range(count))
    data = implicit(INSTANCE, even(uids)) + implicit(LEVEL, b"IMAGE ")
    queries = ask(data, syntax=IMPLICIT_LITTLE)
    found = [value for query in queries for value in query.constraints[0].match.values]
    assert len(queries) == 3
    assert found == [f"1.2.{number}" for number in range(count)]
