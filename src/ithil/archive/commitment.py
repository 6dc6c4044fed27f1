"""Storage commitment (PS3.4 annex J): what others have promised to keep, and what this archive can promise.

A request to another server is a row before it is sent, since its answer may come to any process, at any time,
over an association of its own. The `StorageCommitmentReportsSize` requests that were used last are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from ithil import error_codes as codes
from ithil.archive import clock, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import FileCorrupted, FileMissing, ReadOnly, StorageUnavailable
from ithil.archive.index import commitment as rows
from ithil.archive.index.commitment import ReportRow
from ithil.archive.index.statement import Session
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

Reference = tuple[str, str]
"""SOP class and SOP instance."""

MOST_REFERENCES = 100_000
"""Instances in one request; their names in a data set take about 14 MB."""

# Failure Reason (0008,1197), PS3.3 C.14.1.1
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_OBJECT_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119

_BATCH = 500
_TOUCH_SECONDS = 5.0  # a report that was used so lately counts as just used


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a request to another server. Pending, if nothing is committed and nothing has failed."""

    uid: str
    remote_aet: str
    is_pending: bool
    committed: list[Reference]
    failed: list[tuple[Reference, int]]  # and the failure reason

    @property
    def is_success(self) -> bool:
        """Whether all that was asked for is committed."""
        return not self.is_pending and not self.failed


# -- what others were asked ----------------------------------------------------------------------------------


def begin(archive: Archive, uid: str, remote_aet: str, references: Sequence[Reference]) -> None:
    """Note a request that is about to be sent. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only, so no report can be kept")
    row = ReportRow(uid, remote_aet, orjson.dumps(references).decode(), None, clock.now()[0])
    keep = max(archive.settings.storage_commitment_reports_size, 1)

    def work(session: Session) -> None:
        rows.insert(session, row)
        for old in rows.surplus(session, keep):
            rows.delete(session, old)

    archive.index.write(work)


def forget(archive: Archive, uid: str) -> None:
    """Take back a request that could not be sent."""
    archive.index.write(lambda session: rows.delete(session, uid))


def answered(archive: Archive, uid: str, committed: frozenset[str], failed: Mapping[str, int]) -> bool:
    """Note the answer to a request; False if there was no such request.

    `committed` are SOP instances, `failed` the reasons by SOP instance. What was asked for and is in neither
    has failed too: nobody has promised to keep it.
    """

    def work(session: Session) -> bool:
        row = rows.read(session, uid)
        if row is None:
            return False
        outcome = {
            sop_instance: failed.get(sop_instance, PROCESSING_FAILURE)
            for _, sop_instance in orjson.loads(row.instances)
            if sop_instance in failed or sop_instance not in committed
        }
        return rows.answer(session, uid, orjson.dumps(outcome).decode(), clock.now()[0])

    return archive.index.write(work)


def report(archive: Archive, uid: str) -> Report:
    """What came of a request. Raises CodedError (inexistent item)."""
    with archive.index.read() as session:
        row = rows.read(session, uid)
    if row is None:
        raise CodedError(codes.INEXISTENT_ITEM, f"No storage commitment transaction with UID: {uid[:64]}")
    now = clock.now()[0]
    if now - row.used_at > _TOUCH_SECONDS and not archive.settings.read_only:
        archive.index.write(lambda session: rows.touch(session, uid, now))
    asked: list[Reference] = [(one[0], one[1]) for one in orjson.loads(row.instances)]
    if row.outcome is None:
        return Report(uid, row.remote_aet, True, [], [])
    reasons: dict[str, int] = orjson.loads(row.outcome)
    return Report(
        uid,
        row.remote_aet,
        False,
        [one for one in asked if one[1] not in reasons],
        [(one, reasons[one[1]]) for one in asked if one[1] in reasons],
    )


def remove_committed(archive: Archive, found: Report) -> int:
    """Delete the instances that another server has committed to keep; gives how many. Raises ReadOnly."""
    gone = 0
    for sop_class, sop_instance in found.committed:
        with archive.index.read() as session:
            stored = rows.stored(session, sop_instance)
        for one in stored:
            if one.sop_class == sop_class and delete(archive, Level.INSTANCE, one.id) is not None:
                gone += 1
    return gone


def references(archive: Archive, public_ids: Sequence[str]) -> list[Reference]:
    """The instances below resources of any level, each once.

    Raises CodedError: unknown resource, parameter out of range for too many.
    """
    levels = resources.levels_of(archive, public_ids)
    found: dict[Reference, None] = {}
    for public_id in dict.fromkeys(public_ids):
        level = levels.get(public_id)
        if level is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        below = [public_id]
        if level != Level.INSTANCE:
            below = resources.descendants(archive, level, public_id, Level.INSTANCE) or []
        for reference in _identities(archive, below):
            found[reference] = None
            if len(found) > MOST_REFERENCES:
                raise CodedError(
                    codes.PARAMETER_OUT_OF_RANGE,
                    f"A storage commitment is limited to {MOST_REFERENCES} instances",
                )
    return list(found)


def _identities(archive: Archive, instances: Sequence[str]) -> Iterator[Reference]:
    for start in range(0, len(instances), _BATCH):
        batch = instances[start : start + _BATCH]
        with archive.index.read() as session:
            known = rows.identities(session, batch)
        yield from (known[one] for one in batch if one in known)


# -- what this archive can promise ---------------------------------------------------------------------------


def examine(archive: Archive, sop_class: str, sop_instance: str) -> int:
    """Whether this archive has an instance and can read it whole: 0, or the failure reason.

    The file is read to its end and compared with the checksum that the index remembers, since a promise to
    keep an instance is worth nothing if its file is damaged.
    """
    with archive.index.read() as session:
        stored = rows.stored(session, sop_instance)
    if not stored:
        return NO_SUCH_OBJECT_INSTANCE
    of_class = [one for one in stored if one.sop_class == sop_class]
    if not of_class:
        return CLASS_INSTANCE_CONFLICT
    reason = PROCESSING_FAILURE
    for one in of_class:
        try:
            if retrieve.verify(archive, one.file):
                return 0
        except FileMissing:
            reason = NO_SUCH_OBJECT_INSTANCE
        except (FileCorrupted, StorageUnavailable):
            continue
    return reason
