"""The index in one SQLite file: the default, for one host.

Write-ahead logging lets readers and the one writer work at the same time, also in several processes.

SQLite could make each commit durable itself (`synchronous=FULL`), but then the next transaction waits while the
disk writes. Here a commit only appends to the log, and `sync` has the log written by a call of its own, which
all who wait at that moment share. What is acknowledged after `sync` is as durable, and the transactions of other
threads go on meanwhile. Whatever order the log reaches the disk in, SQLite takes from it after a crash only
transactions that are whole, as with `synchronous=NORMAL`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ithil.archive.errors import CommitUncertain, IndexUnavailable, StorageFull
from ithil.archive.group_commit import GroupCommit
from ithil.archive.index.database import Database

BUSY_SECONDS = 20.0  # how long a transaction waits for that of another process
_fdatasync = getattr(os, "fdatasync", os.fsync)
_TURN_PAUSE = 0.0003  # seconds between two tries to take the turn
# How long the log gets, in pages of 4 KiB, before it is moved into the database. Each instance touches pages that are
# spread over the whole index; the longer the log, the more instances share one. Acknowledgements wait for the same
# disk: with 200,000 instances a log four times as long halved the time that the disk is busy for one more.
CHECKPOINT_PAGES = 16000
LOG_SIZE = 20 * 1024 * 1024  # bytes that the log's file has from the beginning
CACHE_KIB = (
    2048  # page cache of a connection; every thread has one, and the pages are in the system's cache as well
)


class SqliteDatabase(Database):
    """The SQLite file at `path`; `durable` says whether commits wait for the disk."""

    dialect = "sqlite"
    begin = "BEGIN IMMEDIATE"

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        super().__init__()
        self.path = path
        self._durable = durable
        self._watch: sqlite3.Connection | None = None
        self._syncs: GroupCommit[None, None] = GroupCommit(self._sync_log)
        self._log: tuple[int, int] | None = None  # file descriptor and inode of the log
        self._log_is_long = False
        self._log_is_broken = False
        self._queue_fd = -1  # the file on which writing processes wait for each other

    def connect(self) -> sqlite3.Connection:
        if not self.path.exists():
            # Patient data, so not for everybody; SQLite gives its other files the rights of this one.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640))
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return connection

    def sync(self) -> None:
        """Have the log written to the disk, together with all others who ask for that now."""
        if self._durable:
            self._syncs.submit(None)

    def _sync_log(self, waiting: Sequence[None]) -> list[None]:
        try:
            if self._log_is_broken:
                self._rescue_log()
            name = f"{self.path}-wal"
            inode = os.stat(name).st_ino
            if self._log is None or self._log[1] != inode:
                # The log is made anew after the last connection to it was closed.
                self._close_log()
                self._log = (os.open(name, os.O_RDWR | os.O_CLOEXEC), inode)
            _fdatasync(self._log[0])
        except FileNotFoundError:
            pass  # no log: SQLite has moved all of it into the database, durably
        except (OSError, sqlite3.Error) as error:
            self._log_is_broken = True
            raise CommitUncertain("The log of the index could not be written to the disk") from error
        return [None] * len(waiting)

    def _rescue_log(self) -> None:
        """Have SQLite move the log into the database and begin a new one.

        After a failed write to the disk the kernel takes the pages for written, and the next `fdatasync`
        succeeds without them. What follows in the log would be lost with that hole, so nothing is
        acknowledged until all of it is somewhere else. Raises OSError as long as that does not succeed.
        """
        connection = self.connect()
        try:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        if busy:
            raise OSError(errno.EBUSY, "The log is in use")
        self._log_is_broken = False
        self._log_is_long = False

    def _close_log(self) -> None:
        if self._log is not None:
            os.close(self._log[0])
            self._log = None

    def version(self) -> object | None:
        """SQLite's `data_version`, asked on a connection that never writes."""
        if self.backlog.waiting:
            return None  # what is about to be added may change any answer
        watch = self._watch
        if watch is None:
            watch = self._watch = self._guarded(self.connect)
        try:
            row: tuple[int] = watch.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return row[0]

    def close(self) -> None:
        super().close()
        if self._watch is not None:
            self._discard(self._watch)
            self._watch = None
        self._close_log()
        if self._queue_fd >= 0:
            os.close(self._queue_fd)
            self._queue_fd = -1

    def _translate(self, error: Exception) -> Exception | None:
        if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.ProgrammingError):
            return None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return StorageFull("The disk of the index is full")
        if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH):
            return None  # a mistake of ours, to be seen as such
        return IndexUnavailable(f"The index cannot be used ({getattr(error, 'sqlite_errorname', 'error')})")

    def _is_lost(self, error: BaseException) -> bool:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT)

    def _is_clash(self, error: Exception) -> bool:
        return False  # the busy timeout has waited already

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # SQLite itself makes a second writer sleep and try again, for many milliseconds each time. The lock
        # of a file is free at once, and ends with the process that holds it, however that dies.
        try:
            if self._queue_fd < 0:
                self._queue_fd = os.open(f"{self.path}.writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._wait_for_turn()
        except OSError as error:
            raise IndexUnavailable("The index cannot be locked for writing") from error
        try:
            yield
        finally:
            fcntl.flock(self._queue_fd, fcntl.LOCK_UN)

    def _wait_for_turn(self) -> None:
        """Take the lock; raises TimeoutError if another process keeps it for `BUSY_SECONDS`."""
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                fcntl.flock(self._queue_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(errno.ETIMEDOUT, "Another process does not end its turn") from None
                time.sleep(_TURN_PAUSE)

    def prepare_to_write(self) -> None:
        self.write(lambda session: None)

    def _began(self) -> None:
        if self._durable and not self._log_is_long:
            self._log_is_long = self._lengthen_log()

    def _lengthen_log(self) -> bool:
        """Give the log's file its full size; False while there is none. Only inside a transaction that
        writes, when nobody else can append to the log.

        To write into a file that is long enough takes the disk half as long as to write at its end, for which
        the file system has to commit its own journal. To SQLite, zeros after the last transaction are nothing,
        and a log that is all zeros is empty.
        """
        try:
            fd = os.open(f"{self.path}-wal", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # it is only about speed
        try:
            size = os.fstat(fd).st_size
            while size < LOG_SIZE:
                size += os.pwrite(fd, bytes(min(1 << 20, LOG_SIZE - size)), size)
        except OSError:
            pass  # a full disk will show when there is something to write
        finally:
            os.close(fd)
        return True

    def lacks_table(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with open(self.path.with_name(self.path.name + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Have the database log its writes ahead, as it does for ever once that was said.

    A file that is new is changed for it, and there SQLite does not wait for another process that does the same:
    two that both read may not both wait to write. So the wait is here.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_TURN_PAUSE)
