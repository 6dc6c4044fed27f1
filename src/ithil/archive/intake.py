"""Small instances become durable with the commit of their rows, and their files a moment later.

To make a new file durable costs more than all else that is done to store a small instance, since the file
system has to commit its own journal for it. The database commits a journal for every instance anyway. So with
SQLite the bytes of a small instance go into the table `intake` in the same transaction as its rows, and its
file is written but not waited for. After the commit the instance is safe twice over: the file is in the page
cache, from which it is read, and the bytes are in the database, which is on the disk.

A sweep then makes the files of the last second durable with one call and drops their bytes from the table.
Whoever opens the archive writes the files again whose bytes are in the table, as a crash of the machine may have
taken them away.
"""

from __future__ import annotations

from ithil.archive.errors import ArchiveError
from ithil.archive.index import intake as rows
from ithil.archive.index.database import Database
from ithil.archive.storage.local import LocalStorage

LARGEST = 64 * 1024
"""Bytes of the largest instance for which writing twice is cheaper than waiting for its file."""


class Intake:
    """The intake of one archive. `distrusts_disk` is remembered after a write to the disk has failed."""

    def __init__(self, index: Database, storage: LocalStorage) -> None:
        self._index = index
        self._storage = storage
        self._distrusts_disk = False

    def takes(self, size: int) -> bool:
        """Whether a file of that size (bytes, as stored) goes through the intake."""
        return self._storage.durable and self._index.dialect == "sqlite" and 0 < size <= LARGEST

    def waits_for(self, size: int) -> bool:
        """Whether who stores a file of that size has to wait for the disk to have the file itself."""
        return self._storage.durable and not self.takes(size)

    def empty(self) -> int:
        """Make the files of the intake durable and drop their bytes; gives how many files.

        Raises StorageFull, StorageUnavailable, IndexUnavailable; the bytes stay then.
        """
        with self._index.read() as session:
            waiting = rows.names(session)
        if not waiting:
            return 0
        if self._distrusts_disk:
            # After a failure the kernel takes the pages for written and would not write them again.
            self._write_again(waiting)
            self._distrusts_disk = False
        else:
            try:
                self._storage.sync([uuid for _, uuid in waiting])
            except ArchiveError:
                self._distrusts_disk = True
                raise
        self._index.write(lambda session: rows.drop_files(session, waiting), durable=False)
        return len(waiting)

    def recover(self) -> int:
        """Write all files of the intake again, as after a crash; gives how many they were."""
        recovered = 0
        while True:
            self._distrusts_disk = True
            emptied = self.empty()
            if not emptied:
                self._distrusts_disk = False
                return recovered
            recovered += emptied

    def _write_again(self, waiting: list[tuple[int, str]]) -> None:
        for instance, uuid in waiting:
            with self._index.read() as session:
                content = rows.content(session, instance, uuid)
            if content is not None:
                self._storage.restore(uuid, content)
