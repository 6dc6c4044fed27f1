"""C-MOVE as provider: what goes where, what is told meanwhile and in the end, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.data import synthetic
from tests.data.real import content_of
from tests.unit.archive.places import OnSqlite, put, put_all
from tests.unit.services.receiver import Receiver, receiving
from tests.unit.services.retrieving import MOVE, associate, counts, failed_list, move, serving

from ithil.archive import exports
from ithil.archive.archive import Archive
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.jobs import queue
from ithil.network import status
from ithil.network.errors import NoAcceptedContext
from ithil.services.association_pool import pool
from ithil.settings import Modality

LEVEL, STUDY, SERIES, INSTANCE, PATIENT = 0x00080052, 0x0020000D, 0x0020000E, 0x00080018, 0x00100020

Open = Callable[..., tuple[Archive, int]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, receiver: Receiver) -> Iterator[Open]:
    """Opens an archive and its listener, which knows the receiver and one that is not there."""
    with OnSqlite(tmp_path) as place:
        listeners = []

        def begin(**settings: Any) -> tuple[Archive, int]:
            known = {
                "there": receiver.modality,
                "gone": Modality("GONE", "127.0.0.1", 9),
            }
            archive = place.open(
                dicom_modalities=known,
                **{"dicom_always_allow_move": True, "dicom_association_close_delay": 0, **settings},
            )
            listener = serving(archive)
            listeners.append(listener)
            return archive, listener.__enter__()

        yield begin
        for listener in listeners:
            listener.__exit__(None, None, None)
        pool.release_all()


def test_a_study_goes_to_the_destination(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    every = list(synthetic.study(2, 3))
    put_all(archive, *(one.content for one in every[::-1]))
    put(archive, synthetic.instance(1, 0, 0).content)
    with associate(port, MOVE) as peer:
        responses = list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid}))
    assert [one.command.status for one in responses] == [status.PENDING] * 5 + [status.SUCCESS]
    assert [counts(one) for one in responses] == [
        *((6 - done, done, 0, 0) for done in range(1, 6)),
        (None, 6, 0, 0),
    ]
    assert responses[-1].data_set is None
    assert sorted(receiver.order) == [one.sop_uid for one in every]
    for series in (receiver.order[:3], receiver.order[3:]):
        assert series == sorted(series), "not in the order of instance numbers"
    assert {command["MoveOriginatorApplicationEntityTitle"] for command in receiver.commands} == {
        "WORKSTATION"
    }
    assert {command["MoveOriginatorMessageID"] for command in receiver.commands} == {1}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({LEVEL: "PATIENT", PATIENT: "SYN0000000"}, 6),
        ({LEVEL: "SERIES", STUDY: "study", SERIES: "series"}, 3),
        ({LEVEL: "SERIES", STUDY: "study", SERIES: "series\\1.2.3"}, 3),
        ({LEVEL: "IMAGE", STUDY: "study", SERIES: "series", INSTANCE: "sop"}, 1),
        ({INSTANCE: "sop"}, 1),
    ],
)
def test_levels(start: Open, receiver: Receiver, keys: dict[int, str], expected: int) -> None:
    archive, port = start()
    every = list(synthetic.study(2, 3))
    put_all(archive, *(one.content for one in every))
    names = {"study": every[0].study_uid, "series": every[0].series_uid, "sop": every[0].sop_uid}
    asked = {
        tag: "\\".join(names.get(value, value) for value in text.split("\\")) for tag, text in keys.items()
    }
    with associate(port, MOVE) as peer:
        last = list(move(peer, "RECEIVER", asked))[-1]
    assert (last.command.status, counts(last)) == (status.SUCCESS, (None, expected, 0, 0))
    assert len(receiver.received) == expected


@pytest.mark.parametrize(
    ("destination", "keys", "expected"),
    [
        ("NOBODY", {LEVEL: "STUDY", STUDY: "2.25.10010000000"}, status.MOVE_DESTINATION_UNKNOWN),
        ("", {LEVEL: "STUDY", STUDY: "2.25.10010000000"}, status.MOVE_DESTINATION_UNKNOWN),
        ("RECEIVER", {LEVEL: "STUDY", STUDY: "1.2.3"}, status.CANNOT_UNDERSTAND),
        ("RECEIVER", {LEVEL: "STUDY"}, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
        ("RECEIVER", {LEVEL: "NO", STUDY: "1"}, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
    ],
)
def test_refusals(start: Open, destination: str, keys: dict[int, str], expected: int) -> None:
    archive, port = start()
    put(archive, synthetic.instance(0, 0, 0).content)
    with associate(port, MOVE) as peer:
        (only,) = move(peer, destination, keys)
        assert only.command.status == expected
        assert only.command.text("ErrorComment")
        # The association goes on.
        last = list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: "2.25.10010000000"}))[-1]
    assert last.command.status == status.SUCCESS


def test_the_destination_is_found_whatever_its_case(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    put(archive, synthetic.instance(0, 0, 0).content)
    with associate(port, MOVE) as peer:
        last = list(move(peer, "receiver ", {LEVEL: "STUDY", STUDY: "2.25.10010000000"}))[-1]
    assert last.command.status == status.SUCCESS


def test_who_may_not_move_gets_no_context(start: Open) -> None:
    _, port = start(dicom_always_allow_move=False, dicom_always_allow_echo=True)
    with associate(port, MOVE) as peer, pytest.raises(NoAcceptedContext):
        peer.context_for(MOVE)


def test_failures_and_warnings_are_counted_and_named(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 4))
    put_all(archive, *(one.content for one in every))
    answers = {every[1].sop_uid: 0xA700, every[2].sop_uid: 0xB006}
    receiver.answer = lambda uid: answers.get(uid, 0)
    with associate(port, MOVE) as peer:
        last = list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid}))[-1]
    assert last.command.status == status.WARNING_SUBOPERATIONS_FAILED
    assert counts(last) == (None, 2, 1, 1)
    assert failed_list(last) == [every[1].sop_uid]


def test_when_nothing_could_be_sent_that_is_a_failure(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 2))
    put_all(archive, *(one.content for one in every))
    receiver.answer = lambda uid: 0xA700
    with associate(port, MOVE) as peer:
        last = list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid}))[-1]
    assert last.command.status == status.UNABLE_TO_PERFORM_SUBOPERATIONS
    assert counts(last) == (None, 0, 2, 0)
    assert failed_list(last) == [one.sop_uid for one in every]


def test_a_destination_that_is_not_there(start: Open) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 3))
    put_all(archive, *(one.content for one in every))
    with associate(port, MOVE) as peer:
        (only,) = move(peer, "GONE", {LEVEL: "STUDY", STUDY: every[0].study_uid})
    assert only.command.status == status.UNABLE_TO_PERFORM_SUBOPERATIONS
    assert counts(only) == (None, 0, 3, 0)
    assert failed_list(only) == [one.sop_uid for one in every]


def test_a_destination_that_dies_on_the_way(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 6))
    put_all(archive, *(one.content for one in every))
    receiver.break_at = {one.sop_uid: 99 for one in every[2:]}
    with associate(port, MOVE) as peer:
        last = list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid}))[-1]
    assert last.command.status == status.WARNING_SUBOPERATIONS_FAILED
    assert counts(last) == (None, 2, 4, 0)
    assert failed_list(last) == [one.sop_uid for one in every[2:]]


def test_cancel(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 40))
    put_all(archive, *(one.content for one in every))
    with associate(port, MOVE) as peer:
        responses = move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid})
        first = next(responses)
        assert first.command.status == status.PENDING
        peer.cancel(peer.context_for(MOVE))
        last = list(responses)[-1]
        assert last.command.status == status.CANCEL
        remaining, completed, failed, warning = counts(last)
        assert remaining
        assert completed
        assert remaining + completed == 40
        assert (failed, warning) == (0, 0)
        assert len(receiver.received) == completed
        again = list(move(peer, "RECEIVER", {LEVEL: "IMAGE", INSTANCE: every[39].sop_uid}))
    assert [one.command.status for one in again] == [status.SUCCESS]


def test_a_receiver_of_implicit_vr_alone(start: Open, receiver: Receiver) -> None:
    receiver.transfer_syntaxes = frozenset({IMPLICIT_LITTLE})
    archive, port = start()
    put(archive, content_of("pydicom/CT_small.dcm"))
    put(archive, content_of("pydicom/JPEG2000.dcm"))
    with associate(port, MOVE) as peer:
        for patient in ("1CT1", "4MR1"):
            list(move(peer, "RECEIVER", {LEVEL: "PATIENT", PATIENT: patient}))
    assert set(receiver.syntaxes.values()) <= {IMPLICIT_LITTLE}
    assert receiver.received


def test_several_moves_at_once(start: Open, receiver: Receiver) -> None:
    archive, port = start(dicom_association_close_delay=5)
    for study in range(4):
        put_all(archive, *(one.content for one in synthetic.study(1, 10, number=study)))

    def one(study: int) -> int:
        with associate(port, MOVE) as peer:
            uid = synthetic.instance(study, 0, 0).study_uid
            return list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: uid}))[-1].command.status

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, range(4))) == [0, 0, 0, 0]
        opened = len(receiver.requests)
        assert list(threads.map(one, range(4))) == [0, 0, 0, 0]
    assert len(receiver.received) == 40
    assert opened <= 4
    assert len(receiver.requests) <= 4, "associations were not reused"


def test_a_caller_that_aborts_ends_the_move(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 200))
    put_all(archive, *(one.content for one in every))
    peer = associate(port, MOVE)
    responses = move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid})
    next(responses)
    peer.abort()
    with associate(port, MOVE) as other:
        last = list(move(other, "RECEIVER", {LEVEL: "IMAGE", INSTANCE: every[0].sop_uid}))[-1]
    assert last.command.status == status.SUCCESS


def test_what_is_sent_is_noted_in_the_log_of_exports(start: Open) -> None:
    archive, port = start(log_exported_resources=True)
    stored = put(archive, synthetic.instance(0, 0, 0).content)
    with associate(port, MOVE) as peer:
        list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: "2.25.10010000000"}))
    assert [(one.id, one.remote_modality) for one in exports.page(archive).exports] == [
        (stored.instance, "there")
    ]


def test_explicit_vr_goes_as_it_is(start: Open, receiver: Receiver) -> None:
    archive, port = start()
    put(archive, synthetic.instance(0, 0, 0).content)
    with associate(port, MOVE) as peer:
        list(move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: "2.25.10010000000"}))
    assert list(receiver.syntaxes.values()) == [EXPLICIT_LITTLE]


def test_an_asynchronous_move_is_a_job(start: Open) -> None:
    archive, port = start(synchronous_c_move=False)
    every = list(synthetic.study(1, 3))
    put_all(archive, *(one.content for one in every))
    with associate(port, MOVE) as peer:
        (only,) = move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid})
    assert (only.command.status, counts(only)) == (status.SUCCESS, (None, 3, 0, 0))
    (job,) = queue.jobs(archive)
    assert job.type == "DicomModalityStore"
    assert job.content == {
        "Description": "C-MOVE",
        "FailedInstancesCount": 0,
        "InstancesCount": 3,
        "LocalAet": "ORTHANC",
        "MoveOriginatorAET": "WORKSTATION",
        "MoveOriginatorID": 1,
        "RemoteAet": "RECEIVER",
    }


def test_an_asynchronous_move_of_a_read_only_archive_is_refused(start: Open) -> None:
    archive, port = start(synchronous_c_move=False)
    put(archive, synthetic.instance(0, 0, 0).content)
    _, port = start(synchronous_c_move=False, read_only=True)
    with associate(port, MOVE) as peer:
        (only,) = move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: "2.25.10010000000"})
    assert only.command.status == status.NOT_AUTHORIZED


def test_the_caller_hears_of_progress_while_the_receiver_is_slow(start: Open, receiver: Receiver) -> None:
    """Pending responses may be held back for others to go with them, but not for long."""
    archive, port = start()
    every = list(synthetic.study(1, 2))
    put_all(archive, *(one.content for one in every))
    go_on = threading.Event()

    def answer(uid: str) -> int:
        if uid == every[1].sop_uid:
            go_on.wait(30)
        return 0

    receiver.answer = answer
    with associate(port, MOVE) as peer:
        responses = move(peer, "RECEIVER", {LEVEL: "STUDY", STUDY: every[0].study_uid})
        assert counts(next(responses)) == (1, 1, 0, 0)
        go_on.set()
        assert [one.command.status for one in responses] == [status.SUCCESS]
