"""Reconstruction: the index is made to say again what the stored files say.

It is asked for after the main tags of the configuration have changed, after files were edited in place, or to
mend an index. The rows keep their identity, and with it their labels, metadata, attachments, stability and
place in the log; everything that follows from the tags is written anew, and what is below each parent is
counted anew. A parent says what its first instance says, as at its arrival. The values in declared query tags
are taken anew from each instance.

It goes through the archive in small batches, each a transaction of its own, so it may run while instances
arrive, be broken off and be repeated. A file that cannot be read leaves its rows as they are and does not
hold up the others.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import attachments, clock, query_tags, resources, retrieve, transcoding
from ithil.archive.archive import Archive
from ithil.archive.describe import instance_ids, new_instance
from ithil.archive.errors import ArchiveError, FileCorrupted, IndexUnavailable, ReadOnly
from ithil.archive.index import query_tag_losses
from ithil.archive.index import query_tags as query_tag_rows
from ithil.archive.index import reconstruct as rows
from ithil.archive.index.ingest import NewInstance
from ithil.archive.index.query_tags import QueryTag, Value
from ithil.archive.index.statement import Row, Session
from ithil.archive.model import DICOM_FILE, Attachment, Origin
from ithil.archive.storage import compression
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import frame_index
from ithil.dicom.level import Level
from ithil.dicom.scan import Scan, ScanLimits, scan
from ithil.error_codes import CodedError
from ithil.pixels.errors import PixelError

log = logging.getLogger(__name__)

BATCH = 100  # instances a transaction
_HELD = 1024 * 1024  # bytes of the largest file that is read into memory
_FROM_TAGS = ("1", "4", "9", "10", "14")  # numbers of the metadata that follow from tags
_NOBODY = Origin()


def reconstruct(
    archive: Archive,
    level: Level,
    public_id: str,
    *,
    files: bool = False,
    this_level_only: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Reconstruct a resource, all below it, and the rows above it.

    With `files`, the files are stored anew as well where the configuration now wants them in another form
    (`StorageCompression`, `IngestTranscoding`). With `this_level_only` only the row of the resource itself is
    written, from one file. `stopping` is asked now and then whether to break off.

    Raises CodedError (unknown resource), ReadOnly, IndexUnavailable; and at the end, when all else is done,
    what kept the first of the files that could not be read from it: FileMissing, FileCorrupted, DicomError.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    if not resources.exists(archive, level, public_id):
        raise CodedError(codes.UNKNOWN_RESOURCE)
    work = _Reconstruction(archive, files, stopping)
    work.resource(level, public_id, this_level_only=this_level_only)
    work.end()


def reconstruct_all(
    archive: Archive,
    *,
    files: bool = False,
    this_level_only: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Reconstruct every patient; with `this_level_only` the tags of the patients alone. As `reconstruct`."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    work = _Reconstruction(archive, files, stopping)
    for patient in _paged(archive, rows.patients):
        work.resource(Level.PATIENT, patient[1], this_level_only=this_level_only)
    work.end()


@dataclass(frozen=True, slots=True)
class _Found:
    """What the file of an instance says: the columns of its row, and what it has in query tags."""

    instance: int
    uuid: str
    values: dict[str, Any]
    query_values: tuple[Value, ...]


class _Stopped(Exception):
    """The reconstruction was told to break off."""


@dataclass(slots=True)
class _Reconstruction:
    """One run: what it is to do, and what went wrong with single files."""

    archive: Archive
    files: bool
    stopping: Callable[[], bool]
    failed: int = 0
    failure: Exception | None = None

    def resource(self, level: Level, public_id: str, *, this_level_only: bool) -> None:
        """One resource and what belongs to it."""
        try:
            if this_level_only:
                self._only(level, public_id)
            elif level == Level.INSTANCE:
                self._instances(level, public_id)
                self._above(level, public_id)
            else:
                self._below(level, public_id)
                self._above(level, public_id)
        except _Stopped:
            raise CodedError(codes.CANCELED_JOB, "The server stops") from None

    def end(self) -> None:
        """Tell of the files that could not be read."""
        if self.failure is not None:
            log.warning("The rows of %d instances stay as they are: %s", self.failed, self.failure)
            raise self.failure

    def _only(self, level: Level, public_id: str) -> None:
        if level == Level.INSTANCE:
            self._instances(level, public_id)
        else:
            self._parent(level, public_id, counting=False)

    def _below(self, level: Level, public_id: str) -> None:
        """A patient, study or series and all below it, from below."""
        if level == Level.SERIES:
            self._instances(level, public_id)
        else:
            below = Level(level + 1)
            for child in _paged(self.archive, _pages(level, public_id, below)):
                self._below(below, child[1])
        self._parent(level, public_id)

    def _above(self, level: Level, public_id: str) -> None:
        for at in (Level.SERIES, Level.STUDY, Level.PATIENT):
            if at < level:
                found = resources.ancestor(self.archive, level, public_id, at)
                if found is not None:
                    self._parent(at, found)

    def _instances(self, level: Level, public_id: str) -> None:
        """The rows of all instances of a series, or of a single one."""
        with self.archive.index.read() as session:
            tags = query_tag_rows.all_tags(session)
        batch: list[_Found] = []
        for row in _paged(self.archive, _pages(level, public_id, Level.INSTANCE), BATCH):
            found = self._attempt(self._instance, row, tags)
            if found is None:
                self.failed += 1
            else:
                batch.append(found)
            if len(batch) == BATCH:
                self._write(batch, tags)
                batch = []
        self._write(batch, tags)

    def _write(self, batch: list[_Found], tags: Sequence[QueryTag]) -> None:
        keys = [tag.key for tag in tags]

        def work(session: Session) -> None:
            now, _ = clock.now()
            for found in batch:
                if rows.update_instance(session, found.instance, found.uuid, found.values) and keys:
                    query_tag_losses.replace(session, found.instance, keys, found.query_values, now)

        if batch:
            self.archive.index.write(work)

    def _instance(self, row: Row, tags: Sequence[QueryTag]) -> _Found:
        instance, public_id, metadata = row[:3]
        file = Attachment(DICOM_FILE, *row[3:])
        if self.files:
            file = _compressed_as_configured(self.archive, public_id, file)
        look = _look_at(self.archive, file)
        if self.files:
            file, look = _transcoded_as_configured(self.archive, public_id, metadata, file, look)
        values = _instance_values(self.archive, public_id, metadata, file, look)
        offset = values["pixel_data_offset"]
        query_values = query_tags.of_stored(self.archive, file, offset, tags) if tags else ()
        return _Found(instance, file.uuid, values, query_values)

    def _parent(self, level: Level, public_id: str, *, counting: bool = True) -> None:
        """The row of a patient, study or series: what its first instance says, and the counts."""
        archive = self.archive
        with archive.index.read() as session:
            row = rows.first_instance(session, level, public_id)
            metadata = rows.metadata_of(session, level, public_id)
        if row is None or metadata is None:
            return  # deleted meanwhile
        values = self._attempt(self._parent_values, level, row, metadata)

        def work(session: Session) -> None:
            if values is not None:
                rows.update_parent(session, level, public_id, values)
            if counting:
                rows.recount(session, level, public_id)

        archive.index.write(work)

    def _parent_values(self, level: Level, row: Row, metadata: str) -> dict[str, Any]:
        file = Attachment(DICOM_FILE, *row[3:])
        values = _described(self.archive, row[1], file, _look_at(self.archive, file)).parent(level)
        return {**values, "metadata": _merged(metadata, values["metadata"])}

    def _attempt(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What `work` gives; None if the instance has gone, or if its file does not allow it, which is noted."""
        if self.stopping():
            raise _Stopped
        try:
            return work(*arguments)
        except IndexUnavailable:
            raise
        except (ArchiveError, DicomError) as error:
            self.failure = self.failure or error
            return None
        except CodedError as error:
            if error.code != codes.UNKNOWN_RESOURCE:
                raise
            return None  # deleted meanwhile


Pages = Callable[[Session, int, int], list[Row]]


def _pages(level: Level, public_id: str, at: Level) -> Pages:
    return lambda session, after, limit: rows.page(session, level, public_id, at, after, limit)


def _paged(archive: Archive, page: Pages, size: int = 1000) -> Iterator[Row]:
    """All rows, of which a page at a time is in memory; the first column is what they are ordered by."""
    after = 0
    while True:
        with archive.index.read() as session:
            found = page(session, after, size)
        yield from found
        if len(found) < size:
            return
        after = found[-1][0]


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the content of a file has found."""

    header: Scan
    frames: bytes | None


def _compressed_as_configured(archive: Archive, public_id: str, file: Attachment) -> Attachment:
    """The file of an instance after it was compressed or not as `StorageCompression` wants it."""
    wanted = archive.settings.storage_compression
    if (file.compression != compression.NONE) == wanted:
        return file
    attachments.recompress(archive, Level.INSTANCE, public_id, DICOM_FILE, compressed=wanted)
    return retrieve.dicom_file(archive, public_id) or file


def _transcoded_as_configured(
    archive: Archive, public_id: str, metadata: str, file: Attachment, look: _Look
) -> tuple[Attachment, _Look]:
    """The file of an instance after it was transcoded as `IngestTranscoding` wants it.

    One that cannot be transcoded, or would become another instance by a loss, stays as it is.
    """
    target = transcoding.wanted_at_ingest(archive.settings, look.header)
    if target is None or file.uncompressed_size > transcoding.MAXIMUM_FILE:
        return file, look
    from ithil.pixels.transcode import transcode

    quality = archive.settings.dicom_lossy_transcoding_quality
    try:
        content = transcode(b"".join(retrieve.pieces(archive, file)), target, quality=quality)
    except PixelError as error:
        log.warning("An instance stays as it is, for it cannot be transcoded: %s", error)
        return file, look
    look = _scanned(archive, content, len(content))
    if not _is_of(look, public_id):
        return file, _look_at(archive, file)
    made = attachments.write(archive, DICOM_FILE, content)
    values = _instance_values(archive, public_id, metadata, made, look)

    def also(session: Session, instance: int) -> None:
        rows.update_instance(session, instance, made.uuid, values)

    attachments.exchange(archive, Level.INSTANCE, public_id, file, made, also)
    return made, look


def _instance_values(
    archive: Archive, public_id: str, metadata: str, file: Attachment, look: _Look
) -> dict[str, Any]:
    """The columns of an instance's row; `metadata` is what its row had."""
    found = _described(archive, public_id, file, look).instance
    return {**found, "metadata": _merged(metadata, found["metadata"])}


def _look_at(archive: Archive, file: Attachment) -> _Look:
    """What a stored file says. Raises FileMissing, FileCorrupted, DicomError."""
    with _content(archive, file) as content:
        return _scanned(archive, content, file.uncompressed_size)


def _scanned(archive: Archive, content: bytes | mmap, size: int) -> _Look:
    settings = archive.settings
    found = scan(
        content,
        archive.tags_of.all,
        limits=ScanLimits(
            maximum_depth=settings.ithil.maximum_sequence_depth,
            maximum_elements=settings.ithil.maximum_elements,
        ),
        total_size=size,
        default_encoding=archive.default_encoding,
    )
    if found.truncated:
        raise DicomError("The file ends in the middle of an element")
    return _Look(found, frame_index(content, found).to_bytes() if found.is_encapsulated else None)


def _is_of(look: _Look, public_id: str) -> bool:
    ids = instance_ids(look.header.tags)
    return ids is not None and ids[Level.INSTANCE] == public_id


def _described(archive: Archive, public_id: str, file: Attachment, look: _Look) -> NewInstance:
    """What ingest would write of an instance with that file. Raises FileCorrupted if it is another one's."""
    ids = instance_ids(look.header.tags)
    if ids is None or ids[Level.INSTANCE] != public_id:
        raise FileCorrupted("A stored file is not of the instance that the index has it for")
    return new_instance(
        look.header,
        lambda: look.header.tags,
        ids,
        archive.tags_of,
        file,
        look.frames,
        _NOBODY,
        None,
        "Never",
        clock.now(),
        archive.settings.stable_age,
    )


@contextmanager
def _content(archive: Archive, file: Attachment) -> Iterator[bytes | mmap]:
    """The plain bytes of a file: in memory if it is small, mapped if it is large."""
    if file.uncompressed_size <= _HELD:
        yield b"".join(retrieve.pieces(archive, file))
    elif file.compression == compression.NONE:
        with archive.storage.open(file.uuid) as stored:
            if stored.size != file.compressed_size:
                raise FileCorrupted("A stored file does not have the size that the index remembers")
            with stored.view() as view:
                yield view
    else:
        with tempfile.TemporaryFile(dir=archive.settings.temporary_directory) as plain:
            for piece in retrieve.pieces(archive, file):
                plain.write(piece)
            plain.flush()
            with mmap(plain.fileno(), 0, access=ACCESS_READ) as view:
                yield view


def _merged(stored: str, derived: str) -> str:
    """The metadata of a row: those that follow from the tags are `derived`, all others stay."""
    old, new = orjson.loads(stored), orjson.loads(derived)
    for number in _FROM_TAGS:
        old.pop(number, None)
        if number in new:
            old[number] = new[number]
    return orjson.dumps(dict(sorted(old.items(), key=lambda entry: int(entry[0])))).decode()
