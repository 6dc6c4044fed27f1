"""The parts of many instances in one answer, of which some cannot be read.

An instance whose file is lost or damaged must not take those of a whole study with it: it is left out, and
the answer says how many are. Since that stands in a header, it has to be known before the first part is sent.
So all instances are gone through beforehand. What is small enough is held meanwhile and sent as it is; else
the parts are made a second time while they are sent, and one that fails only then cuts the answer off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ithil.archive.archive import Archive
from ithil.archive.headers import UNREADABLE
from ithil.archive.index import series_documents as rows
from ithil.archive.index.series_documents import InstanceRow, SeriesRow
from ithil.dicomweb.multipart import Part
from ithil.http.answers import Answer
from ithil.pixels.errors import PixelError

_FAILURES = (*UNREADABLE, PixelError)

Make = Callable[[SeriesRow, InstanceRow], Iterable[Part]]
"""Makes the parts of one instance."""


@dataclass(frozen=True, slots=True)
class ReadableParts:
    """The parts of the instances that can be read, a list if all are held, and how many could not be."""

    parts: Iterable[Part]
    is_empty: bool
    unreadable: int


def readable_parts(archive: Archive, series: list[SeriesRow], make: Make, largest_held: int) -> ReadableParts:
    """What `make` gives for all instances of the series.

    As long as all parts together have less than `largest_held` bytes they are held; 0: none are. Raises
    FileMissing, FileCorrupted, DicomError or PixelError if not one instance can be read; StorageUnavailable,
    IndexUnavailable.
    """
    held: list[Part] | None = [] if largest_held else None
    size = readable = count = 0
    unreadable: set[str] = set()
    failure: Exception | None = None
    for one, instance in _instances(archive, series):
        try:
            parts = list(make(one, instance))
        except _FAILURES as error:
            if _is_there(archive, instance):
                unreadable.add(instance.file.uuid)
                failure = error
            continue
        readable += 1
        count += len(parts)
        if held is not None:
            size += sum(part.length or 0 for part in parts)
            held.extend(parts)
            held = held if size < largest_held else None
    if failure is not None and not readable:
        raise failure
    again = held if held is not None else _made(archive, series, make, unreadable)
    return ReadableParts(again, not count, len(unreadable))


def _made(archive: Archive, series: list[SeriesRow], make: Make, unreadable: set[str]) -> Iterator[Part]:
    for one, instance in _instances(archive, series):
        if instance.file.uuid in unreadable:
            continue
        try:
            yield from make(one, instance)
        except _FAILURES:
            if _is_there(archive, instance):
                raise


def _instances(archive: Archive, series: list[SeriesRow]) -> Iterator[tuple[SeriesRow, InstanceRow]]:
    for one in series:
        after = 0
        while True:
            with archive.index.read() as session:
                page = rows.instances(session, one.id, after)
            if not page:
                break
            for instance in page:
                yield one, instance
            after = page[-1].id


def _is_there(archive: Archive, instance: InstanceRow) -> bool:
    with archive.index.read() as session:
        return rows.has_file(session, instance.id, instance.file.uuid)


def tell_missing(answer: Answer, unreadable: int) -> None:
    """Say in an answer how many instances it lacks, if any; such an answer is not for others (RFC 7234 5.5)."""
    if unreadable:
        answer.headers["Warning"] = f'299 - "{unreadable} instances could not be read and are missing"'
        answer.keep = False
