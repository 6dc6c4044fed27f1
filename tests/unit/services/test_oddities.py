"""Peers that do odd things, all of them seen in hospitals: what they get, and that nothing is left of them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.archive.places import OnSqlite, put_all
from tests.unit.archive.searching import instance
from tests.unit.services.finding import ask, identifier
from tests.unit.services.retrieving import CT, serving

from ithil.archive.archive import Archive
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE, storage_sop_classes
from ithil.network import pdu, status
from ithil.network.association import Association
from ithil.network.events import AssociateAccepted, Event, MessageStarted
from ithil.network.messages import Command, CommandField, encode_command
from ithil.network.pdu import AssociateRequest, PresentationDataValue
from ithil.network.pdu_items import ProposedContext, UserInformation
from ithil.network.requestor import VERIFICATION, connect
from ithil.services.find_identifier import STUDY_ROOT_FIND

MATCHES = 40
ALL_STUDIES = {"QueryRetrieveLevel": "STUDY", "PatientID": "", "PatientName": "", "StudyInstanceUID": ""}
REQUEST = AssociateRequest(
    "ITHIL",
    "ODD",
    (
        ProposedContext(1, STUDY_ROOT_FIND, (EXPLICIT_LITTLE,)),
        ProposedContext(3, VERIFICATION, (IMPLICIT_LITTLE,)),
    ),
    UserInformation(max_pdu_length=16384),
)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with OnSqlite(tmp_path) as place:
        opened = place.open(
            dicom_always_allow_find=True,
            dicom_check_called_aet=True,
            dicom_aet="ITHIL",
            maximum_pdu_length=4096,
        )
        put_all(
            opened, *(instance(PatientID=f"P{number}", PatientName="A" * 60) for number in range(MATCHES))
        )
        yield opened


@pytest.fixture
def port(archive: Archive) -> Iterator[int]:
    with serving(archive) as number:
        yield number
        # Whatever a test did to the listener, the next caller is served; `serving` sees to the rest.
        with connect(
            "127.0.0.1", number, called="ITHIL", calling="NEXT", contexts=[FIND], timeout=10
        ) as peer:
            assert len(ask(peer, ALL_STUDIES).answers) == MATCHES


FIND = (STUDY_ROOT_FIND, [EXPLICIT_LITTLE])


class Odd:
    """An association on a bare socket."""

    def __init__(self, port: int, request: AssociateRequest = REQUEST) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.association = Association.as_requestor(request)
        self.events: list[Event] = []
        self.socket.sendall(self.association.data_to_send())
        assert isinstance(self.next(), AssociateAccepted)

    def next(self) -> Event:
        while not self.events:
            self.events += self.association.receive_data(memoryview(self.socket.recv(65536)))
        return self.events.pop(0)

    def next_command(self) -> Command:
        while not isinstance(event := self.next(), MessageStarted):
            pass
        return event.command

    def question(self, number: int) -> bytes:
        """All PDUs of a C-FIND-RQ."""
        command = Command(
            AffectedSOPClassUID=STUDY_ROOT_FIND,
            CommandField=CommandField.C_FIND,
            MessageID=number,
            Priority=0,
        )
        return b"".join(self.association.message_chunks(1, command, [identifier(ALL_STUDIES)]))

    def echo(self, number: int) -> bytes:
        command = Command(
            AffectedSOPClassUID=VERIFICATION, CommandField=CommandField.C_ECHO, MessageID=number
        )
        return b"".join(self.association.message_chunks(3, command))


@pytest.mark.parametrize(
    "title", [b"ITHIL           ", b"ITHIL" + bytes(11), b"ITHIL \0         ", b"  ITHIL         "]
)
def test_padding_of_titles_does_not_count(port: int, title: bytes) -> None:
    data = bytearray(pdu.encode(REQUEST))
    data[10:26] = title
    data[26:42] = b"ODD" + bytes(13)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(data)
        assert sock.recv(1) == b"\2"  # A-ASSOCIATE-AC


@pytest.mark.parametrize("length", [0, 128, 4096, 1 << 20, 0xFFFFFFFF])
def test_every_pdu_length_gets_whole_answers(port: int, length: int) -> None:
    with connect(
        "127.0.0.1", port, called="ITHIL", calling="ODD", contexts=[FIND], max_pdu_length=length, timeout=10
    ) as peer:
        found = ask(peer, ALL_STUDIES)
    assert len(found.answers) == MATCHES
    assert set(found.all("PatientName")) == {"A" * 60}


def test_128_contexts(port: int) -> None:
    classes = sorted(storage_sop_classes())[:127]
    contexts = [*((uid, [EXPLICIT_LITTLE]) for uid in classes), FIND]
    with connect("127.0.0.1", port, called="ITHIL", calling="ODD", contexts=contexts, timeout=10) as peer:
        assert len(peer.contexts) == 128
        assert peer.context_for(STUDY_ROOT_FIND).id == 255
        assert len(ask(peer, ALL_STUDIES).answers) == MATCHES


def test_the_same_class_in_several_contexts(port: int) -> None:
    contexts = [FIND, FIND, (STUDY_ROOT_FIND, [IMPLICIT_LITTLE])]
    with connect("127.0.0.1", port, called="ITHIL", calling="ODD", contexts=contexts, timeout=10) as peer:
        assert len(peer.contexts) == 3
        assert len(ask(peer, ALL_STUDIES, IMPLICIT_LITTLE).answers) == MATCHES


def test_nothing_but_an_unknown_class(port: int) -> None:
    request = replace(REQUEST, contexts=(ProposedContext(1, "1.2.3.4.5", (IMPLICIT_LITTLE,)),))
    odd = Odd(port, request)
    with odd.socket:
        assert odd.association.contexts == {}
        odd.socket.sendall(pdu.encode(pdu.ReleaseRequest()))
        assert odd.socket.recv(1) == b"\6"  # A-RELEASE-RP


@pytest.mark.parametrize("size", [1, 7, 50])
def test_a_command_set_in_many_fragments(port: int, size: int) -> None:
    odd = Odd(port)
    command = Command(
        AffectedSOPClassUID=VERIFICATION,
        CommandField=CommandField.C_ECHO,
        MessageID=1,
        CommandDataSetType=0x0101,
    )
    whole = encode_command(command, data_set=False)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    with odd.socket:
        for number, part in enumerate(parts):
            value = PresentationDataValue(3, is_command=True, is_last=number == len(parts) - 1, data=part)
            odd.socket.sendall(pdu.encode(pdu.PData((value,))))
        assert odd.next_command().status == status.SUCCESS


@pytest.mark.parametrize("ending", [pdu.encode(pdu.Abort(0, 0)), pdu.encode(pdu.ReleaseRequest()), b""])
def test_one_who_leaves_in_the_middle_of_the_answers(port: int, ending: bytes) -> None:
    odd = Odd(port)
    odd.socket.sendall(odd.question(1))
    assert odd.next_command().status == status.PENDING
    odd.socket.sendall(ending)
    odd.socket.close()


def test_one_who_resets_the_connection(port: int) -> None:
    odd = Odd(port)
    odd.socket.sendall(odd.question(1))
    odd.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    odd.socket.close()


def test_requests_before_the_answer_are_served_in_turn(port: int) -> None:
    """PS3.7 D.3.3.3 allows one operation at a time; who sends more has them queued, not refused."""
    odd = Odd(port)
    with odd.socket:
        odd.socket.sendall(odd.question(1) + odd.echo(2) + odd.question(3))
        answers = [odd.next_command() for _ in range(2 * (MATCHES + 1) + 1)]
    assert [each.responded_message_id for each in answers] == [
        *[1] * (MATCHES + 1),
        2,
        *[3] * (MATCHES + 1),
    ]
    assert [each.status for each in answers if not status.is_pending(each.status)] == [0, 0, 0]


def test_a_request_in_pieces_while_the_answers_go_out(port: int) -> None:
    odd = Odd(port)
    with odd.socket:
        second = odd.question(2)
        odd.socket.sendall(odd.question(1) + second[:30])
        first = [odd.next_command() for _ in range(MATCHES + 1)]
        assert {each.responded_message_id for each in first} == {1}
        odd.socket.sendall(second[30:])
        assert [odd.next_command().responded_message_id for _ in range(MATCHES + 1)] == [2] * (MATCHES + 1)


def test_one_who_will_send_no_more_but_goes_on_reading(port: int) -> None:
    """Without a release the association is lost: the connection is closed, whatever was being answered."""
    odd = Odd(port)
    with odd.socket:
        odd.socket.sendall(odd.question(1))
        odd.socket.shutdown(socket.SHUT_WR)
        while odd.socket.recv(65536):
            pass


def test_one_who_reads_no_more_but_goes_on_sending(port: int) -> None:
    odd = Odd(port)
    with odd.socket:
        odd.socket.shutdown(socket.SHUT_RD)
        for number in range(1, 4):
            odd.socket.sendall(odd.question(number))
        odd.socket.sendall(pdu.encode(pdu.ReleaseRequest()))


def test_an_answer_that_nobody_asked_for_ends_the_association(port: int) -> None:
    odd = Odd(port)
    with odd.socket:
        answer = Command(
            AffectedSOPClassUID=CT, CommandField=0x8001, MessageIDBeingRespondedTo=9, Status=status.SUCCESS
        )
        stray = b"".join(odd.association.message_chunks(1, answer))
        odd.socket.sendall(odd.question(1) + stray)
        received = b""
        while piece := odd.socket.recv(65536):
            received += piece
        assert received[-10:-4] == b"\7\0\0\0\0\4"  # A-ABORT
