"""The archive's periodic work: files reach the disk, resources become stable and get their documents, files of
deleted ones go.

Every process runs this thread; the database sees to it that each thing happens once. A sweep that fails is
tried again at the next turn, and says so in the log once, not at every turn.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from ithil.archive import (
    change_feed,
    clock,
    query_tag_losses,
    recovery,
    series_documents,
    workitems,
    worklist,
)
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError
from ithil.archive.index import stability, sweeps

log = logging.getLogger(__name__)

REMOVAL_DELAY = 1.0  # seconds that a file outlives its rows, for reads that have just asked the index
REMOVAL_BATCH = 500
LEASE_SECONDS = 30.0
DOCUMENTS_SECONDS = 0.5  # how long a sweep builds the documents of series while other work may wait
STOP_SECONDS = 10.0  # how long a sweep that hangs may hold up the end of the process


def settle(archive: Archive) -> int:
    """Mark as stable what has become so; gives how many resources."""
    seconds, date = clock.now()
    with archive.index.read() as session:
        if not stability.is_due(session, seconds):
            return 0
    age = archive.settings.stable_age
    return len(archive.index.write(lambda session: stability.settle(session, seconds, date, age)))


def remove_files(archive: Archive, owner: str, delay: float = REMOVAL_DELAY) -> int:
    """Remove files whose rows are gone for `delay` seconds, if no other process is at it; gives how many.

    Raises IndexUnavailable, or StorageUnavailable if not one of them can be removed.
    """
    seconds, _ = clock.now()
    with archive.index.read() as session:
        waiting = sweeps.waiting_files(session, seconds - delay, REMOVAL_BATCH)
    if not waiting or not archive.index.write(
        lambda session: sweeps.take_lease(session, "remove-files", owner, seconds, LEASE_SECONDS)
    ):
        return 0
    removed: list[str] = []
    failure: ArchiveError | None = None
    for uuid, _ in waiting:
        archive.cache.drop(uuid)
        try:
            archive.storage.remove(uuid)
            removed.append(uuid)
        except ArchiveError as error:
            failure = error  # it stays on the list; the others must not wait for it
    archive.index.write(lambda session: sweeps.forget_files(session, removed))
    if failure is not None and not removed:
        raise failure
    return len(removed)


class Sweeper:
    """The thread that runs the sweeps of a process every `settings.ithil.stability_sweep_seconds`."""

    def __init__(self, archive: Archive, owner: str) -> None:
        self._archive = archive
        self._owner = owner
        self._stopping = threading.Event()
        self._worklists_at = 0.0
        self._documents = series_documents.Watch()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin; does nothing for an archive that is read-only."""
        if not self._archive.settings.read_only:
            self._thread.start()

    def stop(self) -> None:
        """End after the sweep that runs."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        interval = self._archive.settings.ithil.stability_sweep_seconds
        failing = more = False
        with suppress(ArchiveError):  # whoever writes next is told
            self._archive.index.prepare_to_write()
            self._archive.intake.prepare()
        while not self._stopping.wait(0.0 if more else interval):
            try:
                more = self._sweep()
                failing = False
            except Exception as error:  # whatever it is, the sweeps have to go on
                more = False
                if not failing:
                    reason = error if isinstance(error, ArchiveError) else type(error).__name__
                    log.error("The sweeps of the archive fail and will be tried again: %s", reason)
                failing = True

    def _sweep(self) -> bool:
        """Do what is due; whether more of it is waiting already."""
        archive = self._archive
        settled = settle(archive)
        removed = remove_files(archive, self._owner)
        if time.monotonic() >= self._worklists_at:
            self._worklists_at = time.monotonic() + archive.settings.worklists.housekeeping_interval
            worklist.keep_house(archive)
            change_feed.prune(archive, clock.now()[0])
            workitems.keep_house(archive)
        building = series_documents.keep_up(
            archive, self._documents, self._owner, DOCUMENTS_SECONDS, self._stopping.is_set
        )
        looking = query_tag_losses.make_good(archive, self._owner)
        archive.intake.empty()
        recovery.recover(archive)
        return settled > 0 or building or looking or removed >= REMOVAL_BATCH
