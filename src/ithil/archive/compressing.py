"""The compressed form of an arriving instance: in memory while it is small, in a file if it came in one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ithil.archive.storage import compression
from ithil.archive.storage.local import LocalStorage, LocalWriter

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Compressed:
    """`pieces` in memory, or a file that is being written; its size in bytes and its MD5."""

    writer: LocalWriter | None
    pieces: list[bytes]
    size: int
    md5: str


def compressed(
    storage: LocalStorage, pieces: Sequence[bytes], plain: LocalWriter | None, size: int
) -> Compressed:
    """Compress what is in the file `plain`, which is discarded, or without one in `pieces`.

    `size` is that of the plain form. Raises StorageFull, StorageUnavailable; no file is left then.
    """
    md5 = hashlib.md5(usedforsecurity=False)
    made: list[bytes] = []
    writer: LocalWriter | None = None
    total = 0
    try:
        writer = None if plain is None else storage.writer()
        for piece in compression.compressed_pieces(_plain_pieces(pieces, plain), size):
            md5.update(piece)
            total += len(piece)
            if writer is None:
                made.append(piece)
            else:
                writer.write(piece)
    except BaseException:
        if writer is not None:
            writer.discard()
        raise
    finally:
        if plain is not None:
            plain.discard()
    return Compressed(writer, made, total, md5.hexdigest())


def _plain_pieces(pieces: Sequence[bytes], plain: LocalWriter | None) -> Iterator[bytes]:
    if plain is None:
        yield from pieces
        return
    with plain.view() as view:
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]
