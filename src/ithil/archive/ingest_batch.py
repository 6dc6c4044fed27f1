"""Storing several instances together: their files are waited for together, and their rows share a transaction.

What waits for the disk is what takes the time. A file system that is asked for one new file after the other
commits its journal for each; when all files are written first, one commit serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ithil import metrics
from ithil.archive.archive import Archive
from ithil.archive.ingest import Incoming, result_of
from ithil.archive.intake import Prepared
from ithil.archive.model import StoreResult
from ithil.metrics import Metric

Outcome = StoreResult | BaseException


def commit_all(archive: Archive, incomings: Sequence[Incoming]) -> list[Outcome]:
    """Store instances durably; for each what `Incoming.commit` gives or raises. Nothing of the others is lost.

    Those that were not prepared are prepared here. Raises nothing but for the end of the process.
    """
    outcomes = _store(archive, incomings, archive.intake.accept_all)
    return [outcome for outcome in outcomes if outcome is not None]


def accept_new(archive: Archive, incomings: Sequence[Incoming]) -> list[Outcome | None]:
    """The same for those that need not wait for a transaction. None for the others, which can be accepted."""
    return _store(archive, incomings, archive.intake.accept_new)


def _store(
    archive: Archive,
    incomings: Sequence[Incoming],
    take: Callable[[Sequence[Prepared]], Sequence[bool | BaseException | None]],
) -> list[Outcome | None]:
    with metrics.timed(Metric.STORE_DICOM):
        outcomes: list[Outcome | Prepared | None] = [_prepared(incoming) for incoming in incomings]
        _sync_files(archive, incomings, outcomes)
        places = [place for place, each in enumerate(outcomes) if isinstance(each, Prepared)]
        prepared = [incomings[place].hand_over() for place in places]
        for place, each, added in zip(places, prepared, take(prepared), strict=True):
            if added is None:
                incomings[place].prepared = each
                outcomes[place] = None
            else:
                outcomes[place] = added if isinstance(added, BaseException) else result_of(each, added)
        return [each for each in outcomes if not isinstance(each, Prepared)]


def _prepared(incoming: Incoming) -> Outcome | Prepared:
    if incoming.prepared is not None:
        return incoming.prepared
    try:
        return incoming.prepare()
    except Exception as error:
        return error


def _sync_files(
    archive: Archive, incomings: Sequence[Incoming], outcomes: list[Outcome | Prepared | None]
) -> None:
    """Make the files durable; those that cannot be are refused."""
    for place, each in enumerate(outcomes):
        if isinstance(each, Prepared) and each.needs_sync:
            try:
                archive.storage.sync_file(each.file.uuid)
            except Exception as error:
                incomings[place].discard()
                outcomes[place] = error
