"""Small instances become durable with the commit of their rows, and their files a moment later.

To make a new file durable costs more than all else that is done to store a small instance, since the file
system has to commit its own journal for it. The database commits a journal for every instance anyway. So with
SQLite the bytes of a small instance go into the table `intake` in the same transaction as its rows, and its
file is written but not waited for. After the commit the instance is safe twice over: the file is in the page
cache, from which it is read, and the bytes are in the database, which is on the disk.

A sweep then makes the files of the last second durable with one call and drops their bytes from the table.
After a crash of the machine, whoever opens the archive first compares what is in the table with the files and
writes again what is missing.
"""

from __future__ import annotations

from ithil.archive.errors import FileMissing
from ithil.archive.index import intake as rows
from ithil.archive.index.database import Database
from ithil.archive.storage.local import LocalStorage

LARGEST = 64 * 1024
"""Bytes of the largest instance for which writing twice is cheaper than waiting for its file."""


def takes(index: Database, storage: LocalStorage, size: int) -> bool:
    """Whether a file of that size (bytes, as stored) goes through the intake."""
    return storage.durable and index.dialect == "sqlite" and 0 < size <= LARGEST


def settle(index: Database, storage: LocalStorage) -> int:
    """Make the files in the intake durable and empty it; gives how many they were."""
    with index.read() as session:
        waiting = rows.names(session)
    if not waiting:
        return 0
    storage.sync([uuid for _, uuid in waiting])
    index.write(lambda session: rows.drop_files(session, waiting), durable=False)
    return len(waiting)


def recover(index: Database, storage: LocalStorage) -> int:
    """Write again the files that a crash of the machine took away; gives how many they were."""
    restored = 0
    after = 0
    while True:
        with index.read() as session:
            waiting = rows.names(session, after)
        if not waiting:
            break
        for instance, uuid in waiting:
            with index.read() as session:
                content = rows.content(session, instance, uuid)
            if content is not None and not _is_whole(storage, uuid, content):
                storage.restore(uuid, content)
                restored += 1
        after = waiting[-1][0]
    while settle(index, storage):
        pass
    return restored


def _is_whole(storage: LocalStorage, uuid: str, content: bytes) -> bool:
    try:
        return storage.read(uuid) == content
    except FileMissing:
        return False
