"""Whole files of a study, a series or an instance on their way to a web client, read ahead of it.

An answer with many instances must be whole or say that it is not. So there are two walks over the index. The
first, before anything is sent, counts what there is, sees that every file is there, and adds up how long the
answer will be. The second reads the files. What has come meanwhile is not part of the answer; if something of
it was deleted meanwhile or cannot be read, the answer is cut off, which every HTTP client notices.

Neither walk keeps anything of an instance that is well: a study can have a hundred thousand.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import sqlalchemy as sa

from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import FileMissing
from ithil.archive.export.ahead import Work, in_order, shared_room, threads
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Row, Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.transcoding import transcoded
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import read_file_meta
from ithil.pixels.errors import PixelError

WHOLE_BYTES = 8 << 20
"""Larger files are sent piece by piece."""

_BATCH = 500  # instances that are read from the index at once
_WINDOW = 8  # instances
_CAPACITY = 16 << 20  # bytes that are ahead of one answer
_ROOM = 128 << 20  # bytes that are ahead of all answers of this process


@dataclass(frozen=True, slots=True)
class Item:
    """One instance; `key` is its number in the index."""

    key: int
    series: str  # Series Instance UID
    instance: str  # SOP Instance UID
    transfer_syntax: str
    file: Attachment


@dataclass(frozen=True, slots=True)
class Content:
    """An instance as it is sent: in `transfer_syntax`, and whole unless it is to be read piece by piece."""

    item: Item
    transfer_syntax: str
    whole: bytes | None

    def pieces(self, archive: Archive) -> Iterator[bytes]:
        """Its bytes. Raises what `retrieve.pieces` raises."""
        return retrieve.pieces(archive, self.item.file) if self.whole is None else iter((self.whole,))

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return self.item.file.uncompressed_size if self.whole is None else len(self.whole)


@dataclass(slots=True)
class Overview:
    """What the first walk found: the `count` of instances whose files are there, and the `missing` ones.

    `newest` is the largest number of them all in the index. `size` is what the caller's measure gave for all of
    them together, None if it gave none for one. `digest` names this very set of files.
    """

    count: int = 0
    newest: int = -1
    missing: set[int] = field(default_factory=set)
    size: int | None = 0
    digest: str = ""


_i, _s = t.instances.c, t.series.c
_LAST = sa.literal_column(str(2**63 - 1), sa.BigInteger)  # after all that have a number
_NUMBER = sa.func.coalesce(_i.instance_number, _LAST)


def _of(*conditions: sa.ColumnElement[bool]) -> Statement:
    place = sa.tuple_(_s.id, _NUMBER, _i.id)
    after = sa.tuple_(*(sa.bindparam(name, type_=sa.BigInteger) for name in ("after", "number", "last")))
    return Statement(
        sa.select(
            _i.id,
            _s.series_instance_uid,
            _i.sop_instance_uid,
            _i.transfer_syntax_uid,
            *DICOM_FILE_COLUMNS,
            _s.id,
            _NUMBER,
        )
        .join_from(t.instances, t.series, _i.series == _s.id)
        .join(t.studies, _s.study == t.studies.c.id)
        .where(t.studies.c.study_instance_uid == sa.bindparam("study"), *conditions, place > after)
        .order_by(_s.id, _NUMBER, _i.id)
        .limit(_BATCH)
    )


_OF_STUDY = _of()
_OF_SERIES = _of(_s.series_instance_uid == sa.bindparam("series"))


def items(archive: Archive, study: str, series: str = "") -> Iterator[Item]:
    """The instances of a study or of a series, by series and Instance Number."""
    statement = _OF_SERIES if series else _OF_STUDY
    names = {"study": study, "series": series} if series else {"study": study}
    place = (-1, -(2**63), -1)
    while True:
        with archive.index.read() as session:
            rows = session.all(statement, {**names, "after": place[0], "number": place[1], "last": place[2]})
        yield from map(_item, rows)
        if len(rows) < _BATCH:
            return
        place = (rows[-1][-2], rows[-1][-1], rows[-1][0])


def _item(row: Row) -> Item:
    return Item(row[0], row[1], row[2], row[3], Attachment(DICOM_FILE, *row[4:10]))


def overview(archive: Archive, found: Iterator[Item], measure: Callable[[Item], int | None]) -> Overview:
    """Walk over instances; `measure` gives the bytes that one of them will take, None if it cannot tell."""
    result = Overview()
    digest = hashlib.md5(usedforsecurity=False)
    for item in found:
        digest.update(_name_of(item))
        result.newest = max(result.newest, item.key)
        if archive.storage.size(item.file.uuid) != item.file.compressed_size:
            result.missing.add(item.key)
            continue
        result.count += 1
        size = measure(item)
        result.size = None if size is None or result.size is None else result.size + size
    result.digest = digest.hexdigest()
    return result


def contents(
    archive: Archive,
    found: Iterator[Item],
    seen: Overview,
    syntax_for: Callable[[Item], str],
    loaders: int,
) -> Generator[Content, None, None]:
    """The instances that the first walk saw, in the transfer syntaxes that `syntax_for` names.

    What cannot be transcoded comes as it is stored. `loaders` threads transcode. Raises FileMissing for an
    instance that was deleted meanwhile, and what reading a file raises.
    """
    for computed, run in groupby(
        _expected(archive, _still_there(found, seen)), lambda item: syntax_for(item) != item.transfer_syntax
    ):
        if computed:
            yield from in_order(
                threads(loaders),
                (
                    Work(partial(_transcoded, archive, item, syntax_for(item)), item.file.uncompressed_size)
                    for item in run
                ),
                window=_WINDOW,
                capacity=_CAPACITY,
                room=shared_room(_ROOM),
            )
        else:
            for item in run:
                yield as_stored(archive, item)


def _still_there(found: Iterator[Item], seen: Overview) -> Iterator[Item]:
    """What the first walk saw, in the same order. Raises FileMissing at the end if it is not the same any more."""
    digest = hashlib.md5(usedforsecurity=False)
    for item in found:
        if item.key > seen.newest:
            continue  # has come meanwhile
        digest.update(_name_of(item))
        if item.key not in seen.missing:
            yield item
    if digest.hexdigest() != seen.digest:
        raise FileMissing("An instance was deleted or replaced while it was being retrieved")


def _name_of(item: Item) -> bytes:
    return f"{item.key} {item.file.uuid} ".encode()


def _expected(archive: Archive, found: Iterator[Item]) -> Iterator[Item]:
    """The instances; the system reads the files of the next ones meanwhile."""
    waiting: deque[Item] = deque()
    for item in found:
        archive.storage.expect(item.file.uuid)
        waiting.append(item)
        if len(waiting) > _WINDOW:
            yield waiting.popleft()
    yield from waiting


def as_stored(archive: Archive, item: Item) -> Content:
    """An instance as it is stored. Raises what reading a file raises."""
    if item.file.uncompressed_size > WHOLE_BYTES:
        return Content(item, item.transfer_syntax, None)
    # A file that is sent once is not worth a place in the cache, but may be there.
    cached = archive.cache.get(item.file.uuid)
    whole = cached if cached is not None else b"".join(retrieve.pieces(archive, item.file))
    return Content(item, item.transfer_syntax, whole)


def _transcoded(archive: Archive, item: Item, transfer_syntax: str) -> Content:
    try:
        whole = transcoded(archive, item.file, transfer_syntax)
    except (PixelError, DicomError):
        return as_stored(archive, item)
    return Content(item, syntax_of(whole), whole)


def syntax_of(content: bytes) -> str:
    """The transfer syntax that a file says it is in: what has no pixel data is not compressed."""
    return read_file_meta(content, len(content)).transfer_syntax_uid
