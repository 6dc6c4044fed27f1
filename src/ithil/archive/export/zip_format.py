"""The bytes of a ZIP file around its entries (PKWARE's APPNOTE 6.3), for a file that is written in one go.

Python's `zipfile` wants to seek or to compress by itself, with zlib alone and on one thread. Here the caller
brings entries that are compressed already, so several can be compressed at the same time and with a faster
library. An entry whose size and checksum are known goes with them in front, which every tool can read as a
stream. The others (large files, compressed in pieces) have them behind, in a data descriptor.

Zip64 appears only where a number needs it, so that old tools read what they can. The central directory, which
grows with the number of entries, waits in a temporary file once it is large.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile

STORED = 0
DEFLATED = 8

COMMENT = b"Created by Ithil"

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")
_DESCRIPTOR = struct.Struct("<4sIII")
_DESCRIPTOR_64 = struct.Struct("<4sIQQ")

_MAX_16 = 0xFFFF
_MAX_32 = 0xFFFFFFFF
_VERSION = 20
_VERSION_64 = 45
_BEHIND = 0x0008  # general purpose flag: sizes and checksum follow the data
_UTF8 = 0x0800  # general purpose flag: the name is UTF-8
_IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024
_MARGIN = 64 * 1024 * 1024  # what compression may add to a file that does not compress; very generous


class ZipWriter:
    """Writes the frame of one ZIP file; what it returns must be sent in that order, with the data between.

    `moment` is the local time that all entries get; `folder` is where the temporary file may lie.
    """

    def __init__(self, moment: time.struct_time, folder: str | None = None) -> None:
        year = min(max(moment.tm_year, 1980), 2107)
        self._date = (year - 1980) << 9 | moment.tm_mon << 5 | moment.tm_mday
        self._time = moment.tm_hour << 11 | moment.tm_min << 5 | min(moment.tm_sec, 58) >> 1
        self._directory = SpooledTemporaryFile(max_size=_IN_MEMORY, dir=folder)  # noqa: SIM115 (closed by close)
        self._count = 0
        self._open: tuple[bytes, int, int, bool] | None = None
        self.offset = 0
        """Bytes of the file so far, those of the data included."""

    def entry(self, name: str, data_size: int, size: int, checksum: int, method: int) -> bytes:
        """What goes before an entry whose data has `data_size` bytes, and `size` before its compression."""
        coded, flags = _name(name)
        large = data_size >= _MAX_32 or size >= _MAX_32
        extra = struct.pack("<HHQQ", 1, 16, size, data_size) if large else b""
        shown = (_MAX_32, _MAX_32) if large else (data_size, size)
        header = self._local(coded, flags, method, checksum, *shown, extra)
        self._list(coded, flags, method, checksum, data_size, size, self.offset)
        self.offset += len(header) + data_size
        return header

    def begin(self, name: str, expected_size: int) -> bytes:
        """What goes before an entry that is deflated piece by piece; `end` must follow its data.

        `expected_size` is that of the plain data, to decide about Zip64 beforehand.
        """
        coded, flags = _name(name)
        flags |= _BEHIND
        large = expected_size >= _MAX_32 - _MARGIN
        # With Zip64 the sizes of the descriptor have 8 bytes; the extra field announces that (4.3.9.2).
        extra = struct.pack("<HHQQ", 1, 16, 0, 0) if large else b""
        shown = (_MAX_32, _MAX_32) if large else (0, 0)
        header = self._local(coded, flags, DEFLATED, 0, *shown, extra)
        self._open = (coded, flags, self.offset, large)
        self.offset += len(header)
        return header

    def end(self, data_size: int, size: int, checksum: int) -> bytes:
        """What goes behind the data of the entry that `begin` opened."""
        assert self._open is not None
        coded, flags, start, large = self._open
        self._open = None
        if not large and max(data_size, size) >= _MAX_32:
            raise OverflowError("an entry is larger than was announced")
        kind = _DESCRIPTOR_64 if large else _DESCRIPTOR
        descriptor = kind.pack(b"PK\x07\x08", checksum, data_size, size)
        self._list(coded, flags, DEFLATED, checksum, data_size, size, start)
        self.offset += data_size + len(descriptor)
        return descriptor

    def finish(self) -> Iterator[bytes]:
        """The central directory and the end of the file."""
        start, size = self.offset, self._directory.tell()
        self._directory.seek(0)
        while piece := self._directory.read(_PIECE):
            yield piece
        end = b""
        if self._count >= _MAX_16 or size >= _MAX_32 or start >= _MAX_32:
            end = _END_64.pack(
                b"PK\x06\x06",
                _END_64.size - 12,
                _VERSION_64,
                _VERSION_64,
                0,
                0,
                self._count,
                self._count,
                size,
                start,
            ) + _LOCATOR_64.pack(b"PK\x06\x07", 0, start + size, 1)
        count = min(self._count, _MAX_16)
        end += _END.pack(
            b"PK\x05\x06", 0, 0, count, count, min(size, _MAX_32), min(start, _MAX_32), len(COMMENT)
        )
        end += COMMENT
        self.offset += size + len(end)
        yield end

    def close(self) -> None:
        """Give back the temporary file."""
        self._directory.close()

    def _local(
        self, name: bytes, flags: int, method: int, checksum: int, data_size: int, size: int, extra: bytes
    ) -> bytes:
        version = _VERSION_64 if extra else _VERSION
        sizes = (checksum, data_size, size, len(name), len(extra))
        fixed = _LOCAL.pack(b"PK\x03\x04", version, flags, method, self._time, self._date, *sizes)
        return fixed + name + extra

    def _list(
        self, name: bytes, flags: int, method: int, checksum: int, data_size: int, size: int, start: int
    ) -> None:
        """Enter an entry into the central directory; only what does not fit goes into the Zip64 field."""
        large = [number for number in (size, data_size, start) if number >= _MAX_32]
        extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = _VERSION_64 if large or (flags & _BEHIND and size >= _MAX_32 - _MARGIN) else _VERSION
        fixed = _CENTRAL.pack(
            b"PK\x01\x02",
            version,  # made by: 0 in the upper byte is MS-DOS, so that nobody looks for permissions
            version,
            flags,
            method,
            self._time,
            self._date,
            checksum,
            min(data_size, _MAX_32),
            min(size, _MAX_32),
            len(name),
            len(extra),
            0,
            0,
            0,
            0,
            min(start, _MAX_32),
        )
        self._directory.write(fixed + name + extra)
        self._count += 1


def _name(name: str) -> tuple[bytes, int]:
    """The name as bytes, and the flag that says so if they are UTF-8."""
    coded = name.encode("utf-8")
    return coded, 0 if name.isascii() else _UTF8
