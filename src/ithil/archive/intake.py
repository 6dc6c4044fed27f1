"""From an instance that is whole and scanned to one that is in the index, by way of the journal.

With SQLite, an instance is safe as soon as a record of it is in the journal of its process: for a small one, whose
file is written and not waited for, the record has its bytes; for a larger one it names the file, which is on the disk
already. That takes one short wait for the disk. Rows can then be added for several instances at a time, in
transactions that wait for nothing: either by the thread that brings an instance (`store`), or a moment later
(`accept`), by a thread of the intake or by the first that wants to see what was accepted, since every session of this
process waits for that (`Database.backlog`).

A sweep (`empty`) makes rows and files of the last second durable together, with one call each, and only then is the
journal written anew. The transactions write down how far in the journal they are, so whoever opens the archive
after a crash, or finds the journal of a process that died, stores the rest (`recovery`), and nothing twice: what was
deleted since does not come back.

PostgreSQL makes each commit durable itself, and other hosts could not see a journal: there is none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from ithil.archive.claims import Claims
from ithil.archive.errors import ArchiveError, CommitUncertain, FileCorrupted, FileMissing, IndexBusy
from ithil.archive.group_commit import GroupCommit
from ithil.archive.index import journals
from ithil.archive.index.database import Database
from ithil.archive.index.ingest import REPAIR, Batch, DeclarationsChanged, NewInstance, file_of
from ithil.archive.index.journals import Position
from ithil.archive.index.statement import Session
from ithil.archive.journal_records import read_head
from ithil.archive.model import Attachment
from ithil.archive.set_aside import plain_pieces, set_aside
from ithil.archive.storage.journal import Journal, Place
from ithil.archive.storage.local import LocalStorage
from ithil.archive.storage.segments import Record, Segment, records
from ithil.dicom.level import Level

log = logging.getLogger(__name__)

LARGEST = 64 * 1024
"""Bytes of the largest instance for which writing twice is cheaper than waiting for its file."""

LINGER = 0.01
"""Seconds that accepted instances wait for others to share their transaction, if nobody wants to see them."""

RETRY_SECONDS = 1.0
"""Between two tries of a transaction that failed."""

MOST_WAITING = 256
"""Instances that are accepted and not in the index, above which who brings one more has to help."""

_MOST_DECLARATIONS = 10  # of query tags, that one transaction is caught up by


@dataclass(slots=True, eq=False)
class Prepared:
    """An instance that only lacks its place in the index, and its file if it has `content`."""

    new: NewInstance
    file: Attachment
    content: Sequence[bytes] | None
    """The bytes of its file, as stored, if that is not written yet and goes into the journal as well."""
    needs_sync: bool
    """Whether its file is written and has to be made durable first."""
    head: bytes
    """Of its record in the journal."""
    catch_up: Callable[[], None]
    """Look for the values of query tags that were declared since it was scanned; its file is there then."""
    place: Place | None = None
    was_tried: bool = False
    """Whether a transaction has had it, in vain if there is another."""

    @property
    def public_id(self) -> str:
        """Of the instance."""
        return self.new.public_ids[Level.INSTANCE]


class Intake:
    """The intake of one process. Safe to be used by many threads."""

    def __init__(
        self, index: Database, storage: LocalStorage, journal: Journal | None, *, defers: bool
    ) -> None:
        """Without `defers`, others must see what this process acknowledges, so `accept` is the same as `store`."""
        self.were_known = False
        """Whether the last instance was stored already, as a guess at the next; a wrong guess costs only time."""
        self.lost_writes = False
        """Whether the disk has once failed to write files that were not waited for."""
        self.defers = defers and journal is not None
        """Whether rows are added after the acknowledgement."""
        self.journal = journal
        self._index = index
        self._storage = storage
        self._commits: GroupCommit[Prepared, bool] = GroupCommit(self._commit)
        index.backlog = self._commits
        self._claims = Claims()
        self._lock = threading.Lock()
        self._emptying = threading.Lock()
        self._thread: threading.Thread | None = None
        self._posted = threading.Event()
        self._closing = threading.Event()

    def takes(self, size: int) -> bool:
        """Whether a file of that size (bytes, as stored) goes through the journal."""
        return self.journal is not None and 0 < size <= LARGEST

    def waits_for(self, size: int) -> bool:
        """Whether who stores a file of that size has to wait for the disk to have the file itself."""
        return self._storage.durable and not self.takes(size)

    def prepare(self) -> None:
        """Do what the first instance would wait for. Raises StorageFull, StorageUnavailable."""
        if self.journal is not None:
            self.journal.prepare()

    # -- one instance after the other ------------------------------------------------------------------------

    def store(self, prepared: Prepared) -> bool:
        """Add an instance to the index, durably; False if it is there already. See `store_all`."""
        (outcome,) = self.store_all([prepared])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def store_all(self, prepared: Sequence[Prepared]) -> list[bool | BaseException]:
        """Add instances to the index, durably. For each True, False if it is there already, or what prevents it.

        The files of those that are not added are gone, unless a row may name them (CommitUncertain).
        """
        failures = self._note(prepared)
        good = [each for each, failure in zip(prepared, failures, strict=True) if failure is None]
        results = iter(self._commits.submit_all(good))
        return [
            self._settled(each, next(results) if failure is None else failure)
            for each, failure in zip(prepared, failures, strict=True)
        ]

    def accept(self, prepared: Prepared) -> bool:
        """Make an instance safe; False if it is there already. See `accept_all`."""
        (outcome,) = self.accept_all([prepared])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def accept_all(self, prepared: Sequence[Prepared]) -> list[bool | BaseException]:
        """The same as `store_all`, without its wait where that can be: what is new is safe, and in the index before
        the next session of this process begins.
        """
        outcomes = self.accept_new(prepared)
        others = [each for each, outcome in zip(prepared, outcomes, strict=True) if outcome is None]
        stored = iter(self.store_all(others))
        return [next(stored) if outcome is None else outcome for outcome in outcomes]

    def accept_new(self, prepared: Sequence[Prepared]) -> list[bool | BaseException | None]:
        """Make safe what needs no transaction for that. None for the others, which are as they were."""
        if not self.defers or self._commits.failure is not None:
            return [None] * len(prepared)
        claimed: dict[str, Prepared] = {}
        outcomes: dict[Prepared, bool | BaseException] = {}
        # In one order everywhere, or two who bring the same could wait for each other.
        for each in sorted(prepared, key=lambda each: each.public_id):
            try:
                if each.public_id not in claimed and self._claim(each):
                    claimed[each.public_id] = each
            except Exception as error:
                outcomes[each] = self._settled(each, error)
                self._claims.let_go(each.public_id)
        new = [each for each in prepared if claimed.get(each.public_id) is each]
        for each, failure in zip(new, self._note(new), strict=True):
            if failure is None:
                self._commits.post(each, partial(self._told, each))
                self._claims.keep(each.public_id)
                outcomes[each] = True
            else:
                outcomes[each] = self._settled(each, failure)
                self._claims.let_go(each.public_id)
        if new:
            self._call_thread()
        return [outcomes.get(each) for each in prepared]

    def _claim(self, prepared: Prepared) -> bool:
        """Whether an instance is new, and whoever brings it next will see that another was faster.

        What depends on the instance that is there already is left to a transaction.
        """
        mode = prepared.new.overwrite
        if mode == "Always":
            return True
        if mode != "Never" or not self._claims.take(prepared.public_id):
            return False
        with self._index.read(behind=True) as session:
            if file_of(session, prepared.public_id) is None:
                return True
        self._claims.let_go(prepared.public_id)
        return False

    def _note(self, prepared: Sequence[Prepared]) -> list[Exception | None]:
        """Write small files, and have records of instances on the disk; for each None, or why there is none.

        Only what is noted may be committed: whoever sees a row can rely on it.
        """
        if self.journal is None:
            return [None] * len(prepared)
        failures: list[Exception | None] = []
        for each in prepared:
            try:
                content = each.content
                if content is None:
                    each.place = self.journal.append(each.head)
                else:
                    self._make_file(each, content)
                    each.place = self.journal.append(each.head, content, each.file.uuid)
                failures.append(None)
            except Exception as error:
                failures.append(error)
        last = {each.place.segment: each.place for each in prepared if each.place is not None}
        for segment, place in last.items():
            try:
                self.journal.sync(place)
            except ArchiveError as error:
                for number, each in enumerate(prepared):
                    if each.place is not None and each.place.segment is segment:
                        failures[number] = error
        return failures

    # -- transactions ----------------------------------------------------------------------------------------

    def _commit(self, batch: Sequence[Prepared]) -> list[bool]:
        for each in batch:
            each.new.is_late |= each.was_tried  # others may have come meanwhile that were not held up
            each.was_tried = True
        for _ in range(_MOST_DECLARATIONS):
            try:
                added, places = self._index.write(
                    lambda session: self._add_all(session, batch), durable=False
                )
            except DeclarationsChanged:
                for each in batch:
                    each.catch_up()
            else:
                for place in places:  # now, since the next transaction says which are not
                    self._settle(place)
                return added
        raise IndexBusy("Query tags are declared all the time")

    def _make_file(self, prepared: Prepared, content: Sequence[bytes]) -> None:
        writer = self._storage.writer(prepared.file.uuid)
        try:
            writer.write_all(content)
            writer.finish(durable=False)
        except BaseException:
            writer.discard()
            raise
        prepared.content = None

    def _add_all(self, session: Session, batch: Sequence[Prepared]) -> tuple[list[bool], list[Place]]:
        """Add instances; for each whether it was added, and the places that the transaction settles.

        It settles what is there already as well, or that would come back when it is deleted, but not if the file
        that is there is lost: that of this one may be needed.
        """
        rows = Batch(session)
        added = rows.add_all([each.new for each in batch])
        rows.finish()
        places = [
            each.place
            for each, was_added in zip(batch, added, strict=True)
            if each.place is not None and (was_added or self._is_whole(session, each))
        ]
        if self.journal is not None:
            for segment, count, left in self.journal.left_by(places):
                journals.write(session, Position(segment.name, segment.generation, count, left))
        return added, places

    def _is_whole(self, session: Session, prepared: Prepared) -> bool:
        """Whether the instance is in the index with a file that exists."""
        uuid = file_of(session, prepared.public_id)
        return uuid is not None and self._storage.size(uuid) is not None

    def _settled(self, prepared: Prepared, outcome: bool | BaseException) -> bool | BaseException:
        """What became of an instance for whoever waits for it, when its transaction is over."""
        try:
            if outcome is False:
                outcome = self._reconcile(prepared)
            elif isinstance(outcome, BaseException) and not isinstance(outcome, CommitUncertain):
                self._remove_file(prepared)
        except Exception as error:
            outcome = error
        self._settle(prepared.place, refused=isinstance(outcome, BaseException))
        self.were_known = outcome is False
        return outcome

    def _told(self, prepared: Prepared, outcome: bool | BaseException) -> None:
        """The same for one that nobody waits for. Raises ArchiveError if it is to be tried again."""
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            self.were_known = not outcome and not self._reconcile(prepared)
        except ArchiveError:
            raise
        except Exception as error:
            self._set_aside(prepared, error)
        self._claims.let_go(prepared.public_id)
        self._settle(prepared.place)

    def _settle(self, place: Place | None, *, refused: bool = False) -> None:
        if place is not None and self.journal is not None:
            self.journal.settle(place, refused=refused)

    def _reconcile(self, prepared: Prepared) -> bool:
        """An instance is there already: let its new file go, or take the place of the old one if that is lost."""
        with self._index.read() as session:
            is_whole = self._is_whole(session, prepared)
        if is_whole:
            self._remove_file(prepared)
            return False
        self._storage.sync_file(prepared.file.uuid)
        (added,) = self._commit([replace(prepared, new=replace(prepared.new, overwrite=REPAIR))])
        self._index.sync()
        if not added:
            self._remove_file(prepared)
        return added

    def _remove_file(self, prepared: Prepared) -> None:
        if prepared.content is None:
            self._storage.remove(prepared.file.uuid)

    def _set_aside(self, prepared: Prepared, error: Exception) -> None:
        """Keep the bytes of an instance that is acknowledged and that the index does not take."""
        assert self.journal is not None
        uuid = prepared.file.uuid
        pieces = plain_pieces(self._storage, uuid, prepared.file.compression, b"")
        try:
            set_aside(self.journal.folder, uuid, pieces, error)
        except (FileMissing, FileCorrupted):
            log.error(
                "The stored file of an acknowledged instance that cannot be indexed is damaged: %s", uuid
            )
            return
        self._remove_file(prepared)

    # -- the thread of the intake ----------------------------------------------------------------------------

    def _call_thread(self) -> None:
        """Have what was posted added soon, and help if that is much."""
        if self._thread is None and not self._start_thread():
            self._commits.drain()
            return
        if not self._posted.is_set():
            self._posted.set()
        if self._commits.waiting > MOST_WAITING:
            self._commits.drain()

    def _start_thread(self) -> bool:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="intake", daemon=True)
                try:
                    thread.start()
                except Exception:  # the system gives no more threads, or no memory for them
                    return False
                self._thread = thread
        return True

    def _run(self) -> None:
        failing = False
        while not self._closing.is_set():
            self._posted.wait(RETRY_SECONDS if failing else None)
            self._posted.clear()
            self._closing.wait(RETRY_SECONDS if failing else LINGER)
            try:
                self._commits.drain(again=failing)
                failure: BaseException | None = self._commits.failure
            except Exception as error:  # whatever it is, what is acknowledged has to be indexed
                failure = error
            if failure is not None and not failing:
                reason = failure if isinstance(failure, ArchiveError) else type(failure).__name__
                log.error("What was acknowledged cannot be indexed yet and will be tried again: %s", reason)
            failing = failure is not None

    def close(self) -> None:
        """Bring everything to its place. What cannot be is stored by whoever opens the archive next."""
        self._closing.set()
        self._posted.set()
        if self._thread is not None:
            self._thread.join()
        if self.journal is None:
            return
        try:
            self._commits.drain(again=True)
            self.empty()
            self.empty()  # which goes on after what was begun before
        except ArchiveError as error:
            log.error("What was accepted last is indexed at the next start: %s", error)
        with suppress(ArchiveError):  # rows of segments that are no more do no harm
            self.journal.close()
            self._forget_segments()

    # -- the end of the journal ------------------------------------------------------------------------------

    def empty(self) -> int:
        """Make durable what was stored since the last time, and begin the journal anew; gives how many files.

        Raises StorageFull, StorageUnavailable, IndexUnavailable; the journal stays as it is then.
        """
        if self.journal is None:
            return 0
        emptied = 0
        with self._emptying:
            for segment in self.journal.turn():
                self._commits.drain(again=True)
                if not segment.unsettled:
                    emptied += len(segment.files)
                    self._make_durable(segment)
                    self.journal.free(segment)
            self._forget_segments()
        return emptied

    def _make_durable(self, segment: Segment) -> None:
        # Of records that were refused, no transaction has told.
        done = Position(segment.name, segment.generation, segment.count)
        self._index.write(lambda session: journals.write(session, done))
        if segment.distrusted:
            # After a failure the kernel takes the pages for written and would not write them again.
            for record in records(segment.fd):
                restore(self._index, self._storage, record)
            return
        self.sync_files(segment.files)

    def sync_files(self, uuids: Sequence[str]) -> None:
        """Make small files durable. Raises StorageUnavailable: then none that was written lately may be."""
        if not uuids or not self._storage.durable:
            return
        try:
            self._storage.sync(uuids)
        except ArchiveError:
            assert self.journal is not None
            self.lost_writes = True
            self.journal.distrust()
            raise

    def _forget_segments(self) -> None:
        assert self.journal is not None
        gone = self.journal.gone()
        if gone:
            self._index.write(lambda session: journals.forget(session, gone), durable=False)
            self.journal.forget(gone)


def restore(index: Database, storage: LocalStorage, record: Record) -> bool:
    """Write the file of an instance again, from its record, if the instance still has that file; whether it has.

    Raises IndexUnavailable, StorageFull, StorageUnavailable.
    """
    noted = read_head(record.head)
    with index.read() as session:
        named = file_of(session, noted.instance) == noted.uuid
    if named and record.content:
        storage.restore(noted.uuid, record.content)
    return named
