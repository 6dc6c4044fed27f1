"""Routing as data, on both databases: which studies a rule means, and the queue of deliveries."""

from __future__ import annotations

import pytest
from pydicom.data import get_testdata_file

from ithil.archive import ingest, routing
from ithil.archive.archive import Archive
from ithil.archive.index import deliveries as rows
from ithil.archive.model import Origin
from ithil.archive.routing import DeliveryState
from ithil.error_codes import CodedError
from ithil.settings.routing_rules import RoutingRule, parse_rule


def stored(archive: Archive, name: str) -> str:
    """The study of a file that is stored."""
    with open(str(get_testdata_file(name, download=False)), "rb") as file:
        return ingest.store(archive, file.read(), Origin()).study


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (RoutingRule(peer="a"), True),
        (RoutingRule({"ModalitiesInStudy": "CT"}, peer="a"), True),
        (RoutingRule({"ModalitiesInStudy": "MR"}, peer="a"), False),
        (RoutingRule({"PatientName": "compressed*", "StudyDate": "20000101-"}, peer="a"), True),
        (RoutingRule({"StudyDate": "-20000101"}, peer="a"), False),
        (RoutingRule(labels=("urgent",), peer="a"), False),
        (RoutingRule(enabled=False, peer="a"), False),
    ],
)
def test_a_rule_means_the_studies_of_its_query(archive: Archive, rule: RoutingRule, expected: bool) -> None:
    study = stored(archive, "CT_small.dcm")
    stored(archive, "MR_small.dcm")
    assert routing.matches(archive, rule, study) is expected


def test_a_study_that_has_gone_matches_nothing(archive: Archive) -> None:
    assert not routing.matches(archive, RoutingRule(peer="a"), "gone")


def test_rules_are_kept_and_refused(archive: Archive) -> None:
    routing.put_rule(archive, "one", {"Peer": "a", "Query": {"PatientID": "A*"}})
    assert routing.rules(archive) == {"one": parse_rule({"Peer": "a", "Query": {"PatientID": "A*"}}, [])}
    for wrong in ({"Peer": "a", "Query": {"StudyDate": "x" * 70000}}, {"Peer": "a", "Query": {"?": ""}}, {}):
        with pytest.raises(CodedError):
            routing.put_rule(archive, "two", wrong)
    assert routing.remove_rule(archive, "one")
    assert not routing.remove_rule(archive, "one")


def test_deliveries_are_due_in_their_order_and_are_tried_again(archive: Archive) -> None:
    made = [routing.new(seq, "rule", RoutingRule(peer="a"), f"study-{seq}") for seq in range(1, 4)]
    for due, delivery in zip((300.0, 100.0, 200.0), made, strict=True):
        delivery.due = due
        archive.index.write(lambda session, delivery=delivery: routing.put(session, delivery))
    assert [one.study for one in routing.due(archive, 200.0, 10)] == ["study-2", "study-3"]
    assert [one.study for one in routing.due(archive, 1000.0, 1)] == ["study-2"]
    assert routing.counts(archive) == {"Waiting": 3, "Sending": 0, "Failed": 0}
    assert [one.study for one in routing.page(archive, made[0].id, 10)] == ["study-2", "study-3"]

    first = made[1]
    place, first.state = first.place, DeliveryState.SENDING

    def move(session: object) -> bool:
        if not rows.take(session, DeliveryState.WAITING, place):  # type: ignore[arg-type]
            return False
        routing.put(session, first)  # type: ignore[arg-type]
        return True

    assert archive.index.write(move)
    assert not archive.index.write(move)
    assert [one.id for one in routing.in_state(archive, DeliveryState.SENDING, 10)] == [first.id]
    assert not routing.retry(archive, first.id)
    assert not routing.remove(archive, first.id)
    assert routing.retry(archive, made[0].id)
    assert routing.remove(archive, made[2].id)
    assert routing.counts(archive) == {"Waiting": 1, "Sending": 1, "Failed": 0}
    assert routing.get(archive, made[2].id) is None
    assert not routing.retry(archive, "nope\0")


def test_the_cursor_goes_on_for_one_process_only(archive: Archive) -> None:
    archive.index.write(lambda session: rows.begin(session, 5))
    archive.index.write(lambda session: rows.begin(session, 7))
    assert archive.index.write(lambda session: rows.advance(session, 5, 9))
    assert not archive.index.write(lambda session: rows.advance(session, 5, 10))
    with archive.index.read() as session:
        assert rows.cursor(session) == 9
