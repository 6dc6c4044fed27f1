"""Frames as arrays for programs: NumPy's file format, plain and zipped, and the text that Matlab evaluates.

Each is made piece by piece from an iterator of frames, so that a series of a thousand slices takes the memory of
one. The layout is Orthanc's to the byte, where it has one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 128
_MEMBER = "arr_0"  # numpy.savez's name for the first array
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_ROWS = 64


def numpy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The start of a `.npy` file (version 1.0) of an array in C order."""
    *outer, rows, columns, samples = shape
    first = "".join(f"{size}, " for size in outer)
    text = (
        f"{{'descr': '{dtype.newbyteorder('<').str.replace('|', '<')}', 'fortran_order': False, "
        f"'shape': ({first}{rows},{columns},{samples}), }}"
    )
    size = _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + f"{text:<{size - 1}}\n".encode()


def numpy_pieces(
    dtype: np.dtype[Any], shape: tuple[int, ...], frames: Iterator[NDArray[Any]]
) -> Iterator[bytes]:
    """A `.npy` file of `frames`; the first frame comes in the first piece."""
    little = dtype.newbyteorder("<")
    start = numpy_header(dtype, shape)
    for frame in frames:
        yield start + frame.astype(little, copy=False).tobytes()
        start = b""


def zipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a `.npy` file as the only member of a `.npz` file."""
    sink = _Sink()
    member = zipfile.ZipInfo(_MEMBER, _ZIP_DATE)
    member.compress_type = zipfile.ZIP_DEFLATED
    first = next(pieces)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
        with archive.open(member, "w", force_zip64=True) as target:
            target.write(first)
            yield sink.taken()
            for piece in pieces:
                target.write(piece)
                yield sink.taken()
        yield sink.taken()
    yield sink.taken()


class _Sink:
    """Takes what is written, like a socket: it cannot seek."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._position = 0

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._written)
        self._written.clear()
        return data


def matlab_pieces(frame: NDArray[Any]) -> Iterator[bytes]:
    """An expression of Matlab, or Octave, that is the frame as doubles."""
    if frame.ndim == 3:
        rows, columns, samples = frame.shape
        yield b"double(permute(reshape([ "
        for row in range(0, rows, _ROWS):
            yield _numbers(frame[row : row + _ROWS].ravel())
        yield f"], [ {samples} {columns} {rows} ]), [ 3 2 1 ]))".encode()
        return
    yield b"double([ "
    for number, row in enumerate(frame):
        yield (b"; " if number else b"") + _numbers(row)
    yield b"])"


def _numbers(values: NDArray[Any]) -> bytes:
    return "".join([f"{value} " for value in values.tolist()]).encode()
