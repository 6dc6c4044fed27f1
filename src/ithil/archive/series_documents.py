"""The metadata of a series as one document, built once and served as it lies.

A document is the DICOM JSON (PS3.18 F) of all instances of a series in order of arrival, compressed in pieces
of some megabytes, in the index, where all processes find it. Its version is computed from what the series
holds, each time it is asked for; a document of another version is no document any more. So nothing has to be
invalidated, and a stale one is never served.

Documents are built when a series has become stable, in the background (`keep_up`), and else by whoever asks
first; those who ask at the same time wait for him. The links in a document begin with the address of the
client that is expected; for any other they are exchanged, and the result is kept in memory for those who come
the same way.

To compress and store a document takes a third of the time of all. A document that was built for an answer is
compressed, so far as the answer does not need that, and stored by the keeper of the archive
(`document_keeper`). Till then others of the same process are given what is there, those of other processes
build the document too.

An instance whose file cannot be read is left out and counted, be it all that the series has. Such a document
is not kept, so that the next request looks again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakSet, WeakValueDictionary

import orjson

from ithil import error_codes as codes
from ithil.archive import clock, headers, link_roots
from ithil.archive.archive import Archive
from ithil.archive.bulk_data import bulk_data_uris, instance_path
from ithil.archive.gzip_pieces import AnyPiece, FreshPiece, compress, inflate
from ithil.archive.headers import UNREADABLE, start_of_file
from ithil.archive.index import changelog, sweeps
from ithil.archive.index import series_documents as rows
from ithil.archive.index.lock import lock
from ithil.archive.index.series_documents import InstanceRow, SeriesRow
from ithil.archive.index.statement import Session
from ithil.archive.shared_cache import SharedCache
from ithil.dicom.level import Level
from ithil.dicom.series_json import SeriesJson
from ithil.error_codes import CodedError

log = logging.getLogger(__name__)

FORMAT = 2
"""To be counted up when the JSON of the same file becomes another one."""

PIECE = 4 * 1024 * 1024
"""Bytes of JSON that make a piece."""

MOST_IN_BACKGROUND = 10_000
"""Instances of the largest series whose document is built before anybody asks for it."""

KEPT_IN_MEMORY = 16 * 1024 * 1024
"""Bytes of documents that a process keeps which cannot write them to the index."""

REROOTED = 32 * 1024 * 1024
"""Bytes of documents with other links than those of the index that a process keeps."""

LARGEST_FRESH = 32 * 1024 * 1024
"""Bytes of text that a process holds because it has not been compressed yet; beyond that it is at once."""

MOST_WAITING = LARGEST_FRESH + 8 * 1024 * 1024
"""Bytes of documents that wait to be stored, compressed or not; beyond that they are not kept."""

_FAST = 1  # level of compression of what is used once
_LEASE_SECONDS = 30.0
_CHANGES_AT_ONCE = 50
_TRIES = 3

# Those of the process: a version is made of UUIDs of files, which are unique among all archives.
_being_built = SharedCache()
_rerooted = SharedCache()
_unsaved: WeakValueDictionary[str, SeriesDocument] = WeakValueDictionary()  # what is served, by version
_fresh: WeakSet[FreshPiece] = WeakSet()  # the pieces of these
_making_fresh = threading.Lock()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SeriesDocument:
    """A document: its pieces, put together with commas, are the objects of all instances.

    `root` is what the links in it begin with; `unreadable` is how many instances are missing, and `failure`
    what was raised for the last of them: FileMissing, FileCorrupted or DicomError.
    """

    version: str
    root: str
    pieces: tuple[AnyPiece, ...]
    unreadable: int = 0
    failure: Exception | None = None

    @property
    def held(self) -> int:
        """Bytes that it takes in memory."""
        return sum(piece.held for piece in self.pieces)

    @property
    def compressed_size(self) -> int:
        """Bytes of what is compressed of it; for the rest there is `LARGEST_FRESH`."""
        return sum(piece.compressed_size for piece in self.pieces)

    @property
    def is_compressed(self) -> bool:
        """Whether no piece of it has to be compressed yet."""
        return not any(isinstance(piece, FreshPiece) and piece.text is not None for piece in self.pieces)


class _Changed(Exception):
    """An instance went, or got another file, while the document was built."""


def series_of(archive: Archive, level: Level, public_id: str) -> list[SeriesRow]:
    """The series with that public id, or those of the study; [] if it is unknown."""
    with archive.index.read() as session:
        if level == Level.STUDY:
            return rows.series_of_study(session, public_id)
        found = rows.series(session, public_id)
    return [] if found is None else [found]


def version_of(archive: Archive, series: SeriesRow) -> str:
    """The version that the document of a series has if it is true."""
    with archive.index.read() as session:
        return _version(archive, rows.file_uuids(session, series.id))


def get(archive: Archive, series: SeriesRow, root: str) -> SeriesDocument | None:
    """The document of a series as it is now, with links that begin with `root`; None if the series is gone.

    If not one instance can be read it has no pieces. One that was not there is built now and stored later, and
    that this fails is only logged. Raises StorageUnavailable, IndexUnavailable.
    """
    link_roots.expected.seen(root)
    with archive.index.read() as session:
        version = _version(archive, rows.file_uuids(session, series.id))
        found = rows.read(session, series.id, version)
    if found:
        document = SeriesDocument(version, found[0].root, tuple(row.piece for row in found))
        try:
            return document if document.root == root else _kept_with_root(document, root)
        except ValueError:
            log.warning("A document of the index is damaged and will be built anew")
    built = _shared(archive, series, version, root, for_answer=True)
    if built is None or built.unreadable or not archive.settings.dicom_web.enable_metadata_cache:
        return None if built is None else with_root(built, root)
    return built if built.root == root else _kept_with_root(built, root)


def keep(archive: Archive, series: SeriesRow, root: str) -> None:
    """Build and store the document of a series unless it is there. Raises what `get` raises, and StorageFull."""
    with archive.index.read() as session:
        version = _version(archive, rows.file_uuids(session, series.id))
        if rows.exists(session, series.id, version):
            return
    document = _shared(archive, series, version, root, for_answer=False)
    if document is None or document.unreadable or not is_kept(archive):
        return
    with archive.index.read() as session:
        # Built for an answer, it may have been stored meanwhile.
        is_there = rows.exists(session, series.id, document.version)
    if not is_there:
        _put(archive, series, document)


def with_root(document: SeriesDocument, root: str) -> SeriesDocument:
    """The document with links that begin with `root`. Raises ValueError if a piece of it is damaged."""
    if document.root == root:
        return document
    old, new = _link_start(document.root), _link_start(root)
    pieces = tuple(compress(inflate(piece).replace(old, new), _FAST) for piece in document.pieces)
    return replace(document, root=root, pieces=pieces)


def _kept_with_root(document: SeriesDocument, root: str) -> SeriesDocument:
    """The same as `with_root`, done once for all who come by that address, while there is room for it."""

    def make() -> tuple[SeriesDocument, int]:
        made = with_root(document, root)
        return made, made.held

    return _rerooted.get((document.version, root), REROOTED, make)


def _link_start(root: str) -> bytes:
    """How links look in the text. In values of the data set each quotation mark has a backslash before it."""
    return b'"BulkDataURI":"' + orjson.dumps(root)[1:-1] + b"/studies/"


def _version(archive: Archive, uuids: Iterable[str]) -> str:
    settings = archive.settings
    made_by = (FORMAT, archive.default_encoding, settings.dicom_web.other_binary_mode, settings.dictionary)
    digest = hashlib.md5(repr(made_by).encode(), usedforsecurity=False)
    for uuid in uuids:
        digest.update(uuid.encode())
    return digest.hexdigest()


# -- building ------------------------------------------------------------------------------------------------


def is_kept(archive: Archive) -> bool:
    """Whether documents are kept in the index."""
    return archive.settings.dicom_web.enable_metadata_cache and not archive.settings.read_only


def _shared(
    archive: Archive, series: SeriesRow, version: str, root: str, *, for_answer: bool
) -> SeriesDocument | None:
    """The document that is being built for `version`, or a new one, maybe with the root of somebody else.

    If it is new it is stored by the keeper for an answer, else by the caller.
    """

    def make() -> tuple[SeriesDocument | None, int]:
        document = _unsaved.get(version)
        if document is None:
            document = _build(archive, series, root, for_answer and is_kept(archive))
            if document is not None and is_kept(archive):
                if not document.unreadable:
                    _unsaved[document.version] = document
                if for_answer:
                    _hand_over(archive, series, document)
        if document is None or document.unreadable:
            return document, KEPT_IN_MEMORY  # too large a share to be kept
        return document, document.held

    read_only = archive.settings.read_only and archive.settings.dicom_web.enable_metadata_cache
    return _being_built.get(version, KEPT_IN_MEMORY, make, keep=read_only)


def _hand_over(archive: Archive, series: SeriesRow, document: SeriesDocument) -> None:
    """Have a document stored by the keeper; one that is not kept is compressed, so as not to hold its text."""
    store = partial(_put_later, archive, series, document)
    if document.unreadable or not archive.keeper.take(store, document.held, MOST_WAITING):
        _unsaved.pop(document.version, None)
        for piece in document.pieces:
            piece.compressed()


def _put_later(archive: Archive, series: SeriesRow, document: SeriesDocument) -> None:
    """The same as `_put`, unless somebody who needed it stored did that meanwhile."""
    if _unsaved.get(document.version) is document:
        _put(archive, series, document)


def _put(archive: Archive, series: SeriesRow, document: SeriesDocument) -> None:
    seconds, _ = clock.now()
    pieces = [piece.compressed() for piece in document.pieces]

    def work(session: Session) -> None:
        key = lock(session, Level.SERIES, series.public_id)
        if _version(archive, rows.file_uuids(session, key)) == document.version:  # else it is out of date
            rows.put(session, key, document.version, document.root, pieces, seconds)

    try:
        # What is lost in a crash is built again, so nobody waits for the disk.
        archive.index.write(work, durable=False)
    except CodedError as error:
        if error.code != codes.UNKNOWN_RESOURCE:
            raise
        # The series has been deleted in this moment.
    finally:
        _unsaved.pop(document.version, None)


def _build(archive: Archive, series: SeriesRow, root: str, fresh: bool) -> SeriesDocument | None:
    for _ in range(_TRIES):
        try:
            return _Builder(archive, series, root, fresh=fresh).run()
        except _Changed:
            pass
    return _Builder(archive, series, root, fresh=fresh, patient=False).run()


def _fresh_piece(text: bytes) -> AnyPiece:
    """The text as a piece, compressed if there is no room for more text."""
    with _making_fresh:
        if sum(piece.held for piece in _fresh if piece.text is not None) + len(text) <= LARGEST_FRESH:
            made = FreshPiece(text)
            _fresh.add(made)
            return made
    return compress(text)


class _Builder:
    """Builds the document of one series once; with `fresh`, its pieces need not be compressed."""

    def __init__(
        self, archive: Archive, series: SeriesRow, root: str, *, fresh: bool, patient: bool = True
    ) -> None:
        self._archive = archive
        self._series = series
        self._root = root
        self._patient = patient
        self._mode = archive.settings.dicom_web.other_binary_mode
        self._writer = SeriesJson(
            headers.limits(archive), archive.default_encoding, arrays=self._mode == "ArrayOfValues"
        )
        self._piece_of = _fresh_piece if fresh else compress
        self._pieces: list[AnyPiece] = []
        self._texts: list[bytes] = []
        self._size = 0

    def run(self) -> SeriesDocument | None:
        """The document; None if the series is gone. Raises _Changed if an instance goes meanwhile."""
        uuids: list[str] = []
        failure: Exception | None = None
        unreadable = after = 0
        while page := self._page(after):
            for instance in page:
                uuids.append(instance.file.uuid)
                try:
                    self._add(instance)
                except UNREADABLE as error:
                    if self._patient and not self._is_there(instance):
                        raise _Changed from None
                    unreadable += 1
                    failure = error
            after = page[-1].id
        self._finish_piece()
        if failure is not None:
            log.warning("%d of %d instances of a series cannot be read: %s", unreadable, len(uuids), failure)
        if not uuids:
            return None
        version = _version(self._archive, uuids)
        return SeriesDocument(version, self._root, tuple(self._pieces), unreadable, failure)

    def _page(self, after: int) -> list[InstanceRow]:
        with self._archive.index.read() as session:
            return rows.instances(session, self._series.id, after)

    def _is_there(self, instance: InstanceRow) -> bool:
        with self._archive.index.read() as session:
            return rows.has_file(session, instance.id, instance.file.uuid)

    def _add(self, instance: InstanceRow) -> None:
        series = self._series
        path = instance_path(series.study_uid, series.series_uid, instance.sop_instance_uid)
        content = start_of_file(self._archive, instance.file, instance.pixel_data_offset)
        uris = bulk_data_uris(self._root + path, self._mode)
        text = self._writer.write(content, instance.pixel_data_offset, uris)
        self._texts.append(text)
        self._size += len(text)
        if self._size >= PIECE:
            self._finish_piece()

    def _finish_piece(self) -> None:
        if self._texts:
            self._pieces.append(self._piece_of(b",".join(self._texts)))
            self._texts, self._size = [], 0


# -- in the background ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Watch:
    """How far a process has read the change log for `keep_up`; None: it has not begun."""

    seq: int | None = None


def keep_up(
    archive: Archive, watch: Watch, owner: str, seconds: float, stopping: Callable[[], bool] = lambda: False
) -> bool:
    """Build the documents of series that have become stable, for about that many seconds.

    Of all processes one does it at a time. True if there is more to do at once. What is missed, as when that
    process ends, is built when somebody asks for it. Raises IndexUnavailable.
    """
    if not archive.settings.dicom_web.enable or not is_kept(archive):
        return False
    with archive.index.read() as session:
        if watch.seq is None:
            watch.seq = changelog.last_seq(session)
            return False
        page = changelog.page(session, watch.seq, _CHANGES_AT_ONCE, kinds=["StableSeries"])
    if not page.changes:
        watch.seq = max(watch.seq, page.last)
        return False
    now, _ = clock.now()
    if not archive.index.write(
        lambda session: sweeps.take_lease(session, "series-documents", owner, now, _LEASE_SECONDS)
    ):
        watch.seq = page.last
        return False
    end = time.monotonic() + seconds
    for change in page.changes:
        _keep_stable(archive, change.id)
        watch.seq = change.seq
        if time.monotonic() > end or stopping():
            return True
    return not page.done


def keep_expected(archive: Archive, series: SeriesRow) -> None:
    """Build the document of a series, unless it is there, for whichever client comes. Raises what `get` raises."""
    root = link_roots.configured(archive) or link_roots.expected.root
    if not root:
        with archive.index.read() as session:
            root = rows.newest_root(session) or link_roots.own(archive)
    keep(archive, series, root)


def _keep_stable(archive: Archive, public_id: str) -> None:
    with archive.index.read() as session:
        series = rows.series(session, public_id)
        if series is None or len(rows.file_uuids(session, series.id)) > MOST_IN_BACKGROUND:
            return
    keep_expected(archive, series)  # whoever asks for it will be told what cannot be read
