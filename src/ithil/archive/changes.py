"""The change log as readers outside the archive see it."""

from __future__ import annotations

from collections.abc import Sequence

from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import changelog
from ithil.archive.model import Changes

MAXIMUM_LIMIT = 100_000


def page(
    archive: Archive,
    since: int = 0,
    limit: int = 100,
    last: bool = False,
    to: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Changes:
    """Up to `limit` changes after number `since`, or the newest one alone with `last`.

    `to` is the greatest number wanted; with `to` alone the log is read backwards from there. `kinds` are
    the names of the changes wanted (None: all).
    """
    with archive.index.read() as session:
        if last:
            found = changelog.newest(session)
        else:
            found = changelog.page(session, max(0, since), max(0, min(limit, MAXIMUM_LIMIT)), to, kinds)
    # What a crash takes out of the log, it gives another number afterwards: whoever has seen one relies on it.
    archive.index.sync()
    return found


def clear(archive: Archive) -> None:
    """Forget the log; numbers go on where they were. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    archive.index.write(changelog.clear)
