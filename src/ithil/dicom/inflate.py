"""Inflates a deflated data set (PS3.5 A.5) piece by piece, as far as a reader needs and a limit allows."""

from __future__ import annotations

import zlib

from ithil.dicom.encoding import Buffer
from ithil.dicom.errors import DicomError

FIRST_STEP = 1 << 20
"""Bytes to begin with: nearly every header is shorter."""
_PIECE = 256 << 10


class Inflater:
    """The inflated start of a data set, which `grow` makes longer."""

    def __init__(self, buffer: Buffer, position: int, limit: int) -> None:
        self.data = bytearray()
        self._buffer = buffer
        self._position = position
        self._limit = limit
        self._pending = b""
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def complete(self) -> bool:
        """Whether the end of the deflated stream was reached."""
        return self._stream.eof

    @property
    def starved(self) -> bool:
        """Whether the buffer ended before the deflated stream did."""
        return not (self._stream.eof or self._pending) and self._position >= len(self._buffer)

    def grow(self) -> None:
        """Inflates up to four times as much; raises `DicomError` for corrupt data or beyond the limit."""
        if len(self.data) >= self._limit:
            raise DicomError("the deflated data set is too large")
        target = min(max(FIRST_STEP, 4 * len(self.data)), self._limit)
        try:
            while len(self.data) < target and not self.complete and not self.starved:
                if not self._pending:
                    self._pending = bytes(self._buffer[self._position : self._position + _PIECE])
                    self._position += len(self._pending)
                self.data += self._stream.decompress(self._pending, target - len(self.data))
                self._pending = self._stream.unconsumed_tail
        except zlib.error:
            raise DicomError("the deflated data set is corrupt") from None
