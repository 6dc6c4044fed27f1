"""Instances that arrive in pieces: the receiving side of the transfers accelerator.

A sender announces a list of instances and how their bytes are divided into buckets, sends each bucket in a
request of its own, in any order and several at a time, and commits. Requests of one transaction may come to
different processes, so its description and the places of its buckets are in the index and the buckets in the
storage area. Nothing is stored as an instance before all have been checked.

A sender that never commits is forgotten when `Transfers.MaxPushTransactions` others have begun after it.
"""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import clock, key_values
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError, ReadOnly
from ithil.archive.index import key_values as rows
from ithil.archive.index.statement import Session
from ithil.archive.ingest import Incoming
from ithil.archive.model import Origin
from ithil.error_codes import CodedError

MOST_INSTANCES = 1_000_000
MOST_BUCKETS = 100_000
LARGEST_BUCKET = 256 << 20
"""Bytes of a bucket; it is in memory while it arrives."""

_STORE = "ithil-transfers"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of an instance's file; `offset` and `size` are in bytes."""

    instance: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Announced:
    """An instance as the sender describes it; an empty MD5 is not checked."""

    id: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Push:
    """One transaction."""

    id: str
    created: float  # seconds since 1970
    compressed: bool  # whether buckets come compressed by gzip
    buckets: Sequence[Sequence[Chunk]]
    instances: Sequence[Announced]

    def size_of(self, bucket: int) -> int:
        """Bytes of a bucket."""
        return sum(chunk.size for chunk in self.buckets[bucket])


@dataclass(frozen=True, slots=True)
class _Part:
    """A chunk in the file of its bucket."""

    bucket: int
    start: int
    chunk: Chunk


def begin(
    archive: Archive,
    buckets: Sequence[Sequence[Chunk]],
    instances: Sequence[Announced],
    *,
    compressed: bool,
) -> str:
    """Begin a transaction; gives its id.

    Raises CodedError (bad file format) if the buckets are not exactly the bytes of the instances. Raises
    ReadOnly.
    """
    _refuse_read_only(archive)
    push = Push(uuid.uuid4().hex, clock.now()[0], compressed, buckets, instances)
    if any(push.size_of(number) > LARGEST_BUCKET for number in range(len(buckets))):
        raise _bad("A bucket is too large")
    _layout(push)
    _make_room(archive)
    key_values.put(archive, _STORE, push.id, _pack(push))
    return push.id


def receive(archive: Archive, push_id: str, bucket: int, content: bytes) -> bool:
    """Keep the content of a bucket; False if there is no such transaction or bucket.

    Raises CodedError (bad file format) for content of another size than was announced.
    """
    _refuse_read_only(archive)
    push = _read(archive, push_id)
    if push is None or not 0 <= bucket < len(push.buckets):
        return False
    size = push.size_of(bucket)
    if push.compressed:
        content = _inflated(content, size)
    if len(content) != size:
        raise _bad("A bucket does not have the size that was announced")
    writer = archive.storage.writer()
    try:
        writer.write(content)
        writer.finish()
        place = orjson.dumps(writer.uuid)

        def work(session: Session) -> tuple[bool, bytes | None]:
            if rows.get(session, _STORE, push_id) is None:
                return False, None  # discarded in this very moment
            before = rows.get(session, _places(push_id), _key(bucket))
            rows.put(session, _places(push_id), _key(bucket), place)
            return True, before

        kept, before = archive.index.write(work)
    except BaseException:
        writer.discard()
        raise
    if not kept:
        archive.storage.remove(writer.uuid)
    if before is not None:
        archive.storage.remove(orjson.loads(before))
    return kept


def commit(archive: Archive, push_id: str, origin: Origin) -> bool:
    """Store all instances of a transaction and forget it; False if there is none.

    Raises CodedError: bad sequence of calls if a bucket is missing, corrupted file if an MD5 is wrong; nothing
    has been stored then. What `Incoming.commit` raises may come after some instances have been stored; they do
    no harm, and the commit can be tried again.
    """
    push = _read(archive, push_id)
    if push is None:
        return False
    files = {int(key): orjson.loads(value) for key, value in key_values.items(archive, _places(push_id))}
    if len(files) != len(push.buckets):
        raise CodedError(codes.BAD_SEQUENCE_OF_CALLS, "Not all buckets have been received")
    layout = _layout(push)
    for instance in push.instances:
        if instance.md5 and _md5(archive, files, layout[instance.id]) != instance.md5.lower():
            raise CodedError(codes.CORRUPTED_FILE, "An instance has changed on its way")
    store = partial(_store, archive, files, layout, origin)
    with ThreadPoolExecutor(archive.settings.transfers.commit_threads_count) as threads:
        for _ in threads.map(store, (instance.id for instance in push.instances)):
            pass
    discard(archive, push_id)
    return True


def discard(archive: Archive, push_id: str) -> bool:
    """Forget a transaction and what has come of it; False if there is none."""
    _refuse_read_only(archive)
    if len(push_id) > 64 or key_values.get(archive, _STORE, push_id) is None:
        return False
    key_values.delete(archive, _STORE, push_id)
    for key, value in list(key_values.items(archive, _places(push_id))):
        key_values.delete(archive, _places(push_id), key)
        try:
            archive.storage.remove(orjson.loads(value))
        except ArchiveError:
            continue  # `ithil check` finds what stays
    return True


def _store(
    archive: Archive, files: dict[int, str], layout: dict[str, list[_Part]], origin: Origin, instance: str
) -> None:
    incoming = Incoming(archive, origin)
    try:
        for piece in _pieces(archive, files, layout[instance]):
            incoming.write(piece)
        incoming.accept()
    finally:
        incoming.discard()


def _md5(archive: Archive, files: dict[int, str], parts: Sequence[_Part]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in _pieces(archive, files, parts):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(archive: Archive, files: dict[int, str], parts: Sequence[_Part]) -> Iterator[bytes]:
    for part in parts:
        end = part.start + part.chunk.size
        with archive.storage.open(files[part.bucket]) as file:
            for start in range(part.start, end, _PIECE):
                yield file.read(start, min(start + _PIECE, end))


def _layout(push: Push) -> dict[str, list[_Part]]:
    """Where the bytes of each instance are. Raises CodedError (bad file format) if they are not all there."""
    found: dict[str, list[_Part]] = {instance.id: [] for instance in push.instances}
    if len(found) != len(push.instances):
        raise _bad("An instance is announced twice")
    for number, bucket in enumerate(push.buckets):
        start = 0
        for chunk in bucket:
            if chunk.instance not in found:
                raise _bad("A bucket has a part of an instance that is not announced")
            found[chunk.instance].append(_Part(number, start, chunk))
            start += chunk.size
    for instance in push.instances:
        position = 0
        parts = found[instance.id]
        parts.sort(key=lambda part: part.chunk.offset)
        for part in parts:
            if part.chunk.offset != position or part.chunk.size <= 0:
                raise _bad("The buckets are not the bytes of the instances")
            position += part.chunk.size
        if position != instance.size:
            raise _bad("The buckets are not the bytes of the instances")
    return found


def _inflated(content: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(content, size + 1)
    except zlib.error as error:
        raise _bad("A bucket is not compressed by gzip") from error
    if not inflater.eof:
        raise _bad("A bucket does not have the size that was announced")
    return plain


def _make_room(archive: Archive) -> None:
    """Forget the oldest transactions, so that there is room for one more."""
    begun = sorted((orjson.loads(value)["Created"], key) for key, value in key_values.items(archive, _STORE))
    surplus = len(begun) + 1 - archive.settings.transfers.max_push_transactions
    for _, key in begun[: max(0, surplus)]:
        discard(archive, key)


def _pack(push: Push) -> bytes:
    return orjson.dumps(
        {
            "Created": push.created,
            "Compressed": push.compressed,
            "Buckets": [[(one.instance, one.offset, one.size) for one in each] for each in push.buckets],
            "Instances": [(one.id, one.size, one.md5) for one in push.instances],
        }
    )


def _read(archive: Archive, push_id: str) -> Push | None:
    value = key_values.get(archive, _STORE, push_id) if len(push_id) <= 64 else None
    if value is None:
        return None
    found: dict[str, Any] = orjson.loads(value)
    return Push(
        push_id,
        found["Created"],
        found["Compressed"],
        [[Chunk(*one) for one in each] for each in found["Buckets"]],
        [Announced(*one) for one in found["Instances"]],
    )


def _places(push_id: str) -> str:
    return f"{_STORE}-{push_id}"


def _key(bucket: int) -> str:
    return f"{bucket:08d}"


def _refuse_read_only(archive: Archive) -> None:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")


def _bad(details: str) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, details)
