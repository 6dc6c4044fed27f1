"""Getting stored files back, whole or in part, plain or as they lie on the disk."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.storage import compression
from ithil.dicom.level import Level


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
        if file.compression == compression.NONE and (start or end is not None):
            return archive.storage.read(file.uuid, start, end)
        stored = read_raw(archive, file)
        whole = stored if file.compression == compression.NONE else compression.uncompress(stored)
        archive.cache.put(file.uuid, whole)
    return whole[start:end] if start or end is not None else whole


def read_raw(archive: Archive, file: Attachment) -> bytes:
    """The bytes of a file as they lie in the storage. Raises FileMissing, FileCorrupted."""
    stored = archive.storage.read(file.uuid)
    if len(stored) != file.compressed_size:
        raise FileCorrupted("A stored file does not have the size that the index remembers")
    return stored


def verify(archive: Archive, file: Attachment) -> bool:
    """Whether the file on the disk still has its MD5 sums (those that were computed). Raises FileMissing."""
    try:
        stored = read_raw(archive, file)
        plain = stored if file.compression == compression.NONE else compression.uncompress(stored)
    except FileCorrupted:
        return False
    return all(
        not expected or hashlib.md5(content, usedforsecurity=False).hexdigest() == expected
        for content, expected in ((stored, file.compressed_md5), (plain, file.uncompressed_md5))
    )


def header(archive: Archive, instance_id: str) -> bytes | None:
    """The file of an instance up to its pixel data (all of it if there is none); None if it is unknown."""
    found = _find(archive, instance_id)
    return None if found is None else read(archive, found[1], 0, found[0])
