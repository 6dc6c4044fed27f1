"""C-GET as provider: what comes back on the same association, in which encoding, and what is told of it."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.data import synthetic
from tests.data.datasets import body, part10
from tests.data.real import content_of
from tests.unit.archive.places import OnSqlite, put, put_all
from tests.unit.services.retrieving import CT, GET, Taken, associate, counts, failed_list, get, serving

from ithil.archive.archive import Archive
from ithil.dicom.scan import scan
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.errors import NoAcceptedContext

LEVEL, STUDY, INSTANCE = 0x00080052, 0x0020000D, 0x00080018
JPEG_2000 = "1.2.840.10008.1.2.4.90"
PLAIN = (CT, [EXPLICIT_LITTLE])

Open = Callable[..., tuple[Archive, int]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Open]:
    """Opens an archive and its listener."""
    with OnSqlite(tmp_path) as place:
        listeners = []

        def begin(**settings: Any) -> tuple[Archive, int]:
            archive = place.open(**{"dicom_always_allow_get": True, **settings})
            listener = serving(archive)
            listeners.append(listener)
            return archive, listener.__enter__()

        yield begin
        for listener in listeners:
            listener.__exit__(None, None, None)


def data_set(content: bytes) -> bytes:
    return content[scan(content, frozenset()).dataset_offset :]


def test_a_study_comes_back_byte_for_byte_and_in_order(start: Open) -> None:
    archive, port = start()
    every = list(synthetic.study(2, 3))
    put_all(archive, *(one.content for one in every[::-1]))
    taken = Taken()
    with associate(port, GET, [PLAIN]) as peer:
        responses = list(get(peer, {LEVEL: "STUDY", STUDY: every[0].study_uid}, taken))
    assert [one.command.status for one in responses] == [status.PENDING] * 5 + [status.SUCCESS]
    assert [counts(one) for one in responses] == [
        *((6 - done, done, 0, 0) for done in range(1, 6)),
        (None, 6, 0, 0),
    ]
    assert taken.data_sets == {one.sop_uid: data_set(one.content) for one in every}
    for series in (taken.order[:3], taken.order[3:]):
        assert series == sorted(series), "not in the order of instance numbers"


@pytest.mark.parametrize("cache", [0, 128])
def test_files_of_all_sizes_come_back_byte_for_byte(start: Open, cache: int) -> None:
    """They are read into the same memory, one after the other, while the one before is on its way."""
    archive, port = start(maximum_storage_cache_size=cache)
    chance = random.Random(0)
    sizes = [300_000, 10, 700_000, 2_000_000, 1, 9 << 20, 5000, 1_500_000]
    every = []
    for number, size in enumerate(sizes):
        elements = {
            0x00080016: ("UI", CT.encode() + b"\0"),
            0x00080018: ("UI", f"1.2.4.{number}\0".encode()),
            0x0020000D: ("UI", b"1.2.3\0"),
            0x0020000E: ("UI", b"1.2.3.1\0"),
            0x00200013: ("IS", f"{number} ".encode()),
            0x7FE00010: ("OW", chance.randbytes(size * 2)),
        }
        every.append(part10(body(elements)))
    put_all(archive, *every)
    taken = Taken()
    with associate(port, GET, [PLAIN]) as peer:
        last = list(get(peer, {LEVEL: "STUDY", STUDY: "1.2.3"}, taken))[-1]
    assert counts(last) == (None, len(sizes), 0, 0)
    assert [taken.data_sets[uid] for uid in taken.order] == [data_set(one) for one in every]


def test_one_who_may_not_store_may_get(start: Open) -> None:
    """PS3.4 C.4.3: the caller is the SCP of the storage contexts, so that he needs no right to store."""
    archive, port = start(dicom_always_allow_store=False)
    one = synthetic.instance(0, 0, 0)
    put(archive, one.content)
    taken = Taken()
    with associate(port, GET, [PLAIN]) as peer:
        last = list(get(peer, {LEVEL: "STUDY", STUDY: one.study_uid}, taken))[-1]
    assert last.command.status == status.SUCCESS
    assert list(taken.data_sets) == [one.sop_uid]


def test_without_the_role_there_is_nothing_to_send_in(start: Open) -> None:
    archive, port = start()
    one = synthetic.instance(0, 0, 0)
    put(archive, one.content)
    with associate(port, GET, [PLAIN], roles=False) as peer:
        (only,) = get(peer, {LEVEL: "STUDY", STUDY: one.study_uid}, Taken())
    assert only.command.status == status.UNABLE_TO_PERFORM_SUBOPERATIONS
    assert "role" in only.command.text("ErrorComment")


def test_what_the_caller_has_no_context_for_fails_alone(start: Open) -> None:
    archive, port = start()
    ct, mr = content_of("pydicom/CT_small.dcm"), content_of("pydicom/MR_small.dcm")
    put_all(archive, ct, mr)
    studies = [scan(one, frozenset({STUDY, INSTANCE})).tags for one in (ct, mr)]
    taken = Taken()
    with associate(port, GET, [PLAIN]) as peer:
        uids = "\\".join(one[STUDY] for one in studies)
        last = list(get(peer, {LEVEL: "STUDY", STUDY: uids}, taken))[-1]
    assert last.command.status == status.WARNING_SUBOPERATIONS_FAILED
    assert counts(last) == (None, 1, 1, 0)
    assert failed_list(last) == [studies[1][INSTANCE]]
    assert list(taken.data_sets) == [studies[0][INSTANCE]]


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, JPEG_2000])
@pytest.mark.parametrize("name", ["pydicom/SC_rgb_rle.dcm", "pydicom/MR_small.dcm"])
def test_transcoding_to_what_was_accepted(start: Open, syntax: str, name: str) -> None:
    archive, port = start()
    content = content_of(name)
    found = scan(content, frozenset({STUDY}))
    put(archive, content)
    taken = Taken()
    with associate(port, GET, [(found.media_storage_sop_class_uid, [syntax])]) as peer:
        last = list(get(peer, {LEVEL: "STUDY", STUDY: found.tags[STUDY]}, taken))[-1]
    assert last.command.status == status.SUCCESS
    assert list(taken.syntaxes.values()) == [syntax]
    (received,) = taken.data_sets.values()
    read = pydicom.dcmread(io.BytesIO(part10(received, syntax)))
    assert (read.pixel_array == pydicom.dcmread(io.BytesIO(content)).pixel_array).all()


def test_transcoding_can_be_switched_off(start: Open) -> None:
    archive, port = start(transcode_dicom_protocol=False)
    content = content_of("pydicom/SC_rgb_rle.dcm")
    found = scan(content, frozenset({STUDY}))
    put(archive, content)
    with associate(port, GET, [(found.media_storage_sop_class_uid, [EXPLICIT_LITTLE])]) as peer:
        last = list(get(peer, {LEVEL: "STUDY", STUDY: found.tags[STUDY]}, Taken()))[-1]
    assert last.command.status == status.UNABLE_TO_PERFORM_SUBOPERATIONS
    assert counts(last) == (None, 0, 1, 0)


def test_what_the_caller_refuses_is_counted(start: Open) -> None:
    archive, port = start()
    one = synthetic.instance(0, 0, 0)
    put(archive, one.content)
    with associate(port, GET, [PLAIN]) as peer:
        taken = Taken(answer=0xA700)
        last = list(get(peer, {LEVEL: "STUDY", STUDY: one.study_uid}, taken))[-1]
        assert last.command.status == status.UNABLE_TO_PERFORM_SUBOPERATIONS
        taken = Taken(answer=0xB000)
        last = list(get(peer, {LEVEL: "STUDY", STUDY: one.study_uid}, taken))[-1]
    assert last.command.status == status.WARNING_SUBOPERATIONS_FAILED
    assert counts(last) == (None, 0, 0, 1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({LEVEL: "STUDY", STUDY: "1.2.3"}, status.CANNOT_UNDERSTAND),
        ({STUDY: "2.25.10010000000"}, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
        ({LEVEL: "STUDY"}, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
    ],
)
def test_refusals(start: Open, keys: dict[int, str], expected: int) -> None:
    archive, port = start()
    put(archive, synthetic.instance(0, 0, 0).content)
    with associate(port, GET, [PLAIN]) as peer:
        (only,) = get(peer, keys, Taken())
        assert only.command.status == expected
        last = list(get(peer, {LEVEL: "STUDY", STUDY: "2.25.10010000000"}, Taken()))[-1]
    assert last.command.status == status.SUCCESS


def test_who_may_not_get_has_no_context(start: Open) -> None:
    _, port = start(dicom_always_allow_get=False)
    with associate(port, GET, [PLAIN]) as peer, pytest.raises(NoAcceptedContext):
        peer.context_for(GET)


def test_cancel(start: Open) -> None:
    archive, port = start()
    every = list(synthetic.study(1, 40))
    put_all(archive, *(one.content for one in every))
    taken = Taken()
    with associate(port, GET, [PLAIN]) as peer:
        responses = get(peer, {LEVEL: "STUDY", STUDY: every[0].study_uid}, taken)
        next(responses)
        peer.cancel(peer.context_for(GET))
        last = list(responses)[-1]
        assert last.command.status == status.CANCEL
        remaining, completed, failed, warning = counts(last)
        assert remaining
        assert (remaining or 0) + (completed or 0) == 40
        assert (failed, warning) == (0, 0)
        assert len(taken.data_sets) == completed
        again = list(get(peer, {LEVEL: "IMAGE", INSTANCE: every[39].sop_uid}, taken))
    assert [one.command.status for one in again] == [status.SUCCESS]


def test_a_missing_file_fails_alone(start: Open) -> None:
    archive, port = start(maximum_storage_cache_size=0)
    every = list(synthetic.study(1, 3))
    put_all(archive, *(one.content for one in every))
    archive.storage.remove(next(iter(archive.storage.all_files()))[0])
    taken = Taken()
    with associate(port, GET, [PLAIN]) as peer:
        last = list(get(peer, {LEVEL: "STUDY", STUDY: every[0].study_uid}, taken))[-1]
    assert last.command.status == status.WARNING_SUBOPERATIONS_FAILED
    assert counts(last) == (None, 2, 1, 0)
    assert set(failed_list(last)) == {one.sop_uid for one in every} - set(taken.data_sets)
