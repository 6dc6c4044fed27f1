"""From a stored file to the bytes of its entry: reading, transcoding and compressing, ready for other threads.

A file is read and compressed as a whole by libdeflate, which at its lowest level is about twice as fast as
zlib at its own and five times as fast as the level that Orthanc uses, for one or two percent of size. Small
ones go together, so that threads are not woken for every one of thousands. A file too large for that is cut
into pieces that zlib compresses independently of each other.

What is compressed already (JPEG and its like) gains nothing and is stored as it is.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ithil.archive import resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.export.ahead import Work
from ithil.archive.export.records import Records, describe, from_values
from ithil.archive.export.walk import Member
from ithil.archive.export.zip_format import DEFLATED, STORED
from ithil.archive.model import Attachment
from ithil.archive.storage import compression
from ithil.archive.transcoding import MAXIMUM_FILE, transcoded
from ithil.dicom import uids
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.pixels.errors import PixelError

log = logging.getLogger(__name__)

WHOLE_BYTES = 16 * 1024 * 1024
"""Larger files are compressed in pieces, unless they are transcoded."""

PIECE_BYTES = 4 * 1024 * 1024
_BATCH_BYTES = 1024 * 1024
_BATCH_FILES = 64
_LEVEL = 1
_NO_COMPRESSION = 0  # deflate with blocks that are stored
_PREFIX = 8  # bytes of the size before the zlib stream of a compressed file


@dataclass(frozen=True, slots=True)
class Form:
    """What becomes of the files. `transcode` is a transfer syntax or None, `quality` that of lossy ones.

    `directory` asks for `Records`, `extended` for their keys of type 3.
    """

    transcode: str | None = None
    quality: int | None = None
    directory: bool = False
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """A whole entry, or `data` None for a file that is not there (or not whole) any more."""

    member: Member
    data: bytes | None
    method: int = STORED
    size: int = 0
    checksum: int = 0
    records: Records | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a large entry, compressed and plain. An `error` is what reading it raised."""

    member: Member
    first: bool
    last: bool
    data: bytes = b""
    plain: bytes = b""
    records: Records | None = None
    error: FileMissing | FileCorrupted | None = None


Prepared = list[Packed] | Piece


def works(archive: Archive, members: Iterator[Member], form: Form) -> Iterator[Work[Prepared]]:
    """What has to be done for `members`, in their order."""
    batch: list[Member] = []
    size = 0
    for member in members:
        if member.file.uncompressed_size > WHOLE_BYTES and not _is_transcoded(member, form):
            if batch:
                yield Work(partial(_pack_all, archive, batch, form), size)
                batch, size = [], 0
            yield from _works_of_large(archive, member, form)
            continue
        batch.append(member)
        size += member.file.uncompressed_size
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
            yield Work(partial(_pack_all, archive, batch, form), size)
            batch, size = [], 0
    if batch:
        yield Work(partial(_pack_all, archive, batch, form), size)


def _is_transcoded(member: Member, form: Form) -> bool:
    return (
        form.transcode is not None
        and form.transcode != member.transfer_syntax
        and member.file.uncompressed_size <= MAXIMUM_FILE
    )


# -- whole files ---------------------------------------------------------------------------------------------


def _pack_all(archive: Archive, batch: list[Member], form: Form) -> Prepared:
    return [_pack(archive, member, form) for member in batch]


def _pack(archive: Archive, member: Member, form: Form) -> Packed:
    try:
        plain, syntax = _content(archive, member, form)
    except (FileMissing, FileCorrupted):
        return Packed(member, None)
    records = _records(archive, member, plain, form)
    checksum = zlib.crc32(plain)
    if not _is_compressed(syntax):
        data = _deflated(plain)
        if len(data) < len(plain):
            return Packed(member, data, DEFLATED, len(plain), checksum, records)
    return Packed(member, plain, STORED, len(plain), checksum, records)


def _deflated(plain: bytes) -> bytes:
    import imagecodecs  # here, so that a server that makes no archives does without its memory

    return bytes(imagecodecs.deflate_encode(plain, level=_LEVEL, raw=True))


def _content(archive: Archive, member: Member, form: Form) -> tuple[bytes, str]:
    """The bytes that go into the archive, and their transfer syntax.

    What cannot be transcoded stays as it is stored, as in Orthanc.
    """
    if _is_transcoded(member, form):
        assert form.transcode is not None
        try:
            return transcoded(archive, member.file, form.transcode, form.quality), form.transcode
        except (PixelError, DicomError) as error:
            log.info("Instance %s is archived as it is stored: %s", member.instance, error)
    # The cache keeps what clients look at; an archive, which is read once, must not push that out.
    cached = archive.cache.get(member.file.uuid)
    if cached is not None:
        return cached, member.transfer_syntax
    stored = retrieve.read_raw(archive, member.file)
    plain = stored if member.file.compression == compression.NONE else compression.uncompress(stored)
    return plain, member.transfer_syntax


def _is_compressed(transfer_syntax: str) -> bool:
    """Whether a file in this transfer syntax does not get smaller; run lengths alone still do."""
    syntax = uids.transfer_syntax(transfer_syntax)
    return syntax.deflated or (syntax.encapsulated and transfer_syntax != uids.RLE)


def _records(archive: Archive, member: Member, content: bytes, form: Form) -> Records | None:
    if not form.directory:
        return None
    try:
        return describe(content, extended=form.extended)
    except DicomError:
        return _records_of_index(archive, member)


def _records_of_index(archive: Archive, member: Member) -> Records:
    values: dict[int, str] = {}
    sop_class = None
    for level in Level:
        public_id = resources.ancestor(archive, Level.INSTANCE, member.instance, level)
        found = resources.read(archive, level, public_id) if public_id is not None else None
        if found is not None:
            values |= found.main_tags
            sop_class = found.metadata.get(_SOP_CLASS_METADATA)
    return from_values(values, sop_class.value if sop_class else "", member.transfer_syntax)


_SOP_CLASS_METADATA = 10


# -- large files ---------------------------------------------------------------------------------------------


def _works_of_large(archive: Archive, member: Member, form: Form) -> Iterator[Work[Prepared]]:
    level = _NO_COMPRESSION if _is_compressed(member.transfer_syntax) else _LEVEL
    file, size = member.file, member.file.uncompressed_size
    if file.compression == compression.NONE:
        for start in range(0, size, PIECE_BYTES):
            end = min(start + PIECE_BYTES, size)
            yield Work(partial(_pack_range, archive, member, form, level, start, end), end - start)
        return
    # A zlib stream can only be inflated in its order, so that happens here, in the consumer's thread.
    done = 0
    try:
        for plain in _inflated(archive, file):
            first, done = not done, done + len(plain)
            work = partial(_pack_plain, archive, member, form, level, plain, first, done == size)
            yield Work(work, len(plain))
    except (FileMissing, FileCorrupted) as error:
        yield Work(partial(Piece, member, first=not done, last=True, error=error), 0)


def _pack_range(archive: Archive, member: Member, form: Form, level: int, start: int, end: int) -> Prepared:
    first, last = start == 0, end == member.file.uncompressed_size
    try:
        plain = archive.storage.read(member.file.uuid, start, end)
        if len(plain) != end - start:
            raise FileCorrupted("A stored file does not have the size that the index remembers")
    except (FileMissing, FileCorrupted) as error:
        return Piece(member, first, last, error=error)
    return _pack_plain(archive, member, form, level, plain, first, last)


def _pack_plain(
    archive: Archive, member: Member, form: Form, level: int, plain: bytes, first: bool, last: bool
) -> Prepared:
    records = _records(archive, member, plain, form) if first else None
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A full flush ends a piece on a byte and forgets its text: the next one needs nothing of it.
    data = deflater.compress(plain) + deflater.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)
    return Piece(member, first, last, data, plain, records)


def _inflated(archive: Archive, file: Attachment) -> Iterator[bytes]:
    """The plain bytes of a compressed file in pieces. Raises FileMissing, FileCorrupted."""
    inflater = zlib.decompressobj()
    left, position = file.uncompressed_size, _PREFIX
    waiting = b""
    while left:
        if not waiting:
            end = min(position + PIECE_BYTES, file.compressed_size)
            waiting = archive.storage.read(file.uuid, position, end)
            position += len(waiting)
            if not waiting:
                raise FileCorrupted("A compressed file is too short")
        try:
            piece = inflater.decompress(waiting, min(PIECE_BYTES, left))
        except zlib.error:
            raise FileCorrupted("A compressed file cannot be inflated") from None
        waiting = inflater.unconsumed_tail
        if inflater.eof and len(piece) < left:
            raise FileCorrupted("A compressed file does not have the size it announces")
        left -= len(piece)
        if piece:
            yield piece
