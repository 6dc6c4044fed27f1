"""The modality worklist: scheduled procedure steps, from a folder of files or from the index.

Which of the two it is, the section `Worklists` of the configuration says. A folder belongs to whoever writes it,
often another program: it is read anew for each query, and nothing in it is removed but by a request.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from ithil import error_codes as codes
from ithil.archive import clock, worklist_item
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly, StorageUnavailable
from ithil.archive.index import worklist as rows
from ithil.archive.index.statement import Session
from ithil.archive.index.worklist import WorklistRow
from ithil.dicom.dataset import Dataset
from ithil.dicom.errors import DicomError
from ithil.error_codes import CodedError
from ithil.settings import Settings

log = logging.getLogger(__name__)

MOST_ITEMS = 100_000
SUFFIX = ".wl"

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One item; `created_at` is in seconds since 1970, None for a file in the folder."""

    id: str
    data_set: Dataset
    created_at: float | None = None


def is_enabled(settings: Settings) -> bool:
    """Whether there is a worklist."""
    return settings.worklists.enable


def items(archive: Archive) -> Iterator[Item]:
    """All items, read when they are asked for. A file that is no DICOM data set is left out.

    Raises StorageUnavailable for a folder that cannot be read.
    """
    folder = _folder(archive)
    if folder is not None:
        for name in _names(folder):
            item = _read_file(archive, folder, name)
            if item is not None:
                yield item
        return
    after = ""
    while True:
        with archive.index.read() as session:
            page = rows.page(session, after, _PAGE)
        for row in page:
            item = _item(archive, row)
            if item is not None:
                yield item
        if len(page) < _PAGE:
            return
        after = page[-1].id


def get(archive: Archive, key: str) -> Item | None:
    """The item with that id."""
    folder = _folder(archive)
    if folder is not None:
        return _read_file(archive, folder, key) if key in _names(folder) else None
    with archive.index.read() as session:
        row = rows.read(session, key)
    return None if row is None else _item(archive, row)


def create(archive: Archive, content: bytes) -> str:
    """Add an item, a DICOM file; gives its id. Raises ReadOnly, StorageUnavailable, CodedError for too many."""
    _check_writable(archive)
    key = str(uuid.uuid4())
    folder = _folder(archive)
    if folder is not None:
        if len(_names(folder)) >= MOST_ITEMS:
            raise _too_many()
        _write_file(folder, key, content)
        return key
    study = worklist_item.study_of(worklist_item.read(archive, content))
    row = WorklistRow(key, clock.now()[0], study, content)

    def work(session: Session) -> None:
        if rows.count(session) >= MOST_ITEMS:
            raise _too_many()
        rows.insert(session, row)

    archive.index.write(work)
    return key


def replace(archive: Archive, key: str, content: bytes) -> bool:
    """Replace an item; False if there is none. Raises what `create` raises."""
    _check_writable(archive)
    folder = _folder(archive)
    if folder is not None:
        if key not in _names(folder):
            return False
        _write_file(folder, key, content)
        return True
    study = worklist_item.study_of(worklist_item.read(archive, content))
    return archive.index.write(lambda session: rows.update(session, key, study, content))


def delete(archive: Archive, key: str) -> bool:
    """Remove an item; False if there is none. Raises ReadOnly, StorageUnavailable."""
    _check_writable(archive)
    folder = _folder(archive)
    if folder is None:
        return archive.index.write(lambda session: rows.delete(session, key))
    if key not in _names(folder):
        return False
    try:
        (folder / f"{key}{SUFFIX}").unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageUnavailable("A worklist file cannot be removed") from error
    return True


def keep_house(archive: Archive) -> int:
    """Remove from the index what is done, and what is too old; gives how many items."""
    options = archive.settings.worklists
    if not options.enable or _folder(archive) is not None or archive.settings.read_only:
        return 0
    before = clock.now()[0] - options.delete_worklists_delay * 3600.0
    gone = 0
    with archive.index.read() as session:
        done = options.delete_worklists_on_stable_study and rows.has_done(session)
        old = options.delete_worklists_delay > 0 and rows.has_old(session, before)
    if done:
        gone += archive.index.write(rows.delete_done)
    if old:
        gone += archive.index.write(lambda session: rows.delete_old(session, before))
    return gone


def _folder(archive: Archive) -> Path | None:
    options = archive.settings.worklists
    return None if options.save_in_orthanc_database else options.directory


def _item(archive: Archive, row: WorklistRow) -> Item | None:
    try:
        return Item(row.id, worklist_item.read(archive, row.content), row.created_at)
    except DicomError:
        log.warning("a worklist item in the index is damaged")
        return None


def _names(folder: Path) -> list[str]:
    """The names of the items in a folder, without their suffix, sorted."""
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    names.append(entry.name.removesuffix(SUFFIX))
                    if len(names) >= MOST_ITEMS:
                        log.warning("the folder of worklists has too many files, some are left out")
                        break
    except OSError as error:
        raise StorageUnavailable("The folder of worklists cannot be read") from error
    return sorted(names)


def _read_file(archive: Archive, folder: Path, name: str) -> Item | None:
    """A file of the folder; None if it has gone or is no data set. Its name may be a patient's: not logged."""
    try:
        # What is no file, such as a pipe, would have the reader wait for ever.
        descriptor = os.open(folder / f"{name}{SUFFIX}", os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(worklist_item.LARGEST + 1)
        return Item(name, worklist_item.read(archive, content))
    except (OSError, DicomError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("a file in the folder of worklists cannot be read and is left out")
        return None


def _write_file(folder: Path, name: str, content: bytes) -> None:
    """Write a file such that readers see all of it or the one before."""
    temporary = folder / f".{uuid.uuid4()}.part"
    try:
        temporary.write_bytes(content)
        temporary.replace(folder / f"{name}{SUFFIX}")
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StorageUnavailable("A worklist file cannot be written") from error


def _check_writable(archive: Archive) -> None:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")


def _too_many() -> CodedError:
    return CodedError(codes.NOT_ENOUGH_MEMORY, f"The worklist is limited to {MOST_ITEMS} items")
