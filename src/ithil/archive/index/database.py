"""What every database of the index offers to the rest of the archive.

Reads take any idle connection and see what was committed before they began. Writes of one process go one
after the other through `write`, since SQLite has one writer and a group of instances shares a commit anyway;
several processes are kept apart by the database. Both give a `Session`.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

from ithil.archive.errors import CommitUncertain, IndexBusy
from ithil.archive.index.statement import Session

T = TypeVar("T")

RETRY_DELAYS = (0.02, 0.1, 0.4, 1.0)  # seconds between the tries of a transaction


class Retry(Exception):
    """Raised inside `write` when the transaction met another one in a way that only a new try resolves."""


class Backlog(Protocol):
    """What this process has acknowledged and no transaction has added yet."""

    waiting: int
    """How many instances that is."""

    def drain(self) -> None:
        """Return when they are added, or were tried in vain."""


class NoBacklog:
    """Of a database whose every acknowledgement follows a transaction."""

    waiting = 0

    def drain(self) -> None:
        """There is nothing to wait for."""


class Database(ABC):
    """A pool of connections to one database, and the rules of its transactions.

    `work` functions given to `write` may run several times (lost connection, deadlock, `Retry`), so they
    must not change anything outside the database until `write` returns.
    """

    dialect: str
    begin: str  # the statement that begins a transaction which will write

    def __init__(self) -> None:
        self._idle: list[Any] = []
        self._writer: Any = None
        self._writing = threading.Lock()
        self._writes = 0  # the thread that is inside a transaction
        self.backlog: Backlog = NoBacklog()
        """What has to be added before a session begins, so that it sees all that was acknowledged."""
        self._committing = False  # whether the transaction that runs or failed had got as far as its COMMIT
        self._closed = False

    @contextmanager
    def read(self, *, behind: bool = False) -> Iterator[Session]:
        """A session for reading, which with `behind` need not see all that was acknowledged.

        Raises IndexUnavailable.
        """
        if not behind:
            self._catch_up()
        connection = self._idle_connection() or self._guarded(self.connect)
        healthy = False
        try:
            yield Session(connection.cursor(), self.dialect)
            healthy = True
        except Exception as error:
            translated = self._translate(error)
            healthy = translated is None and not self._is_lost(error)
            if translated is not None:
                raise translated from error
            raise
        finally:
            if healthy and not self._closed and len(self._idle) < 32:
                self._idle.append(connection)
            else:
                self._discard(connection)

    def _catch_up(self) -> None:
        """Have what was acknowledged added; not within a transaction, for which the adding would wait."""
        if self.backlog.waiting and self._writes != threading.get_ident():
            self.backlog.drain()

    def _idle_connection(self) -> Any:
        """A connection at rest that the database has not given up since, or None."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not self._is_stale(connection):
                return connection
            self._discard(connection)

    def write(self, work: Callable[[Session], T], *, durable: bool = True) -> T:
        """Run `work` in a transaction of its own and commit it. Without `durable`, `sync` must follow before
        anybody is told of it.

        Raises IndexUnavailable when the database cannot be reached, stays locked or lets others go first at
        every try, StorageFull when its disk is full, and whatever else `work` raises (after rolling back).
        """
        self._catch_up()
        result = self._write(work)
        if durable:
            self.sync()
        return result

    def sync(self) -> None:
        """Return when all that has been committed is on the disk. Raises CommitUncertain.

        Does nothing where a commit itself waits for that.
        """
        return

    def _write(self, work: Callable[[Session], T]) -> T:
        attempt = 0
        uncertain = False
        while True:
            with self._writing:
                self._writes = threading.get_ident()
                try:
                    return self._try(work)
                except Exception as error:
                    uncertain = uncertain or (self._committing and self._is_lost(error))
                    if attempt >= len(RETRY_DELAYS) or not self._worth_retrying(error):
                        if uncertain:
                            raise CommitUncertain("The database broke off during a commit") from error
                        if isinstance(error, Retry) or self._is_clash(error):
                            raise IndexBusy("The database is too busy with other transactions") from error
                        translated = self._translate(error)
                        if translated is not None:
                            raise translated from error
                        raise
                finally:
                    self._writes = 0
            time.sleep(RETRY_DELAYS[attempt])
            attempt += 1

    def _try(self, work: Callable[[Session], T]) -> T:
        self._committing = False
        if self._writer is None:
            self._writer = self._guarded(self.connect)
        with self._turn():
            try:
                cursor = self._writer.cursor()
                cursor.execute(self.begin)
                self._began()
                result = work(Session(cursor, self.dialect))
                self._committing = True
                cursor.execute("COMMIT")
            except BaseException as error:
                self._abandon(error)
                raise
        return result

    def prepare_to_write(self) -> None:
        """Do what the first transaction would wait for, where there is such a thing. Raises what `write` does."""
        return

    def _turn(self) -> AbstractContextManager[None]:
        """Wait until no other process writes, where the database does not see to that well itself."""
        return nullcontext()

    def _began(self) -> None:
        """Called inside each transaction that writes, before its work."""
        return

    def _abandon(self, error: BaseException) -> None:
        """Bring the writing connection back to rest after a failed transaction, or drop it."""
        if self._writer is None:
            return
        if not self._is_lost(error):
            try:
                self._writer.rollback()
                return
            except Exception:
                pass  # then it is of no more use either
        self._discard(self._writer)
        self._writer = None

    def _guarded(self, connect: Callable[[], Any]) -> Any:
        try:
            return connect()
        except Exception as error:
            raise self._translate(error) or error from error

    def _worth_retrying(self, error: Exception) -> bool:
        return isinstance(error, Retry) or self._is_lost(error) or self._is_clash(error)

    def _discard(self, connection: Any) -> None:
        try:
            connection.close()
        except Exception:
            pass  # a broken connection may refuse even that; it is gone either way

    def close(self) -> None:
        """Close every connection; sessions that are still in use close when they are given back."""
        self._closed = True
        with self._writing:
            if self._writer is not None:
                self._discard(self._writer)
                self._writer = None
        while self._idle:
            self._discard(self._idle.pop())

    def version(self) -> object | None:
        """A token that differs whenever anything in the database changed, or None if that is not known.

        Only to be called from one thread, the HTTP event loop; it costs a few microseconds.
        """
        return None

    @abstractmethod
    def connect(self) -> Any:
        """Open a connection in autocommit mode."""

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Hold a lock against every other process that opens this database; used while tables change."""

    @abstractmethod
    def lacks_table(self, error: Exception) -> bool:
        """Whether a statement failed because its table does not exist."""

    @abstractmethod
    def _translate(self, error: Exception) -> Exception | None:
        """The archive's exception for a driver's one, or None for what is not the database's failure."""

    @abstractmethod
    def _is_lost(self, error: BaseException) -> bool:
        """Whether the connection is of no more use."""

    def _is_stale(self, connection: Any) -> bool:
        """Whether the other side has closed a connection while it was at rest. Must be cheap."""
        return False

    @abstractmethod
    def _is_clash(self, error: Exception) -> bool:
        """Whether two transactions met (deadlock, serialization failure), so that a new try may succeed."""
