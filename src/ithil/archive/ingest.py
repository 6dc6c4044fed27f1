"""The one way in: every instance, from whichever door, passes here and gets one answer.

The bytes are kept in memory while they are few and stream to their final file when they are many. `commit`
then scans the header, refuses what is no acceptable DICOM, makes the file durable and adds the instance to
the index; when it returns, the instance is safe. All of it happens in the calling thread. A crash on the way
leaves at most a file that no row names, which `ithil check` finds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap

from ithil import metrics
from ithil.archive import clock, query_tag_values, query_tags, transcoding
from ithil.archive.archive import Archive
from ithil.archive.compressing import compressed
from ithil.archive.describe import IDENTIFIERS, instance_ids, new_instance
from ithil.archive.errors import DataSetMismatch, MissingIdentifier, ReadOnly
from ithil.archive.index.ingest import file_of
from ithil.archive.index.query_tags import Value
from ithil.archive.intake import Prepared
from ithil.archive.journal_records import head_of
from ithil.archive.model import DICOM_FILE, Attachment, Origin, Provenance, StoreResult, StoreStatus
from ithil.archive.storage import compression
from ithil.archive.storage.local import LocalWriter
from ithil.dicom.dataset import parse_span
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import frame_index
from ithil.dicom.level import Level
from ithil.dicom.main_tags import SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.dicom.scan import NeedMoreData, Scan, ScanLimits, scan
from ithil.metrics import Metric
from ithil.pixels.errors import PixelError

log = logging.getLogger(__name__)

SPOOL_SIZE = 128 * 1024  # bytes of an instance that are held in memory before they go to a file
SMALL = 64 * 1024  # bytes up to which an instance is put together before it is scanned

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Announced:
    """What comes with a data set by C-STORE (PS3.7 9.1.1). It lies at `dataset_offset` of what is written,
    behind file meta information of the caller's making.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int


class Incoming:
    """An instance on its way in. Write its bytes, then `commit` or `discard`; not for several threads."""

    def __init__(
        self,
        archive: Archive,
        origin: Origin,
        announced: Announced | None = None,
        *,
        provenance: Provenance | None = None,
        overwrite: str | None = None,
        keep_syntax: bool = False,
        study: str = "",
        arrived: tuple[float, str] | None = None,
    ) -> None:
        """`announced` is what the sender says of a data set to which the caller made the file's start;
        `overwrite` replaces the setting `OverwriteInstances`, `keep_syntax` puts `IngestTranscoding` aside;
        `study` is the Study Instance UID that the instance must have, "" for any; `arrived` is when it came if
        that is not now, as `clock.now` tells it.

        Raises ReadOnly if nothing may be stored.
        """
        if archive.settings.read_only:
            raise ReadOnly("The archive is read-only")
        self.size = 0
        self.tags: Mapping[int, str] = {}
        """What the header says of itself, its UIDs among it, as far as `commit` has read it."""
        self.changed: tuple[int, ...] = ()
        """Which of the UIDs `commit` had to change."""
        self.prepared: Prepared | None = None
        """What `prepare` has made, until it is committed."""
        self._study = study
        self._arrived = arrived
        self._declared: query_tags.Declared  # as `_scan` has found it
        self._query_values: tuple[Value, ...] = ()
        self._archive = archive
        self._origin = origin
        self._announced = announced
        self._provenance = provenance
        self._overwrite = archive.settings.overwrite_instances if overwrite is None else overwrite
        self._keep_syntax = keep_syntax
        self._pieces: list[bytes] = []
        self._writer: LocalWriter | None = None
        self._md5 = archive.checksums.new() if archive.settings.store_md5_for_attachments else None
        self._limits = ScanLimits(
            maximum_depth=archive.settings.ithil.maximum_sequence_depth,
            maximum_elements=archive.settings.ithil.maximum_elements,
        )
        self._limit = archive.settings.ithil.maximum_instance_size_mb * 1024 * 1024

    def write(self, data: Buffer) -> None:
        """Append bytes. Raises StorageFull, StorageUnavailable."""
        self.write_all((data,))

    def write_all(self, buffers: Sequence[Buffer]) -> None:
        """Append several buffers; they may be reused when this returns."""
        piece = buffers[0] if len(buffers) == 1 and type(buffers[0]) is bytes else b"".join(buffers)
        self._account(len(piece))
        if self._md5 is not None:
            self._md5.update(piece)
        if self._writer is not None:
            self._writer.write(piece)
            return
        self._pieces.append(piece)
        if self.size > SPOOL_SIZE:
            self._writer = self._archive.storage.writer()
            self._writer.write_all(self._pieces)
            self._pieces = []

    def _account(self, length: int) -> None:
        self.size += length
        if self._limit and self.size > self._limit:
            self.discard()
            raise DicomError("The instance is larger than Ithil.MaximumInstanceSizeMB allows")

    def discard(self) -> None:
        """Forget the instance and every byte of it; harmless when called twice or after `commit`."""
        self._pieces = []
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()
        prepared, self.prepared = self.prepared, None
        if prepared is not None and prepared.content is None:
            self._archive.storage.remove(prepared.file.uuid)

    def commit(self) -> StoreResult:
        """Store the instance durably.

        Raises DicomError for bytes that are no acceptable DICOM, MissingIdentifier for a data set without
        its UIDs, DataSetMismatch for one that is not what was announced, StorageFull, StorageUnavailable or
        IndexUnavailable. Nothing is left behind then.
        """
        return self._commit(self._archive.intake.store)

    def accept(self) -> StoreResult:
        """The same without a wait for the index: the instance is safe, and is added with others before anybody
        looks.
        """
        return self._commit(self._archive.intake.accept)

    def prepare(self) -> StoreResult | Prepared:
        """Do all that comes before the commit, for `ingest_batch`; nothing is durable yet.

        A result means that there is nothing left to do. Raises what `commit` raises; nothing is left then.
        """
        prepared = None
        try:
            prepared = self._prepare(durable=False)
            return prepared
        finally:
            if not isinstance(prepared, Prepared):
                self.discard()

    def hand_over(self) -> Prepared:
        """What was prepared; whoever takes it sees to its file from now on."""
        prepared, self.prepared = self.prepared, None
        assert prepared is not None
        return prepared

    def _commit(self, store: Callable[[Prepared], bool]) -> StoreResult:
        try:
            with metrics.timed(Metric.STORE_DICOM):
                done = self.prepared or self._prepare(durable=True)
                if isinstance(done, StoreResult):
                    return done
                return result_of(done, store(self.hand_over()))
        finally:
            self.discard()

    def _prepare(self, *, durable: bool) -> StoreResult | Prepared:
        archive, settings = self._archive, self._archive.settings
        scanned, frames = self._scan()
        if instance_ids(scanned.tags) is None:
            raise MissingIdentifier("The data set lacks its Study, Series or SOP Instance UID")
        announced = self._announced
        if announced is not None and (
            scanned.tags.get(SOP_CLASS_UID) != announced.sop_class_uid
            or scanned.tags.get(SOP_INSTANCE_UID) != announced.sop_instance_uid
        ):
            raise DataSetMismatch("The data set is not of the announced SOP class and instance")
        if self._study and scanned.tags.get(STUDY_INSTANCE_UID) != self._study:
            raise DataSetMismatch("The data set is of another study")
        target = None if self._keep_syntax else transcoding.wanted_at_ingest(settings, scanned)
        if target is not None and self._transcode(target):
            sent = scanned.tags.get(SOP_INSTANCE_UID)
            scanned, frames = self._scan()
            if scanned.tags.get(SOP_INSTANCE_UID) != sent:
                self.changed = (SOP_INSTANCE_UID,)
        ids = instance_ids(scanned.tags)
        assert ids is not None
        # If someone sends again what is here, asking first spares writing each file in vain.
        if archive.intake.were_known and self._overwrite == "Never" and self._has_file(ids):
            return StoreResult(StoreStatus.ALREADY_STORED, *ids)
        head = self._pieces[0] if self._pieces else b""
        file, content = self._store_file(durable=durable)
        new = new_instance(
            scanned,
            lambda: self._all_tags(head, scanned),
            ids,
            archive.tags_of,
            file,
            frames,
            self._origin,
            self._provenance,
            self._overwrite,
            self._arrived or clock.now(),
            settings.stable_age,
        )
        declared = self._declared
        if declared.version is not None:
            new.query_version = declared.version
            new.query_values = self._query_values + query_tag_values.of_scan(scanned, declared.scanned)
        new.is_late = self._arrived is not None
        self.prepared = Prepared(
            new,
            file,
            content,
            needs_sync=not durable and content is None,
            head=head_of(new, file, self._origin, self._provenance),
            catch_up=lambda: query_tags.catch_up(archive, new, file),
        )
        return self.prepared

    def _transcode(self, transfer_syntax: str) -> bool:
        """Go on with the same instance in another transfer syntax; False, and no change, if it cannot be."""
        if self.size > transcoding.MAXIMUM_FILE:
            log.warning("An instance is stored as it came: it is too large to be transcoded")
            return False
        from ithil.pixels.transcode import transcode

        quality = self._archive.settings.dicom_lossy_transcoding_quality
        try:
            content = transcode(self._content(), transfer_syntax, quality=quality)
        except PixelError as error:
            log.warning("An instance is stored as it came, for it cannot be transcoded: %s", error)
            return False
        if self._limit and len(content) > self._limit:
            log.warning("An instance is stored as it came: transcoded it would be too large")
            return False
        self.discard()
        self._announced = None  # the new content is a file with its own meta information
        self.size = 0
        if self._md5 is not None:
            self._md5 = self._archive.checksums.new()
        self.write(content)
        return True

    def _content(self) -> bytes:
        """All bytes that came."""
        if self._writer is None:
            return b"".join(self._pieces)
        with self._writer.view() as view:
            return bytes(view)

    def _has_file(self, ids: tuple[str, str, str, str]) -> bool:
        """Whether the instance is stored already, as far as can be told without waiting, with its file in place."""
        with self._archive.index.read(behind=True) as session:
            uuid = file_of(session, ids[Level.INSTANCE])
        return uuid is not None and self._archive.storage.size(uuid) is not None

    def _scan(self) -> tuple[Scan, bytes | None]:
        """The header of the instance and, for compressed pixel data, where its frames are."""
        declared = self._declared = query_tags.known(self._archive)
        if not self.size:
            raise DicomError("The file is empty")
        if self._writer is not None:
            # All tags at once, since the file cannot be looked at again when the parents turn out to be new.
            with self._writer.view() as view:
                return self._look(view, declared.all)
        if self.size > SMALL and len(self._pieces) > 1 and not declared.parsed:
            # The first piece holds the whole header of nearly every image.
            try:
                found = self._header(self._pieces[0], declared.instance)
                if not found.is_encapsulated and found.end_of_pixel_data == self.size:
                    return found, None
            except NeedMoreData:
                pass
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._look(self._pieces[0], declared.instance)

    def _look(self, buffer: Buffer | mmap, wanted: frozenset[int]) -> tuple[Scan, bytes | None]:
        """Scan a whole instance, past the pixel data too if something follows it."""
        found = self._header(buffer, wanted)
        if self._declared.parsed:
            self._query_values = query_tag_values.of_file(
                buffer, self._declared.parsed, self._limits, self._archive.default_encoding
            )
        if not found.is_encapsulated:
            end, index = found.end_of_pixel_data, None
        else:
            frames = frame_index(buffer, found)
            end, index = frames.end, frames.to_bytes()
        if end is not None and end < self.size:
            parse_span(buffer, end, self.size, implicit=found.implicit, big_endian=found.big_endian)
        return found, index

    def _header(self, buffer: Buffer | mmap, wanted: frozenset[int]) -> Scan:
        """What `wanted` tags say in an instance of which `buffer` is the start or the whole."""
        announced = self._announced
        found = scan(
            buffer,
            wanted,
            limits=self._limits,
            transfer_syntax=announced.transfer_syntax_uid if announced else None,
            dataset_offset=announced.dataset_offset if announced else 0,
            total_size=self.size,
            default_encoding=self._archive.default_encoding,
        )
        self.tags = found.tags
        if found.truncated:
            raise DicomError("The file ends in the middle of an element")
        if not IDENTIFIERS.isdisjoint(found.too_long):
            raise DicomError("The PatientID or a UID is too long")
        return found

    def _all_tags(self, head: bytes, scanned: Scan) -> dict[int, str]:
        """The tags of all levels; `head` is the start of an instance that was scanned in memory."""
        return self._header(head, self._archive.tags_of.all).tags if head else scanned.tags

    def _store_file(self, *, durable: bool) -> tuple[Attachment, Sequence[bytes] | None]:
        """Write the file under a UUID; nothing of it is left if that fails.

        The second value is its content, as stored, if the intake is to write it.
        """
        pieces: Sequence[bytes] = self._pieces
        writer, self._writer = self._writer, None
        kind, stored_size, stored_md5 = compression.NONE, self.size, ""
        if self._archive.settings.storage_compression:
            kind = compression.ZLIB
            packed = compressed(self._archive.storage, self._pieces, writer, self.size)
            writer, pieces, stored_size = packed.writer, packed.pieces, packed.size
            stored_md5 = packed.md5 if self._md5 is not None else ""
        by_intake = writer is None and self._archive.intake.takes(stored_size)
        if by_intake:
            uuid = self._archive.storage.new_uuid()
        else:
            try:
                if writer is None:
                    writer = self._archive.storage.writer()
                    writer.write_all(pieces)
                if self._md5 is not None:
                    self._md5.catch_up()
                writer.finish(durable=durable)
                uuid = writer.uuid
            except BaseException:
                if writer is not None:
                    writer.discard()
                raise
        # Asked for last: large instances are hashed while the disk is waited for.
        md5 = self._md5.hexdigest() if self._md5 is not None else ""
        if kind == compression.NONE:
            stored_md5 = md5
        file = Attachment(DICOM_FILE, uuid, kind, stored_size, stored_md5, self.size, md5)
        return file, pieces if by_intake else None


def result_of(prepared: Prepared, added: bool) -> StoreResult:
    """The answer for an instance that the intake has taken."""
    return StoreResult(StoreStatus.SUCCESS if added else StoreStatus.ALREADY_STORED, *prepared.new.public_ids)


def store(
    archive: Archive,
    content: bytes,
    origin: Origin,
    *,
    provenance: Provenance | None = None,
    overwrite: str | None = None,
    keep_syntax: bool = False,
) -> StoreResult:
    """Store an instance that is in memory as a whole; see `Incoming` for what it takes and raises."""
    incoming = Incoming(archive, origin, provenance=provenance, overwrite=overwrite, keep_syntax=keep_syntax)
    try:
        incoming.write(content)
        return incoming.accept()
    finally:
        incoming.discard()
