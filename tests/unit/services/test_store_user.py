"""Sending to another application entity: what is proposed, what is retried, and what is told of each instance."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from tests.data import synthetic
from tests.data.datasets import body, part10
from tests.data.real import content_of
from tests.unit.archive.places import OnSqlite, put
from tests.unit.network.serving import wait_until
from tests.unit.services.receiver import receiving

from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.archive.transcoding import transcoded
from ithil.dicom.scan import scan
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.errors import AssociationError
from ithil.network.handler import Outcome
from ithil.services import payload, store_user
from ithil.services.association_pool import AssociationPool, pool
from ithil.services.store_user import Sender
from ithil.settings import Modality

JPEG_2000 = "1.2.840.10008.1.2.4.90"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[OnSqlite]:
    with OnSqlite(tmp_path) as made:
        yield made
    pool.release_all()


@pytest.fixture
def archive(place: OnSqlite) -> Archive:
    return place.open(dicom_association_close_delay=0)


def fill(archive: Archive, count: int) -> list[str]:
    """Public ids of the instances of a small series."""
    return [put(archive, each.content).instance for each in synthetic.series(count)]


def uid(number: int) -> str:
    return synthetic.instance(0, 0, number).sop_uid


def data_set(content: bytes) -> bytes:
    return content[scan(content, frozenset()).dataset_offset :]


def test_data_sets_arrive_as_they_are_stored(archive: Archive) -> None:
    ids = fill(archive, 3)
    with receiving() as receiver, Sender(archive, receiver.modality) as sender:
        sent = list(sender.send(ids))
        assert [(one.instance, one.status, one.succeeded, one.warned) for one in sent] == [
            (each, 0, True, False) for each in ids
        ]
        assert receiver.received == {each.sop_uid: data_set(each.content) for each in synthetic.series(3)}
        assert len(receiver.requests) == 1
        assert receiver.requests[0].called_ae_title == "RECEIVER"
        assert receiver.requests[0].calling_ae_title == "ORTHANC"


def test_titles_and_the_originator_of_a_move_are_passed_on(archive: Archive) -> None:
    ids = fill(archive, 1)
    with (
        receiving() as receiver,
        Sender(
            archive, receiver.modality, calling="ME", called="YOU", move_originator=("WORKSTATION", 7)
        ) as sender,
    ):
        list(sender.send(ids))
        request, command = receiver.requests[0], receiver.commands[0]
    assert (request.calling_ae_title, request.called_ae_title) == ("ME", "YOU")
    assert command["MoveOriginatorApplicationEntityTitle"] == "WORKSTATION"
    assert command["MoveOriginatorMessageID"] == 7


def test_what_the_receiver_refuses_and_warns_of_is_told(archive: Archive) -> None:
    ids = fill(archive, 3)
    answers = {uid(0): 0xA700, uid(1): 0xB000}
    with (
        receiving(answer=lambda one: answers.get(one, 0)) as receiver,
        Sender(archive, receiver.modality) as sender,
    ):
        sent = list(sender.send(ids))
    assert [(one.status, one.succeeded, one.warned) for one in sent] == [
        (0xA700, False, False),
        (0xB000, True, True),
        (0x0000, True, False),
    ]
    assert sent[0].comment == "as the test asks"


def test_an_unknown_instance_and_a_missing_file_fail_alone(archive: Archive) -> None:
    ids = fill(archive, 3)
    lost = next(iter(archive.storage.all_files()))[0]
    archive.storage.remove(lost)
    with receiving() as receiver, Sender(archive, receiver.modality) as sender:
        sent = list(sender.send([*ids, "no-such-id"]))
    assert [one.succeeded for one in sent].count(True) == 2
    assert {one.status for one in sent if not one.succeeded} == {status.NO_SUCH_SOP_INSTANCE}
    assert len(receiver.received) == 2


def test_an_instance_in_whose_midst_the_association_breaks_is_sent_again(place: OnSqlite) -> None:
    """Also when the next one was already read to where it was."""
    archive = place.open(dicom_association_close_delay=0, maximum_storage_cache_size=0)
    ids = fill(archive, 4)
    with receiving(break_at={uid(1): 1}) as receiver, Sender(archive, receiver.modality) as sender:
        assert [one.status for one in sender.send(ids)] == [0, 0, 0, 0]
        assert len(receiver.requests) == 2
    assert receiver.received == {each.sop_uid: data_set(each.content) for each in synthetic.series(4)}
    assert [uid(number) for number in (0, 1, 1, 2, 3)] == receiver.order


def test_what_was_made_ready_serves_another_association(
    place: OnSqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the kept one has broken before anything was sent, nothing is transcoded twice."""
    archive = place.open(dicom_association_close_delay=60)
    content = content_of("pydicom/JPEG2000.dcm")
    stored = put(archive, content)
    transcodings: list[str] = []

    def counted(archive: Archive, file: Attachment, syntax: str) -> bytes:
        transcodings.append(syntax)
        return transcoded(archive, file, syntax)

    monkeypatch.setattr(payload, "transcoded", counted)
    idle = AssociationPool()
    monkeypatch.setattr(store_user, "pool", idle)
    with receiving() as receiver:
        with Sender(archive, receiver.modality) as sender:
            assert [one.status for one in sender.send([stored.instance])] == [0]
        (first,) = receiver.received.values()
        receiver.received.clear()
        ((kept,),) = idle._idle.values()
        kept.requestor._transport.cut()
        monkeypatch.setattr(kept.requestor, "is_usable", lambda: True)
        with Sender(archive, receiver.modality) as sender:
            assert [one.status for one in sender.send([stored.instance])] == [0]
        assert list(receiver.received.values()) == [first]
        assert len(receiver.requests) == 2
        idle.release_all()
    assert len(transcodings) == 2  # one for each time it was to be sent


def test_an_instance_that_always_breaks_the_association_fails_alone(archive: Archive) -> None:
    ids = fill(archive, 4)
    with receiving(break_at={uid(1): 99}) as receiver, Sender(archive, receiver.modality) as sender:
        sent = list(sender.send(ids))
    assert [one.succeeded for one in sent] == [True, False, True, True]
    assert sent[1].comment


def test_a_receiver_that_always_breaks_is_given_up(archive: Archive) -> None:
    ids = fill(archive, 30)
    everything = {uid(number): 99 for number in range(30)}
    with (
        receiving(break_at=everything) as receiver,
        pytest.raises(AssociationError),
        Sender(archive, receiver.modality) as sender,
    ):
        list(sender.send(ids))
    assert len(receiver.requests) < 10


def test_nobody_there(archive: Archive) -> None:
    ids = fill(archive, 1)
    with receiving() as receiver:
        pass
    with pytest.raises(AssociationError), Sender(archive, receiver.modality) as sender:
        list(sender.send(ids))


def test_an_association_is_reused_within_the_delay_and_released_after_it(place: OnSqlite) -> None:
    archive = place.open(dicom_association_close_delay=1)
    ids = fill(archive, 2)
    with receiving() as receiver:
        for one in ids:
            with Sender(archive, receiver.modality) as sender:
                assert [sent.status for sent in sender.send([one])] == [0]
        assert len(receiver.requests) == 1
        assert not receiver.outcomes
        wait_until(lambda: receiver.outcomes == [Outcome.RELEASED])


def test_a_kept_association_that_the_receiver_has_ended_is_replaced(place: OnSqlite) -> None:
    archive = place.open(dicom_association_close_delay=60)
    ids = fill(archive, 2)
    with receiving() as first:
        with Sender(archive, first.modality) as sender:
            list(sender.send(ids[:1]))
        port = first.port
    with Sender(archive, Modality("RECEIVER", "127.0.0.1", port)) as sender, pytest.raises(AssociationError):
        list(sender.send(ids))  # the receiver is gone, and that is noticed at once


def test_without_delay_the_association_ends_with_the_block(archive: Archive) -> None:
    ids = fill(archive, 1)
    with receiving() as receiver:
        with Sender(archive, receiver.modality) as sender:
            list(sender.send(ids))
        wait_until(lambda: receiver.outcomes == [Outcome.RELEASED])


def test_compressed_images_go_as_they_are_where_they_are_accepted(archive: Archive) -> None:
    content = content_of("pydicom/JPEG2000.dcm")
    syntax = scan(content, frozenset()).transfer_syntax_uid
    stored = put(archive, content)
    with (
        receiving(transfer_syntaxes=frozenset({syntax, EXPLICIT_LITTLE})) as receiver,
        Sender(archive, receiver.modality) as sender,
    ):
        assert [one.status for one in sender.send([stored.instance])] == [0]
    assert list(receiver.syntaxes.values()) == [syntax]
    assert list(receiver.received.values()) == [data_set(content)]


@pytest.mark.parametrize("accepted", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_compressed_images_are_decompressed_for_a_receiver_that_needs_it(
    archive: Archive, accepted: str
) -> None:
    content = content_of("pydicom/JPEG2000.dcm")
    stored = put(archive, content)
    with (
        receiving(transfer_syntaxes=frozenset({accepted})) as receiver,
        Sender(archive, receiver.modality) as sender,
    ):
        assert [one.status for one in sender.send([stored.instance])] == [0]
    (received,) = receiver.received.values()
    read = pydicom.dcmread(io.BytesIO(part10(received, accepted)))
    before = pydicom.dcmread(io.BytesIO(content))
    assert read.SOPInstanceUID == before.SOPInstanceUID
    assert (read.pixel_array == before.pixel_array).all()


def test_the_preferred_transfer_syntax_is_what_is_transcoded_to(place: OnSqlite) -> None:
    archive = place.open(dicom_association_close_delay=0, dicom_scu_preferred_transfer_syntax=JPEG_2000)
    stored = put(archive, content_of("pydicom/SC_rgb_rle.dcm"))
    with (
        receiving(transfer_syntaxes=frozenset({EXPLICIT_LITTLE, JPEG_2000})) as receiver,
        Sender(archive, receiver.modality) as sender,
    ):
        assert [one.status for one in sender.send([stored.instance])] == [0]
    assert list(receiver.syntaxes.values()) == [JPEG_2000]


@pytest.mark.parametrize("by", ["setting", "modality"])
def test_nothing_is_transcoded_where_that_is_forbidden(place: OnSqlite, by: str) -> None:
    archive = place.open(dicom_association_close_delay=0, transcode_dicom_protocol=by != "setting")
    stored = put(archive, content_of("pydicom/JPEG2000.dcm"))
    with receiving() as receiver:
        modality = Modality("RECEIVER", "127.0.0.1", receiver.port, allow_transcoding=by != "modality")
        with Sender(archive, modality) as sender:
            (sent,) = sender.send([stored.instance])
    assert (sent.succeeded, sent.status) == (False, status.SOP_CLASS_NOT_SUPPORTED)
    assert not receiver.received


def test_more_kinds_than_an_association_has_contexts_for(archive: Archive) -> None:
    """Of 100 SOP classes, each with two contexts, what was not negotiated is negotiated anew."""
    ids = []
    for number in range(100):
        sop_class, sop_instance = f"1.2.826.0.1.3680043.99.{number}", f"1.2.3.{number}"
        elements = {0x00080016: ("UI", even(sop_class)), 0x00080018: ("UI", even(sop_instance))}
        ids.append(put(archive, part10(body(elements))).instance)
    with receiving() as receiver, Sender(archive, receiver.modality) as sender:
        assert [one.status for one in sender.send(ids)] == [0] * 100
    assert len(receiver.requests) == 2
    assert all(len(request.contexts) <= 128 for request in receiver.requests)


def even(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) & 1)


def test_a_file_that_is_not_in_the_archive(archive: Archive) -> None:
    content = content_of("pydicom/CT_small.dcm")
    with receiving() as receiver, Sender(archive, receiver.modality) as sender:
        sent = sender.send_file(content)
    assert sent.status == 0
    assert receiver.received == {sent.sop_instance: data_set(content)}


def test_a_large_file_is_streamed(archive: Archive) -> None:
    pixels = bytes(12 << 20)
    elements = {0x7FE00010: ("OW", pixels)}
    content = part10(body(elements))
    stored = put(archive, content)
    with receiving() as receiver, Sender(archive, receiver.modality) as sender:
        assert [one.status for one in sender.send([stored.instance])] == [0]
    assert list(receiver.received.values()) == [data_set(content)]


def test_compressed_storage_is_sent_plain(place: OnSqlite) -> None:
    archive = place.open(dicom_association_close_delay=0, storage_compression=True)
    content = content_of("pydicom/CT_small.dcm")
    stored = put(archive, content)
    with receiving() as receiver, Sender(archive, receiver.modality) as sender:
        assert [one.status for one in sender.send([stored.instance])] == [0]
    assert list(receiver.received.values()) == [data_set(content)]
