"""Storing the DICOM files of an uploaded ZIP.

Only what a ZIP contains counts: names and folders mean nothing, members that are not DICOM or that lack the
identifiers of an instance (a DICOMDIR) are passed over, ZIPs inside it are not opened. Members are read in
pieces and counted while they are, since the sizes in a ZIP can say anything. One whose first bytes are not
those of DICOM is not unpacked any further: a few kilobytes can stand for gigabytes of zeros.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO

from ithil import error_codes as codes
from ithil.archive import ingest
from ithil.archive.archive import Archive
from ithil.archive.errors import MissingIdentifier
from ithil.archive.model import Origin, StoreResult
from ithil.dicom.errors import DicomError
from ithil.error_codes import CodedError

PIECE = 1024 * 1024
START = 132
"""Bytes of a member by which DICOM is recognised: the preamble and its prefix (PS3.10 7.1)."""
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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the unpacking of one ZIP may go.

    Parameters:
        member: bytes of one member when uncompressed; 0 for no limit.
        total: bytes of all members together; 0 for no limit.
        stopping: set when the server stops, which ends the unpacking.
    """

    member: int
    total: int
    stopping: threading.Event


class _Unpacked:
    """What was unpacked of one ZIP so far."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._total = 0
        self._member = 0

    def begin(self) -> None:
        """The next piece belongs to another member."""
        self._member = 0

    def read(self, content: IO[bytes], size: int) -> bytes:
        """The next bytes of a member. Raises CodedError beyond a bound and when the server stops."""
        bounds = self._bounds
        if bounds.stopping.is_set():
            raise CodedError(codes.INTERNAL_ERROR, "The server stops", status=503)
        piece = content.read(size)
        self._member += len(piece)
        self._total += len(piece)
        if bounds.member and self._member > bounds.member:
            raise _bad("A member of the ZIP archive is above MaximumFileSizeInArchiveMB")
        if bounds.total and self._total > bounds.total:
            raise _bad("The members of the ZIP archive are together above MaximumRequestBodySizeMB")
        return piece


def store_members(archive: Archive, file: IO[bytes], origin: Origin, bounds: Bounds) -> list[StoreResult]:
    """Store every DICOM file of a ZIP, in the order of its directory. Blocking.

    Raises CodedError (bad file format) for a ZIP that is damaged, empty, encrypted, or beyond a bound, and
    (503) when the server stops. What was stored before stays stored. Raises ArchiveError as ingest does.
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
            unpacked = _Unpacked(bounds)
            for member in members:
                with container.open(member) as content:
                    result = _store(archive, content, origin, unpacked)
                if result is not None:
                    results.append(result)
            return results
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
        raise _bad("The ZIP archive is damaged") from error
    except (ValueError, RuntimeError, OverflowError, UnicodeError) as error:
        if isinstance(error, DicomError):
            raise
        raise _bad("The ZIP archive cannot be read") from error


def _store(archive: Archive, content: IO[bytes], origin: Origin, unpacked: _Unpacked) -> StoreResult | None:
    """Store one member; None for one that is not an instance."""
    unpacked.begin()
    first = unpacked.read(content, START)
    if not _may_be_dicom(first):
        return None
    first += unpacked.read(content, PIECE - len(first))
    try:
        if len(first) < PIECE:
            return ingest.store(archive, first, origin)
        incoming = ingest.Incoming(archive, origin)
        try:
            incoming.write(first)
            while piece := unpacked.read(content, PIECE):
                incoming.write(piece)
            return incoming.accept()
        except BaseException:
            incoming.discard()
            raise
    except (DicomError, MissingIdentifier):
        return None


def _may_be_dicom(start: bytes) -> bool:
    """Whether a file that starts so can be an instance.

    Either it has the prefix of PS3.10 7.1, or it is a bare data set, which comes in the order of its tags and
    has a SOP Instance UID (0008,0018): its first group is one of 0002 to 0008, in either byte order.
    """
    if start[128:132] == b"DICM":
        return True
    groups = (2, 4, 6, 8)
    return int.from_bytes(start[:2], "little") in groups or int.from_bytes(start[:2], "big") in groups


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


def _bad(details: str) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, details)
