"""Associations that share a thread while they store small instances: what they send arrives whole, whatever the
others do, and each is served as if it had a thread of its own."""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.network import serving
from tests.unit.network.clients import open_association, raw_association
from tests.unit.network.exchange import CT, ECHO, IMPLICIT, STORE, associated
from tests.unit.network.serving import EXPLICIT, MemorySink, listening, wait_until

from ithil.network import pdu, status
from ithil.network.association import Association
from ithil.network.conversation import LARGEST_SHARED
from ithil.network.events import MessageStarted
from ithil.network.handler import Outcome
from ithil.network.messages import Command
from ithil.network.transport import Transport


def own_threads() -> int:
    """How many threads serve one association each."""
    return sum(thread.name.startswith("dicom-127") for thread in threading.enumerate())


def store_of(uid: str) -> Command:
    return Command(STORE, AffectedSOPInstanceUID=uid)


def stream_of(association: Association, uid: str, data: bytes) -> bytes:
    return b"".join(association.message_chunks(3, store_of(uid), [data]))


def command_of(association: Association, uid: str) -> bytes:
    """The PDU with the command set alone, behind which that of the data set is awaited."""
    stream = stream_of(association, uid, b"data")
    return stream[: 6 + int.from_bytes(stream[2:6], "big")]


def statuses(sock: socket.socket, association: Association, count: int) -> list[int]:
    """The statuses of so many responses."""
    found: list[int] = []
    while len(found) < count:
        data = sock.recv(65536)
        assert data, "the association has ended"
        events = association.receive_data(memoryview(data))
        found += [event.command.status for event in events if isinstance(event, MessageStarted)]
    return found


def test_many_senders_at_once_and_every_byte_arrives() -> None:
    sizes = (0, 1, 2, 9_000, LARGEST_SHARED - 1, LARGEST_SHARED, LARGEST_SHARED + 1, 300_000)

    def send(sender: int) -> dict[str, bytes]:
        draw = random.Random(sender)
        sent: dict[str, bytes] = {}
        with open_association(port) as peer:
            for number in range(40):
                # Most senders have small instances alone, and go on sharing to their end.
                size = draw.choice(sizes[:4] if sender % 4 else sizes)
                uid = f"1.{sender}.{number}"
                sent[uid] = draw.randbytes(size)
                assert peer.store(CT, uid, EXPLICIT, [sent[uid]]).status == status.SUCCESS
        return sent

    with listening() as (_, record, port):
        with ThreadPoolExecutor(8) as pool:
            sent = {uid: data for one in pool.map(send, range(8)) for uid, data in one.items()}
        wait_until(lambda: record.outcomes == [Outcome.RELEASED] * 8)
        assert record.stored == sent


def test_who_only_stores_small_instances_takes_no_thread() -> None:
    with listening() as (acceptor, _, port):
        peers = [open_association(port) for _ in range(20)]
        for number, peer in enumerate(peers):
            assert peer.store(CT, f"1.{number}", EXPLICIT, [b"data"]).status == status.SUCCESS
        wait_until(lambda: own_threads() == 0)
        assert acceptor.active == 20
        for peer in peers:
            assert peer.echo() == status.SUCCESS
            assert peer.store(CT, "2.1", EXPLICIT, [b"more"]).status == status.SUCCESS
        wait_until(lambda: own_threads() == 20)
        for peer in peers:
            peer.release()
        wait_until(lambda: acceptor.active == 0)


class Disk:
    """What `finish_all` waits for, and what it was asked to finish."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[str]] = []
        self.is_asked = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self._finish_all = serving.finish_all
        monkeypatch.setattr(serving, "finish_all", self.finish_all)

    def finish_all(self, sinks: Sequence[MemorySink]) -> list[tuple[int, str] | BaseException | None]:
        self.batches.append([sink.uid for sink in sinks])
        self.is_asked.set()
        assert self.answers.wait(20)
        return self._finish_all(sinks)

    def stall(self) -> None:
        """Answer nobody from now on."""
        self.answers.clear()
        self.is_asked.clear()
        self.batches.clear()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def sharing(port: int, count: int) -> list[tuple[socket.socket, Association]]:
    """Associations that have stored an instance, and so are in the shared thread."""
    members = [raw_association(port) for _ in range(count)]
    for number, (sock, association) in enumerate(members):
        sock.sendall(stream_of(association, f"7.{number}", b"first"))
        assert statuses(sock, association, 1) == [status.SUCCESS]
    wait_until(lambda: own_threads() == 0)
    return members


def test_instances_that_are_complete_together_are_stored_together(disk: Disk) -> None:
    with listening() as (_, _, port):
        members = sharing(port, 5)
        disk.stall()
        for number, (sock, association) in enumerate(members):
            sock.sendall(stream_of(association, f"1.{number}", b"data"))
            assert disk.is_asked.wait(10)
        disk.answers.set()
        for sock, association in members:
            assert statuses(sock, association, 1) == [status.SUCCESS]
            sock.close()
        assert [sorted(batch) for batch in disk.batches] == [["1.0"], ["1.1", "1.2", "1.3", "1.4"]]


def test_who_sends_without_waiting_delays_others_by_one_round(disk: Disk) -> None:
    with listening() as (_, _, port):
        (flooding, of_flood), (waiting, of_waiting) = sharing(port, 2)
        disk.stall()
        with flooding, waiting:
            flooding.sendall(b"".join(stream_of(of_flood, f"1.{number}", b"data") for number in range(50)))
            assert disk.is_asked.wait(10)
            waiting.sendall(stream_of(of_waiting, "2", b"data"))
            disk.answers.set()
            assert statuses(waiting, of_waiting, 1) == [status.SUCCESS]
            assert statuses(flooding, of_flood, 50) == [status.SUCCESS] * 50
        assert [sorted(batch) for batch in disk.batches[:2]] == [["1.0"], ["1.1", "2"]]


def test_who_spoke_while_the_disk_held_us_up_was_not_silent(disk: Disk) -> None:
    with listening(timeout=3) as (_, record, port):
        members = sharing(port, 4)
        disk.stall()
        for number, (sock, association) in enumerate(members):
            sock.sendall(stream_of(association, f"1.{number}", b"data"))
            assert disk.is_asked.wait(10)
        time.sleep(3.5)  # longer than anybody may be silent
        disk.answers.set()
        for sock, association in members:
            assert statuses(sock, association, 1) == [status.SUCCESS]
        assert record.outcomes == []
        for sock, _ in members:
            sock.close()


def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(disk: Disk) -> None:
    with listening() as (acceptor, record, port):
        members = sharing(port, 3)
        opened = record.opened
        disk.stall()
        (first, of_first), (second, of_second), _ = members
        first.sendall(stream_of(of_first, "1.1", b"data"))
        assert disk.is_asked.wait(10)
        second.sendall(command_of(of_second, "1.2"))
        assert not acceptor.stop(0.1)
        disk.answers.set()  # after all: then nobody is left behind
        wait_until(lambda: acceptor.active == 0)
        assert len(record.outcomes) == 3
        assert record.opened - opened == 1 + record.discarded
        for sock, _ in members:
            sock.close()


def test_what_is_much_work_is_not_for_the_shared_thread(disk: Disk) -> None:
    with listening() as (_, record, port), open_association(port, contexts=[(CT, [IMPLICIT])]) as peer:
        for number in range(3):
            assert peer.store(CT, f"1.{number}", IMPLICIT, [b"data"]).status == status.SUCCESS
        assert len(record.stored) == 3
        assert disk.batches == []


def test_what_has_to_wait_does_so_in_a_thread_of_its_own(disk: Disk) -> None:
    with listening() as (_, record, port):
        (first, of_first), (second, of_second) = sharing(port, 2)
        with first, second:
            disk.stall()
            disk.answers.set()
            for uid in ("8.1", "8.2", "1.1"):
                first.sendall(stream_of(of_first, uid, uid.encode()))
                assert statuses(first, of_first, 1) == [status.SUCCESS]
            second.sendall(stream_of(of_second, "1.2", b"data"))
            assert statuses(second, of_second, 1) == [status.SUCCESS]
            assert disk.batches == [["8.1"], ["1.2"]]
        assert {uid: record.stored[uid] for uid in ("8.1", "8.2", "1.1")} == {
            "8.1": b"8.1",
            "8.2": b"8.2",
            "1.1": b"1.1",
        }
        assert record.discarded == 0


@pytest.mark.parametrize("fault", [RuntimeError("can't start new thread"), MemoryError()])
def test_without_a_thread_to_go_on_in_an_association_ends_alone(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise fault

    with listening() as (acceptor, record, port):
        (asking, of_asking), (other, of_other) = sharing(port, 2)
        with asking, other:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", no_more)
                asking.sendall(b"".join(of_asking.message_chunks(1, ECHO)))
                assert isinstance(pdu.decode(asking.recv(1000)), pdu.Abort)
                wait_until(lambda: record.outcomes == [Outcome.LOST])
            assert acceptor.active == 1
            other.sendall(stream_of(of_other, "1.1", b"data"))
            assert statuses(other, of_other, 1) == [status.SUCCESS]


def test_one_that_fails_is_none_of_the_others_business(disk: Disk) -> None:
    uids = ("1.1", "9.1", "9.2", "9.3", "9.4", "1.2")
    with listening() as (_, record, port):
        members = sharing(port, len(uids))
        disk.stall()
        for uid, (sock, association) in zip(uids, members, strict=True):
            sock.sendall(stream_of(association, uid, b"data"))
        disk.answers.set()
        answers = [statuses(sock, association, 1)[0] for sock, association in members]
        assert answers == [0, 0xA700, 0x0110, 0x0110, 0xC000, 0]
        for sock, association in members:  # and all live on
            sock.sendall(stream_of(association, "1.3", b"data"))
            assert statuses(sock, association, 1) == [0]
            sock.close()
        assert sorted(record.stored) == ["1.1", "1.2", "1.3", *(f"7.{number}" for number in range(6))]


def fails(sinks: Sequence[MemorySink]) -> list[tuple[int, str] | BaseException | None]:
    raise RuntimeError("of this test")


def tells_too_little(sinks: Sequence[MemorySink]) -> list[tuple[int, str] | BaseException | None]:
    return []


@pytest.mark.parametrize("finish_all", [fails, tells_too_little])
def test_a_batch_that_fails_as_a_whole_is_answered(
    finish_all: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "finish_all", finish_all)
    with listening() as (_, record, port):
        ((sock, association),) = sharing(port, 1)
        with sock:
            for _ in range(2):
                sock.sendall(stream_of(association, "1.1", b"data"))
                assert statuses(sock, association, 1) == [status.PROCESSING_FAILURE]
        assert (list(record.stored), record.discarded) == (["7.0"], 2)


def test_a_fault_nobody_thought_of_ends_those_who_wait_and_no_others(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exits(stores: object, finish_all: object) -> None:
        monkeypatch.undo()
        raise SystemExit

    with listening() as (acceptor, record, port):
        (first, of_first), (second, of_second) = sharing(port, 2)
        with first, second:
            monkeypatch.setattr("ithil.network.store_loop.finish_stores", exits)
            first.sendall(stream_of(of_first, "1.1", b"data"))
            assert isinstance(pdu.decode(first.recv(1000)), pdu.Abort)
            wait_until(lambda: acceptor.active == 1)
            assert (record.outcomes, record.discarded) == ([Outcome.LOST], 1)
            second.sendall(stream_of(of_second, "1.2", b"data"))
            assert statuses(second, of_second, 1) == [status.SUCCESS]


def test_messages_that_are_sent_without_waiting_are_answered_in_order() -> None:
    with listening() as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            streams = [stream_of(association, f"1.{number}", b"x" * number) for number in range(50)]
            echo = b"".join(association.message_chunks(1, ECHO))
            sock.sendall(b"".join(streams[:30]) + echo + b"".join(streams[30:]))
            assert statuses(sock, association, 51) == [status.SUCCESS] * 51
        assert record.stored == {f"1.{number}": b"x" * number for number in range(50)}


def test_bytes_that_trickle_in() -> None:
    with listening() as (_, record, port):
        sock, association = raw_association(port)
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in stream_of(association, "1.1", b"data"):
                sock.sendall(bytes([byte]))
            assert statuses(sock, association, 1) == [status.SUCCESS]
        assert record.stored == {"1.1": b"data"}


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (pdu.encode(pdu.Abort(0, 0)), Outcome.ABORTED_BY_PEER),
        (b"\x99" * 12, Outcome.ABORTED),
        (b"", Outcome.LOST),
    ],
)
def test_one_that_breaks_off_leaves_nothing_and_disturbs_nobody(ending: bytes, outcome: Outcome) -> None:
    with listening() as (_, record, port), open_association(port) as other:
        assert other.store(CT, "1.1", EXPLICIT, [b"data"]).status == status.SUCCESS
        sock, association = raw_association(port)
        with sock:
            sock.sendall(command_of(association, "1.2"))
            wait_until(lambda: record.opened == 2)
            sock.sendall(ending)
        wait_until(lambda: record.outcomes == [outcome])
        assert record.discarded == 1
        assert other.store(CT, "1.3", EXPLICIT, [b"data"]).status == status.SUCCESS
        assert sorted(record.stored) == ["1.1", "1.3"]


def test_silence_in_the_midst_of_an_instance_ends_the_association() -> None:
    with listening(timeout=1.5) as (_, record, port):
        silent, talking = raw_association(port), raw_association(port)
        with silent[0] as sock, talking[0] as other:
            sock.sendall(stream_of(silent[1], "1.1", bytes(10_000))[:5_000])
            for number in itertools.count():
                if record.outcomes:
                    break
                assert number < 1000
                other.sendall(stream_of(talking[1], f"2.{number}", b"data"))
                assert statuses(other, talking[1], 1) == [status.SUCCESS]
                time.sleep(0.02)
            assert record.outcomes == [Outcome.TIMED_OUT]
            assert record.discarded == 1
            assert isinstance(pdu.decode(sock.recv(1000)), pdu.Abort)


def test_stop_lets_a_small_instance_finish() -> None:
    with listening() as (acceptor, record, port):
        sock, association = raw_association(port)
        stream = stream_of(association, "1.1", bytes(10_000))
        with sock:
            sock.sendall(stream[:5_000])
            wait_until(lambda: record.opened == 1)
            stopper = threading.Thread(target=acceptor.stop, args=(10,))
            stopper.start()
            stopper.join(0.2)
            assert stopper.is_alive()
            sock.sendall(stream[5_000:])
            assert statuses(sock, association, 1) == [status.SUCCESS]
            stopper.join(10)
        assert record.stored == {"1.1": bytes(10_000)}
        assert record.outcomes == [Outcome.STOPPED]


def test_a_response_that_does_not_fit_is_sent_when_the_peer_reads() -> None:
    peer, association = associated()
    ours, theirs = socket.socketpair()
    transport = Transport(ours, association, timeout=10)
    with theirs, ThreadPoolExecutor(1) as pool:
        sent = 1
        while transport.send_now(1, ECHO.response(status.SUCCESS)):
            sent += 1
        reading = pool.submit(lambda: b"".join(iter(lambda: theirs.recv(1 << 20), b"")))
        transport.flush()
        transport.close()
        events = peer.receive_data(memoryview(reading.result(10)))
    assert sum(isinstance(event, MessageStarted) for event in events) == sent
