"""What a transfer is made of: the instances, and the buckets that their bytes are divided into.

Many small files travel in one bucket and a large one in several, so that the number of requests follows from
the number of bytes. The same instances always give the same buckets, which is what lets a job go on where it
was interrupted.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence

from ithil import error_codes as codes
from ithil.archive import outgoing, retrieve
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.archive.transfers import Announced, Chunk
from ithil.error_codes import CodedError

MOST_CHUNKS = 100
"""Instances in a bucket that is pulled: their ids are in the address of the request."""

_BATCH = 500


def announced(archive: Archive, instances: Sequence[str]) -> Iterator[Announced]:
    """Size and MD5 of each instance, without those that have gone. Raises what `retrieve.pieces` raises."""
    for start in range(0, len(instances), _BATCH):
        batch = instances[start : start + _BATCH]
        found = outgoing.by_ids(archive, batch)
        for instance in batch:
            if instance in found:
                file = found[instance].file
                yield Announced(
                    instance, file.uncompressed_size, file.uncompressed_md5 or _md5(archive, file)
                )


def buckets(instances: Iterable[Announced], size: int, most_chunks: int = MOST_CHUNKS) -> list[list[Chunk]]:
    """The buckets, of at most `size` bytes and `most_chunks` parts of instances each."""
    made: list[list[Chunk]] = []
    room = 0
    for instance in instances:
        offset = 0
        while offset < instance.size:
            if not room or len(made[-1]) >= most_chunks:
                made.append([])
                room = size
            length = min(room, instance.size - offset)
            made[-1].append(Chunk(instance.id, offset, length))
            offset += length
            room -= length
    return made


def content(
    archive: Archive, instances: Sequence[str], offset: int, size: int | None
) -> tuple[int, Iterator[bytes]]:
    """Length and pieces of the files of instances, one after the other, from `offset` in the first one.

    Raises CodedError: unknown resource, parameter out of range for more than there is.
    """
    found = outgoing.by_ids(archive, instances)
    if any(one not in found for one in instances):
        raise CodedError(codes.UNKNOWN_RESOURCE)
    files = [found[one].file for one in instances]
    total = sum(file.uncompressed_size for file in files)
    length = total - offset if size is None else size
    if offset < 0 or length < 0 or offset + length > total:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The instances have fewer bytes than that")
    return length, _pieces(archive, files, offset, offset + length)


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces compressed by gzip."""
    packer = zlib.compressobj(1, wbits=31)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _pieces(archive: Archive, files: Sequence[Attachment], start: int, end: int) -> Iterator[bytes]:
    position = 0
    for file in files:
        first, last = max(start - position, 0), min(end - position, file.uncompressed_size)
        if first < last:
            yield from retrieve.pieces(archive, file, first, last)
        position += file.uncompressed_size


def _md5(archive: Archive, file: Attachment) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in retrieve.pieces(archive, file):
        digest.update(piece)
    return digest.hexdigest()
