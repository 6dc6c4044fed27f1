"""Files that hang on resources beside the instances' own: storing, replacing, deleting, compressing them.

A file never changes under its UUID. Whatever alters an attachment writes a new file, makes it durable, names
it in the index in the place of the old one, and leaves the old one to the sweep of deleted files. So readers
see the old content or the new one, and a crash leaves a file too many at most, which `ithil check` finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from ithil import error_codes as codes
from ithil.archive import clock, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import CommitUncertain, FileCorrupted, ReadOnly
from ithil.archive.index import attachments as rows
from ithil.archive.index.changelog import Entry, record
from ithil.archive.index.lock import lock
from ithil.archive.index.statement import Session
from ithil.archive.model import FIRST_OF_USERS, Attachment
from ithil.archive.revisions import Version, require
from ithil.archive.storage import compression
from ithil.archive.storage.local import LocalWriter
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

_PIECE = 1024 * 1024
_TRIES = 5

T = TypeVar("T")

Buffer = bytes | bytearray | memoryview


class Upload:
    """An attachment on its way in. Write its bytes, then `commit` or `discard`; not for several threads."""

    def __init__(self, archive: Archive) -> None:
        """Raises ReadOnly, StorageFull, StorageUnavailable."""
        if archive.settings.read_only:
            raise ReadOnly("The archive is read-only")
        self._archive = archive
        self._md5 = archive.checksums.new() if archive.settings.store_md5_for_attachments else None
        self._writer: LocalWriter | None = archive.storage.writer()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises StorageFull, StorageUnavailable."""
        assert self._writer is not None, "the upload has ended"
        if self._md5 is not None:
            self._md5.update(data)
        self._writer.write(data)

    def discard(self) -> None:
        """Forget every byte; harmless when called twice or after `commit`."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()

    def commit(
        self, level: Level, public_id: str, content_type: int, expected: Version | None = None
    ) -> Attachment:
        """Make what was written the attachment of a resource; gives what is stored now.

        Raises CodedError: unknown resource; revision (409) if what is there is not the expected version, or
        none was given and `CheckRevisions` asks for one. Raises StorageFull, StorageUnavailable and
        IndexUnavailable. Nothing of it is left behind then.
        """
        try:
            made = self.finish(content_type)
        finally:
            self.discard()
        seconds, date = clock.now()
        archive = self._archive

        def work(session: Session) -> tuple[Attachment, Attachment | None]:
            resource = lock(session, level, public_id)
            old = rows.get(session, level, resource, content_type)
            if old is not None and old.uuid == made.uuid:
                return old, None  # an earlier try was committed although its answer got lost
            if old is not None:
                require(archive.settings, expected, version(old))
            new = replace(made, revision=old.revision + 1 if old is not None else 0)
            rows.put(session, level, resource, new, old, seconds)
            _log(session, level, resource, public_id, content_type, date)
            return new, old

        new, old = _keeping(archive, made.uuid, work)
        if old is not None:
            archive.cache.drop(old.uuid)
        return new

    def finish(self, content_type: int) -> Attachment:
        """Make the file durable, in the form in which this archive stores files; no row names it yet."""
        plain, self._writer = self._writer, None
        assert plain is not None, "the upload has ended"
        size = plain.size
        try:
            if not self._archive.settings.storage_compression:
                plain.finish()
                md5 = self._md5.hexdigest() if self._md5 is not None else ""
                return Attachment(content_type, plain.uuid, compression.NONE, size, md5, size, md5)
            pieces = compression.compressed_pieces(_pieces_of(plain), size)
            uuid, stored_size, stored_md5 = _write(self._archive, pieces)
        except BaseException:
            plain.discard()
            raise
        plain.discard()
        md5 = self._md5.hexdigest() if self._md5 is not None else ""
        stored_md5 = stored_md5 if self._md5 is not None else ""
        return Attachment(content_type, uuid, compression.ZLIB, stored_size, stored_md5, size, md5)


def check(
    archive: Archive, level: Level, public_id: str, content_type: int, expected: Version | None = None
) -> None:
    """Raise now what `Upload.commit` would raise later, before gigabytes are received in vain."""
    with archive.index.read() as session:
        resource = rows.find(session, level, public_id)
        old = rows.get(session, level, resource, content_type) if resource is not None else None
    if resource is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    if old is not None:
        require(archive.settings, expected, version(old))


def delete(
    archive: Archive, level: Level, public_id: str, content_type: int, expected: Version | None = None
) -> None:
    """Delete an attachment other than an instance's DICOM file.

    Raises CodedError: unknown resource if the resource or the attachment is not there; revision as above.
    Raises ReadOnly.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    seconds, date = clock.now()

    def work(session: Session) -> Attachment:
        resource = lock(session, level, public_id)
        old = rows.get(session, level, resource, content_type)
        if old is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        require(archive.settings, expected, version(old))
        rows.delete(session, level, resource, old, seconds)
        _log(session, level, resource, public_id, content_type, date)
        return old

    archive.cache.drop(archive.index.write(work).uuid)


def recompress(
    archive: Archive,
    level: Level,
    public_id: str,
    content_type: int,
    *,
    compressed: bool,
) -> bool:
    """Store a file with compression or without; False if it is stored like that already.

    The content and its revision stay what they are. Raises CodedError (unknown resource), FileMissing,
    FileCorrupted (then all stays as it is), StorageFull, StorageUnavailable, ReadOnly.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    wanted = compression.ZLIB if compressed else compression.NONE
    for _ in range(_TRIES):
        file = retrieve.attachment(archive, level, public_id, content_type)
        if file is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        if file.compression == wanted:
            return False
        if exchange(archive, level, public_id, file, _converted(archive, file, wanted)):
            return True
    raise CodedError(codes.REVISION)  # somebody else replaces it again and again


def exchange(
    archive: Archive,
    level: Level,
    public_id: str,
    old: Attachment,
    new: Attachment,
    also: Callable[[Session, int], None] = lambda session, resource: None,
) -> bool:
    """Name the file `new`, which must be durable, in the place of `old`.

    `also` is called in the same transaction, with the internal id of the resource. False, and `new` is
    removed, if the resource does not have `old` any more. Raises CodedError (unknown resource) and
    IndexUnavailable; `new` is removed then as well.
    """
    seconds, date = clock.now()

    def work(session: Session) -> bool:
        resource = lock(session, level, public_id)
        there = rows.get(session, level, resource, old.content_type)
        if there is None or there.uuid != old.uuid:
            return there is not None and there.uuid == new.uuid  # as an earlier try has left it
        rows.put(session, level, resource, new, old, seconds)
        also(session, resource)
        _log(session, level, resource, public_id, old.content_type, date)
        return True

    done = _keeping(archive, new.uuid, work)
    if done:
        archive.cache.drop(old.uuid)
    else:
        archive.storage.remove(new.uuid)
    return done


def write(archive: Archive, content_type: int, content: bytes) -> Attachment:
    """A new durable file in the form in which this archive stores files; no row names it yet.

    Raises StorageFull, StorageUnavailable.
    """
    upload = Upload(archive)
    try:
        upload.write(content)
        return upload.finish(content_type)
    finally:
        upload.discard()


def version(file: Attachment) -> Version:
    """The version of a stored attachment."""
    return Version(file.revision, file.uncompressed_md5)


def _converted(archive: Archive, file: Attachment, kind: int) -> Attachment:
    """The same content in a new file, compressed or plain. Raises FileCorrupted if it has suffered."""
    md5 = hashlib.md5(usedforsecurity=False)

    def plain() -> Iterator[bytes]:
        for piece in retrieve.pieces(archive, file):
            md5.update(piece)
            yield piece

    pieces = plain()
    if kind == compression.ZLIB:
        pieces = compression.compressed_pieces(pieces, file.uncompressed_size)
    uuid, size, stored_md5 = _write(archive, pieces)
    if file.uncompressed_md5 and md5.hexdigest() != file.uncompressed_md5:
        archive.storage.remove(uuid)
        raise FileCorrupted("A stored file is not what it was when it was stored")
    if not archive.settings.store_md5_for_attachments:
        stored_md5 = ""
    return Attachment(
        file.content_type,
        uuid,
        kind,
        size,
        stored_md5,
        file.uncompressed_size,
        file.uncompressed_md5,
        file.revision,
    )


def _write(archive: Archive, pieces: Iterable[Buffer]) -> tuple[str, int, str]:
    """Write a durable file; gives its UUID, size and MD5. Nothing of it is left if that fails."""
    md5 = hashlib.md5(usedforsecurity=False)
    writer = archive.storage.writer()
    try:
        for piece in pieces:
            md5.update(piece)
            writer.write(piece)
        writer.finish()
    except BaseException:
        writer.discard()
        raise
    return writer.uuid, writer.size, md5.hexdigest()


def _log(session: Session, level: Level, resource: int, public_id: str, content_type: int, date: str) -> None:
    if content_type >= FIRST_OF_USERS:
        record(session, [Entry("UpdatedAttachment", level, resource, public_id)], date)


def _keeping(archive: Archive, uuid: str, work: Callable[[Session], T]) -> T:
    """Run a transaction that names a new file, which is removed if nothing can name it."""
    try:
        return archive.index.write(work)
    except CommitUncertain:
        raise  # a row may name the file
    except BaseException:
        archive.storage.remove(uuid)
        raise


def _pieces_of(writer: LocalWriter) -> Iterator[Buffer]:
    """What was written so far."""
    if writer.size:
        with writer.view() as view:
            for start in range(0, len(view), _PIECE):
                yield view[start : start + _PIECE]
