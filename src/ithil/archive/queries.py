"""What other servers answered to our queries, kept for `/queries` so that every process can go on with it.

The answers are kept as they came, since only their bytes hold everything (character sets, sequences, private
tags). They go to the index in batches while they arrive: however many there are, few are in memory. The
`QueryRetrieveSize` queries that were used last are kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import queries as rows
from ithil.archive.index.queries import QueryRow
from ithil.archive.index.statement import Session
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

_BATCH_ANSWERS = 500
_BATCH_BYTES = 4 * 1024 * 1024
_PAGE = 100
_TOUCH_SECONDS = 5.0  # a query that was used so lately counts as just used
_LOST_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class KeptQuery:
    """A query that has been answered.

    `query` are texts by tag, as they were asked. `timeout` is in seconds, None for that of the modality;
    `transfer_syntax` is that of the answers, of which there are `answers`.
    """

    id: str
    modality: str
    level: Level
    query: dict[int, str]
    local_aet: str
    timeout: int | None
    transfer_syntax: str
    answers: int


def keep(
    archive: Archive,
    modality: str,
    level: Level,
    query: dict[int, str],
    answers: Iterable[tuple[str, bytes]],
    *,
    local_aet: str = "",
    timeout: int | None = None,
) -> str:
    """Read the answers to a query, pairs of transfer syntax and data set, to their end; gives the query's id.

    Nothing of it stays if that fails. Who makes the answers bounds their number. Raises ReadOnly, and whatever
    `answers` raises.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only, so no answers can be kept")
    key = str(uuid.uuid4())
    asked = orjson.dumps({f"{tag:08x}": text for tag, text in query.items()}).decode()
    row = QueryRow(key, modality, int(level), asked, local_aet, timeout, "", None, clock.now()[0])
    archive.index.write(lambda session: rows.insert(session, row))
    try:
        count, syntax = _add_all(archive, key, answers)
        keep_last = max(archive.settings.query_retrieve_size, 1)

        def finish(session: Session) -> bool:
            now = clock.now()[0]
            there = rows.finish(session, key, count, syntax, now)
            for old in rows.surplus(session, keep_last, now - _LOST_SECONDS):
                rows.delete(session, old)
            return there

        if not archive.index.write(finish):
            raise CodedError(codes.TIMEOUT, "The answers came too slowly to be kept")
    except BaseException:
        archive.index.write(lambda session: rows.delete(session, key))
        raise
    return key


def _add_all(archive: Archive, key: str, answers: Iterable[tuple[str, bytes]]) -> tuple[int, str]:
    batch: list[bytes] = []
    stored = size = 0
    syntax = ""

    def flush() -> None:
        nonlocal stored, size
        first, contents = stored, list(batch)
        archive.index.write(lambda session: rows.add_answers(session, key, first, contents))
        stored += len(batch)
        batch.clear()
        size = 0

    for found_syntax, content in answers:
        syntax = found_syntax  # one association has one
        batch.append(content)
        size += len(content)
        if len(batch) >= _BATCH_ANSWERS or size >= _BATCH_BYTES:
            flush()
    if batch:
        flush()
    return stored, syntax


def ids(archive: Archive) -> list[str]:
    """The ids of all queries that are kept, sorted."""
    with archive.index.read() as session:
        return rows.ids(session)


def get(archive: Archive, key: str) -> KeptQuery:
    """A query, which is thereby used. Raises CodedError (unknown resource)."""
    with archive.index.read() as session:
        row = rows.read(session, key)
    if row is None or row.answers is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    now = clock.now()[0]
    if now - row.used_at > _TOUCH_SECONDS and not archive.settings.read_only:
        archive.index.write(lambda session: rows.touch(session, key, now))
    asked = {int(tag, 16): text for tag, text in orjson.loads(row.query).items()}
    level, syntax = Level(row.level), row.transfer_syntax
    return KeptQuery(key, row.modality, level, asked, row.local_aet, row.timeout, syntax, row.answers)


def delete(archive: Archive, key: str) -> bool:
    """Forget a query; False if it is not there. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    return archive.index.write(lambda session: rows.delete(session, key))


def answers(archive: Archive, query: KeptQuery) -> Iterator[bytes]:
    """The data sets that came, in order. Read in pages: few are in memory."""
    at = 0
    while at < query.answers:
        with archive.index.read() as session:
            found = rows.page(session, query.id, at, _PAGE)
        if not found:
            return  # forgotten meanwhile
        for _, content in found:
            yield content
        at = found[-1][0] + 1


def answer(archive: Archive, query: KeptQuery, number: int) -> bytes:
    """One data set. Raises CodedError (parameter out of range)."""
    if 0 <= number < query.answers:
        with archive.index.read() as session:
            found = rows.page(session, query.id, number, 1)
        if found and found[0][0] == number:
            return found[0][1]
    raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "There is no answer with that number")
