"""Getting stored files back, whole or in part, plain or as they lie on the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa

from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.storage import compression
from ithil.archive.storage.local import StoredFile
from ithil.dicom.level import Level

PIECE = 4 * 1024 * 1024
"""Bytes that are read from the storage at once."""

LARGEST_WHOLE_READ = 1024 * 1024
"""A file of at most that many bytes is read, and kept, as a whole by those who come back for other parts of it."""

LARGEST_WHOLE = PIECE
"""Bytes of the largest compressed file that is inflated as a whole for a part of it, and then cached."""


def _attachment(level: Level) -> Statement:
    a, table = t.attachments.c, t.BY_LEVEL[level]
    columns = [a.content_type, a.uuid, a.compression, a.compressed_size, a.compressed_md5]
    columns += [a.uncompressed_size, a.uncompressed_md5, a.revision]
    return Statement(
        sa.select(*columns)
        .join_from(table, t.attachments, a.resource == table.c.id)
        .where(
            table.c.public_id == sa.bindparam("public_id"),
            a.level == int(level),
            a.content_type == sa.bindparam("content_type"),
        )
    )


_ATTACHMENT = tuple(_attachment(level) for level in Level)
_FILE = Statement(
    sa.select(t.instances.c.pixel_data_offset, *DICOM_FILE_COLUMNS).where(
        t.instances.c.public_id == sa.bindparam("public_id")
    )
)


def attachment(archive: Archive, level: Level, public_id: str, content_type: int) -> Attachment | None:
    """What the index knows of a resource's file of that type, or None."""
    if level == Level.INSTANCE and content_type == DICOM_FILE:
        return dicom_file(archive, public_id)
    with archive.index.read() as session:
        row = session.one(_ATTACHMENT[level], {"public_id": public_id, "content_type": content_type})
    return Attachment(*row) if row else None


def dicom_file(archive: Archive, instance_id: str) -> Attachment | None:
    """The DICOM file of an instance, or None if the instance is unknown."""
    found = _find(archive, instance_id)
    return found[1] if found else None


def _find(archive: Archive, instance_id: str) -> tuple[int | None, Attachment] | None:
    """The offset of an instance's pixel data and its file."""
    with archive.index.read() as session:
        row = session.one(_FILE, {"public_id": instance_id})
    return (row[0], Attachment(DICOM_FILE, *row[1:])) if row else None


def read(archive: Archive, file: Attachment, start: int = 0, end: int | None = None) -> bytes:
    """The plain bytes `start` to `end` (excluded; None: to the end) of a file.

    A whole file is kept in the cache. Raises FileMissing, FileCorrupted, StorageUnavailable.
    """
    whole = archive.cache.get(file.uuid)
    if whole is None:
        partly = start > 0 or (end is not None and end < file.uncompressed_size)
        if partly and file.compression == compression.NONE:
            return archive.storage.read(file.uuid, start, end)
        if partly and file.uncompressed_size > LARGEST_WHOLE:
            return b"".join(pieces(archive, file, start, end))
        stored = read_raw(archive, file)
        whole = stored if file.compression == compression.NONE else compression.uncompress(stored)
        archive.cache.put(file.uuid, whole)
    return whole[start:end] if start or end is not None else whole


def pieces(
    archive: Archive, file: Attachment, start: int = 0, end: int | None = None, *, raw: bool = False
) -> Iterator[bytes]:
    """The bytes `start` to `end` (excluded; None: to the end) of a file, piece by piece.

    They are the plain bytes, or with `raw` those that are stored. The file is opened once, when the first
    piece is asked for, so that its removal after that harms nobody; closing the iterator closes it. Of a
    compressed file, no more than a piece is ever inflated at once. Raises what `read` raises.
    """
    with archive.storage.open(file.uuid) as stored:
        if stored.size != file.compressed_size:
            raise FileCorrupted("A stored file does not have the size that the index remembers")
        if raw or file.compression == compression.NONE:
            yield from _stored_pieces(stored, start, stored.size if end is None else end)
            return
        position, stop = 0, file.uncompressed_size if end is None else end
        for piece in compression.uncompressed_pieces(_stored_pieces(stored, 0, stored.size)):
            wanted = piece[max(0, start - position) : max(0, stop - position)]
            position += len(piece)
            if wanted:
                yield wanted
            if position >= stop and stop < file.uncompressed_size:
                return
        if position != file.uncompressed_size:
            raise FileCorrupted("A stored file does not hold what the index remembers")


def read_into(archive: Archive, file: Attachment, buffer: memoryview) -> None:
    """Read a file that is not compressed into `buffer`, which has its size. Raises what `read` raises."""
    with archive.storage.open(file.uuid) as stored:
        if stored.size != file.compressed_size:
            raise FileCorrupted("A stored file does not have the size that the index remembers")
        if stored.read_into(buffer) < len(buffer):
            raise FileCorrupted("A stored file has become shorter")


def _stored_pieces(file: StoredFile, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, PIECE):
        piece = file.read(position, min(position + PIECE, end))
        if not piece:
            raise FileCorrupted("A stored file has become shorter")
        yield piece


def read_raw(archive: Archive, file: Attachment) -> bytes:
    """The bytes of a file as they lie in the storage. Raises FileMissing, FileCorrupted."""
    stored = archive.storage.read(file.uuid)
    if len(stored) != file.compressed_size:
        raise FileCorrupted("A stored file does not have the size that the index remembers")
    return stored


def verify(archive: Archive, file: Attachment) -> bool:
    """Whether the file on the disk still has its sizes and MD5 sums (those that were computed).

    Raises FileMissing, StorageUnavailable.
    """
    stored_md5, plain_md5 = (hashlib.md5(usedforsecurity=False) for _ in range(2))

    def stored() -> Iterator[bytes]:
        for piece in pieces(archive, file, raw=True):
            stored_md5.update(piece)
            yield piece

    if file.compression == compression.NONE:
        plain, plain_md5 = stored(), stored_md5
    else:
        plain = compression.uncompressed_pieces(stored())
    size = 0
    try:
        for piece in plain:
            size += len(piece)
            if plain_md5 is not stored_md5:
                plain_md5.update(piece)
    except FileCorrupted:
        return False
    return size == file.uncompressed_size and all(
        not expected or md5.hexdigest() == expected
        for md5, expected in ((stored_md5, file.compressed_md5), (plain_md5, file.uncompressed_md5))
    )


def header(archive: Archive, instance_id: str) -> bytes | None:
    """The file of an instance up to its pixel data (all of it if there is none); None if it is unknown."""
    found = _find(archive, instance_id)
    return None if found is None else read(archive, found[1], 0, found[0])
