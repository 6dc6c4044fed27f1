"""Searching the archive: the one place that answers C-FIND, QIDO-RS, `/tools/find` and the lists of REST.

`resources`, `ids` and `count` answer a `Query`. The first two are generators of batches, in the order that was
asked for: nothing is read from the index before somebody draws the next batch, no transaction stays open in
between, and what is held in memory is a batch and a window of internal ids. Whoever stops drawing stops the
search.

How a batch comes about: `index.find` makes a statement that yields candidates; where columns cannot tell for
certain, their values are compared here; tags that the index does not know are read from the file of one
instance of each candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Any

import orjson

from ithil.archive import headers
from ithil.archive.archive import Archive
from ithil.archive.errors import IndexUnavailable
from ithil.archive.index import find as index
from ithil.archive.index import find_rows as rows
from ithil.archive.index import query_tags
from ithil.archive.index import read as index_read
from ithil.archive.index.find import Check, MomentCheck, Plan
from ithil.archive.index.find_plan import plan as plan_of
from ithil.archive.index.query_tags import QueryTag
from ithil.archive.index.read import TagsOf
from ithil.archive.index.statement import Row
from ithil.archive.matching import LONGEST_VALUE
from ithil.archive.model import Attachment, Resource
from ithil.archive.query import EVERYTHING, MOST_CONSTRAINTS, MOST_LABELS, BadQuery, Part, Query
from ithil.dicom.level import Level
from ithil.dicom.scan import scan

BATCH = 500  # resources
FILE_BATCH = 20  # resources whose files are opened before any of them is handed out
WINDOW = 50_000  # internal ids that are held at a time
_FIRST_WINDOW = 1_000  # of candidates that may turn out not to match
_LEAST_WINDOW = 25
_FEW = 2_000  # rows that are better looked up one by one than met on the way through all
_OVERLAP = 100  # rows of an ordered window that the next reads again, should as many be deleted in between


class SearchTooLong(Exception):
    """A search has opened files for as long as it may."""


@dataclass(slots=True)
class _Watch:
    """What bounds one search, and what has become of it.

    `until` is a time of `monotonic`. `unread` counts the candidates whose file could not be read, of which
    nobody knows whether they match.
    """

    stop: Event | None = None
    until: float | None = None
    unread: int = 0

    def go_on(self) -> None:
        """Raises IndexUnavailable once the server stops, and SearchTooLong once the time is over."""
        if self.stop is not None and self.stop.is_set():
            raise IndexUnavailable("The server is stopping")
        if self.until is not None and monotonic() > self.until:
            raise SearchTooLong


@dataclass(frozen=True, slots=True)
class Keys:
    """Internal ids of what matches, in batches of `BATCH` at most, which can be drawn once.

    With `opens_files` the search looks into the files of candidates.
    """

    opens_files: bool
    batches: Iterator[list[int]]
    watch: _Watch

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches

    @property
    def unread(self) -> int:
        """How many candidates have been left out so far since their file could not be read."""
        return self.watch.unread


def limited(archive: Archive, query: Query) -> Query:
    """The query with the limit that the settings put on answers of searches, if that is lower."""
    settings = archive.settings
    most = settings.limit_find_instances if query.level == Level.INSTANCE else settings.limit_find_results
    if most <= 0 or 0 < query.limit <= most:
        return query
    return replace(query, limit=most)


def resources(
    archive: Archive,
    query: Query,
    parts: Part = EVERYTHING,
    stop: Event | None = None,
    tags: TagsOf | None = None,
) -> Iterator[list[Resource]]:
    """The resources that match, in batches; `parts` is what is to be read of each.

    With `tags`, a function of the JSON that holds main tags ({"00100010": "DOE^JOHN"}), the main tags of the
    resources are what it makes of them. Raises BadQuery before the first batch, and IndexUnavailable between
    two of them once `stop` is set.
    """
    level = query.level
    plan, watch = _plan(archive, query), _Watch(stop)
    if plan.direct:
        for rows_found in _rows(archive, plan, query, BATCH, watch, whole=True):
            with archive.index.read() as session:
                found = index_read.resources_of_rows(session, level, rows_found, parts, tags)
            yield found
        return
    for keys in _matching(archive, query, plan, watch):
        with archive.index.read() as session:
            found = index_read.resources_by_key(session, level, keys, parts, tags)
        yield found


def ids(archive: Archive, query: Query, stop: Event | None = None) -> Iterator[list[str]]:
    """The public ids of the resources that match, in batches. Raises as `resources` does."""
    plan, watch = _plan(archive, query), _Watch(stop)
    if plan.direct:
        for rows_found in _rows(archive, plan, query, WINDOW, watch, whole=False):
            yield [public_id for _, public_id in rows_found]
        return
    for keys in _matching(archive, query, plan, watch):
        with archive.index.read() as session:
            by_key = rows.public_ids(session, query.level, index_read.keys_for(session, keys))
        yield [by_key[key] for key in keys if key in by_key]


def keys(archive: Archive, query: Query, stop: Event | None = None, patience: float | None = None) -> Keys:
    """The internal ids of the resources that match. Raises as `resources` does.

    For what reads rows of its own, such as `find_attributes`. A search that opens files raises SearchTooLong
    between two batches once it has lasted `patience` seconds.
    """
    plan = _plan(archive, query)
    until = monotonic() + patience if patience is not None and plan.opens_files else None
    watch = _Watch(stop, until)
    return Keys(plan.opens_files, _matching(archive, query, plan, watch), watch)


def count(archive: Archive, query: Query, stop: Event | None = None) -> int:
    """How many resources match, whatever `since`, `limit` and `order` say. Raises as `resources` does."""
    everything = replace(query, since=0, limit=0, order=())
    plan = _plan(archive, everything)
    if plan.exact:
        with archive.index.read() as session:
            return plan.count(session)
    return sum(len(keys) for keys in _matching(archive, everything, plan, _Watch(stop)))


def _plan(archive: Archive, query: Query) -> Plan:
    if max(len(query.constraints), len(query.metadata), len(query.order)) > MOST_CONSTRAINTS:
        raise BadQuery(f"A search can have {MOST_CONSTRAINTS} constraints")
    if len(query.labels) > MOST_LABELS:
        raise BadQuery(f"A search can have {MOST_LABELS} labels")
    if any(level >= query.level for level, _ in query.parents):
        raise BadQuery("Only a resource of a level above can be the parent")
    return plan_of(query, archive.index.dialect, archive.tags_of.main, lambda: _declared(archive))


def _declared(archive: Archive) -> list[QueryTag]:
    """The declared query tags as they are now: another process may have finished looking at what is stored."""
    with archive.index.read() as session:
        return query_tags.all_tags(session)


def _rows(
    archive: Archive, plan: Plan, query: Query, batch: int, watch: _Watch, *, whole: bool
) -> Iterator[list[Row]]:
    """The rows that match, in batches."""
    after, offset = 0, query.since
    missing = query.limit or None
    while missing is None or missing > 0:
        watch.go_on()
        wanted = batch if missing is None else min(batch, missing)
        with archive.index.read() as session:
            found = plan.rows(session, after, offset, wanted, whole=whole)
        if found:
            yield found
        if len(found) < wanted:
            return
        after, offset = found[-1][0], 0
        if missing is not None:
            missing -= len(found)


def _matching(archive: Archive, query: Query, plan: Plan, watch: _Watch) -> Iterator[list[int]]:
    """Internal ids of what matches, in batches."""
    missing = query.limit or None  # how many are still to come
    skip = query.since
    if plan.exact:
        batches = _candidates(archive, plan, skip, missing, watch, batch=BATCH, first=WINDOW)
        skip = 0
    else:
        batches = _checked(archive, plan, query.since + query.limit if query.limit else 0, watch)
    for batch in batches:
        if skip:
            skipped = min(skip, len(batch))
            skip -= skipped
            batch = batch[skipped:]
        if missing is not None:
            batch = batch[:missing]
            missing -= len(batch)
        if batch:
            yield batch
        if missing == 0:
            return


def _checked(archive: Archive, plan: Plan, wanted: int, watch: _Watch) -> Iterator[list[int]]:
    """Those candidates that match, in batches; `wanted` is how many will be drawn, 0 for all."""
    size = FILE_BATCH if plan.opens_files else BATCH
    # Most candidates match, so whoever wants few of them is not made to wait for many.
    first = min(_FIRST_WINDOW, max(_LEAST_WINDOW, wanted + wanted // 4)) if wanted else _FIRST_WINDOW
    doubtful: set[int] | None = set() if plan.doubts else None
    for candidates in _candidates(archive, plan, 0, None, watch, batch=size, first=first, doubtful=doubtful):
        asked = candidates if doubtful is None else [key for key in candidates if key in doubtful]
        fails = set(asked).difference(_sift(archive, plan, asked, watch)) if asked else None
        yield [key for key in candidates if key not in fails] if fails else candidates


def _candidates(
    archive: Archive,
    plan: Plan,
    offset: int,
    limit: int | None,
    watch: _Watch,
    *,
    batch: int,
    first: int,
    doubtful: set[int] | None = None,
) -> Iterator[list[int]]:
    """What the statement lets through, in batches; `first` is how many it is asked for at first.

    Without an order a window begins behind the last row of the one before. With one it begins at an offset,
    which moves when something arrives or is deleted in between: so it reads the last rows again, and leaves
    out those that it knows. `doubtful` is that of `Plan.window`, about the window that the batch is of.
    """
    after, start, size = 0, offset, first
    known: set[int] = set()
    if plan.order and plan.probe is not None:
        _look_ahead(archive, plan, few_wanted=first < WINDOW or limit is not None)
    while limit is None or limit > 0:
        again = min(_OVERLAP, offset - start) if plan.order else 0
        wanted = again + (size if limit is None else min(size, limit))
        with archive.index.read() as session:
            if doubtful is not None:
                doubtful.clear()
            window = plan.window(session, after, offset - again, wanted, doubtful)
        fresh = [key for key in window if key not in known][:limit] if known else window
        for begin in range(0, len(fresh), batch):
            watch.go_on()
            yield fresh[begin : begin + batch]
        if len(window) < wanted:
            return
        if plan.order:
            offset += len(window) - again
            if len(known) > WINDOW:
                known.clear()
            known.update(window)
        else:
            after, offset = window[-1], 0
        if limit is not None:
            limit -= len(fresh)
        size = min(4 * size, WINDOW)


def _look_ahead(archive: Archive, plan: Plan, *, few_wanted: bool) -> None:
    """Decide whether to sort the few rows that can match, or to meet rows in order until enough have matched."""
    with archive.index.read() as session:
        few = plan.few(session, _FEW)
    if few is not None:
        plan.narrow(few)
    elif few_wanted:
        plan.walk()


def _sift(archive: Archive, plan: Plan, keys: list[int], watch: _Watch) -> list[int]:
    """Those of the candidates that match."""
    with archive.index.read() as session:
        if plan.checks or plan.metadata_checks:
            keys = _sift_rows(session, plan, keys)
        if plan.checks_below and keys:
            keys = [key for key in keys if _matches_below(session, plan, key)]
        if not plan.opens_files or not keys:
            return keys
        files = rows.first_instances(session, plan.level, index_read.keys_for(session, keys))
    found = []
    for key in keys:
        if key in files:
            try:
                if _matches_file(archive, plan, files[key]):
                    found.append(key)
            except (
                headers.UNREADABLE
            ):  # deleted in this moment, lost or damaged: no reason to fail the search
                watch.unread += 1
    return found


def _sift_rows(session: Any, plan: Plan, keys: list[int]) -> list[int]:
    columns = _columns(plan.checks)
    if plan.metadata_checks:
        columns = (*columns, (plan.level, "metadata"))
    parameter = index_read.keys_for(session, keys)
    found = rows.columns_of(session, plan.level, columns, parameter)
    changed: dict[int, dict[int, str]] = {}
    if plan.metadata_checks:
        for key, number, value in rows.metadata_of(session, plan.level, parameter):
            changed.setdefault(key, {})[number] = value
    return [
        key
        for key in keys
        if key in found
        and _holds(plan.checks, columns, found[key])
        and _metadata_holds(plan, found[key], changed.get(key, {}))
    ]


def _columns(checks: Sequence[Check | MomentCheck]) -> tuple[tuple[Level, str], ...]:
    return tuple(dict.fromkeys((check.level, check.column) for check in checks))


def _holds(
    checks: Sequence[Check | MomentCheck], columns: Sequence[tuple[Level, str]], texts: Sequence[str]
) -> bool:
    """Whether the values in the JSON texts, one for each column, satisfy all checks."""
    parsed: dict[int, Mapping[str, str]] = {}
    for check in checks:
        place = columns.index((check.level, check.column))
        text = texts[place]
        if check.trusted and "_" not in text and "%" not in text:
            continue
        if place not in parsed:
            parsed[place] = orjson.loads(text)
        if not check.holds(parsed[place]):
            return False
    return True


def _metadata_holds(plan: Plan, texts: Sequence[str], changed: Mapping[int, str]) -> bool:
    if not plan.metadata_checks:
        return True
    first = orjson.loads(texts[-1])
    for number, accept in plan.metadata_checks:
        value = changed.get(number, first.get(str(number)))
        if value is None or not accept(value):
            return False
    return True


def _matches_below(session: Any, plan: Plan, key: int) -> bool:
    """Whether some resource below satisfies all that is asked of the levels below."""
    columns = _columns(plan.checks_below)
    values = index.parameters({**plan.values, "key": key}, plan.dialect)
    found = rows.columns_below(session, plan.level, columns, plan.conditions_below, values)
    return any(_holds(plan.checks_below, columns, texts) for texts in found)


def _matches_file(archive: Archive, plan: Plan, instance: tuple[str, int | None, Attachment]) -> bool:
    """Whether the file has what is asked for. Raises what `file_tags` raises."""
    _, pixel_data_offset, file = instance
    if plan.file_checks:
        tags = frozenset(tag for tag, _ in plan.file_checks)
        found = file_tags(archive, file, pixel_data_offset, tags)
        if not all(tag in found and accept(found[tag]) for tag, accept in plan.file_checks):
            return False
    if not plan.sequence_checks:
        return True
    header = headers.read(archive, file, pixel_data_offset)
    return all(holds(header) for holds in plan.sequence_checks)


def file_tags(
    archive: Archive, file: Attachment, pixel_data_offset: int | None, tags: frozenset[int]
) -> dict[int, str]:
    """The text of top-level tags in a stored file, those before its pixel data; longer ones than
    `LONGEST_VALUE` are left out.

    Raises FileMissing, FileCorrupted, DicomError, StorageUnavailable.
    """
    found = scan(
        headers.start_of_file(archive, file, pixel_data_offset),
        tags,
        limits=replace(headers.limits(archive), maximum_text=LONGEST_VALUE),
        total_size=file.uncompressed_size,
        default_encoding=archive.default_encoding,
    )
    return found.tags
