"""Storing the DICOM files of an uploaded ZIP.

Only what a ZIP contains counts: names and folders mean nothing, members that are not DICOM or that lack the
identifiers of an instance (a DICOMDIR) are passed over, ZIPs inside it are not opened. Members are read in
pieces and counted while they are, since the sizes in a ZIP can say anything.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO

from ithil.archive import ingest
from ithil.archive.archive import Archive
from ithil.archive.errors import MissingIdentifier
from ithil.archive.model import Origin, StoreResult
from ithil.dicom.errors import DicomError
from ithil.rest import errors
from ithil.rest.errors import RestError

PIECE = 1024 * 1024
LARGEST_DIRECTORY = 64 * 1024 * 1024
"""Bytes of the list of members, which is held in memory: room for about a million of them."""

_ENCRYPTED = 0x1
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_END = b"PK\x05\x06"
_END_LOCATOR_64 = b"PK\x06\x07"
_END_SEARCH = 22 + 65535 + 20  # the record, its longest comment, and the ZIP64 locator before it


def is_zip(content: bytes) -> bool:
    """Whether a file starts like a ZIP (APPNOTE 4.3)."""
    return content[:4] in _SIGNATURES


def store_members(archive: Archive, file: IO[bytes], origin: Origin, limit: int) -> list[StoreResult]:
    """Store every DICOM file of a ZIP, in the order of its directory. Blocking.

    Parameters:
        limit: bytes of one member when uncompressed; 0 for none.

    Raises RestError (bad file format) for a ZIP that is damaged, empty, encrypted, or beyond a limit. What
    was stored before the damage was met stays stored. Raises ArchiveError as ingest does.
    """
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as container:
            members = [member for member in container.infolist() if not member.is_dir()]
            if not container.infolist():
                raise _bad("The ZIP archive is empty")
            if any(member.flag_bits & _ENCRYPTED for member in members):
                raise _bad("The ZIP archive is encrypted")
            results = []
            for member in members:
                with container.open(member) as content:
                    result = _store(archive, content, origin, limit)
                if result is not None:
                    results.append(result)
            return results
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
        raise _bad("The ZIP archive is damaged") from error
    except (ValueError, RuntimeError, OverflowError, UnicodeError) as error:
        if isinstance(error, DicomError):
            raise
        raise _bad("The ZIP archive cannot be read") from error


def _store(archive: Archive, content: IO[bytes], origin: Origin, limit: int) -> StoreResult | None:
    """Store one member; None for one that is not an instance."""
    first = content.read(PIECE)
    if limit and len(first) > limit:
        raise _too_large()
    try:
        if len(first) < PIECE:
            return ingest.store(archive, first, origin)
        incoming = ingest.Incoming(archive, origin)
        try:
            total = len(first)
            incoming.write(first)
            while piece := content.read(PIECE):
                total += len(piece)
                if limit and total > limit:
                    raise _too_large()
                incoming.write(piece)
            return incoming.commit()
        except BaseException:
            incoming.discard()
            raise
    except (DicomError, MissingIdentifier):
        return None


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a list of members that is too long before it is read into memory."""
    size = file.seek(0, 2)
    start = max(size - _END_SEARCH, 0)
    file.seek(start)
    tail = file.read(_END_SEARCH)
    end = tail.rfind(_END)
    if end < 0 or end + 22 > len(tail):
        raise _bad("The ZIP archive is damaged")
    (directory,) = struct.unpack_from("<L", tail, end + 12)
    if end >= 20 and tail[end - 20 : end - 16] == _END_LOCATOR_64:
        (position,) = struct.unpack_from("<Q", tail, end - 12)
        if position + 56 <= size:
            file.seek(position)
            (directory,) = struct.unpack_from("<Q", file.read(56), 40)
    if directory > LARGEST_DIRECTORY:
        raise _bad("The ZIP archive has too many members")
    file.seek(0)


def _bad(details: str) -> RestError:
    return RestError(errors.BAD_FILE_FORMAT, details)


def _too_large() -> RestError:
    return _bad("A member of the ZIP archive is above MaximumFileSizeInArchiveMB")
