"""The last resort for an instance that is acknowledged and that the index does not take: its bytes are kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from ithil.archive.storage import compression
from ithil.archive.storage.local import LocalStorage, refusal

log = logging.getLogger(__name__)

_PIECE = 1024 * 1024


def plain_pieces(storage: LocalStorage, uuid: str, kind: int, content: bytes) -> Iterator[bytes]:
    """The bytes of an instance as it came: `content` is its stored form, or else its file has that.

    Raises FileMissing, FileCorrupted, StorageUnavailable.
    """
    stored = iter((content,)) if content else _pieces(storage, uuid)
    return compression.uncompressed_pieces(stored) if kind == compression.ZLIB else stored


def set_aside(folder: Path, uuid: str, pieces: Iterator[bytes], error: Exception) -> None:
    """Keep an instance in the folder `refused` of the journal, and tell the operator that `error` is why.

    Raises StorageFull, StorageUnavailable.
    """
    path = folder / "refused" / f"{uuid}.dcm"
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o640), "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        for directory in (path.parent, folder):
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError as failure:
        raise refusal(failure) from failure
    log.error(
        "An instance that was acknowledged cannot be indexed (%s) and is kept as %s. "
        "Please report this; when it is mended, send the file again",
        type(error).__name__,
        path,
    )


def _pieces(storage: LocalStorage, uuid: str) -> Iterator[bytes]:
    with storage.open(uuid) as file:
        for start in range(0, file.size, _PIECE):
            yield file.read(start, start + _PIECE)
