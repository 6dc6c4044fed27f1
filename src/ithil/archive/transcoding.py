"""Stored and arriving files in another transfer syntax.

The codecs are loaded at the first use: a server that never transcodes does without their memory.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.dicom.scan import Scan
from ithil.dicom.uids import TRANSFER_SYNTAXES
from ithil.error_codes import CodedError
from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.syntaxes import TARGETS, is_video
from ithil.settings import Settings

MAXIMUM_FILE = 1 << 30
"""Bytes of the largest file that is transcoded. It is in memory as a whole, and so is what becomes of it."""


def transcoded(archive: Archive, file: Attachment, transfer_syntax: str, quality: int | None = None) -> bytes:
    """A stored DICOM file in the transfer syntax with this UID.

    `quality` (1 to 100) of a coding with loss is `DicomLossyTranscodingQuality` unless it is given. Results
    are kept in the cache of files. Raises CodedError (parameter out of range) for no transfer syntax,
    PixelError for pixels that cannot be transcoded, and what `retrieve.read` raises.
    """
    if quality is None:
        quality = archive.settings.dicom_lossy_transcoding_quality
    check(transfer_syntax)
    if file.uncompressed_size > MAXIMUM_FILE:
        raise UnsupportedPixels("The file is too large to be transcoded")
    key = f"{file.uuid}/{transfer_syntax}/{quality}"
    content = archive.cache.get(key)
    if content is None:
        from ithil.pixels.transcode import transcode

        content = transcode(retrieve.read(archive, file), transfer_syntax, quality=quality)
        archive.cache.put(key, content)
    return content


def check(transfer_syntax: str) -> None:
    """Raises CodedError (parameter out of range) unless this is the UID of a transfer syntax."""
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "This is not the UID of a transfer syntax")


def wanted_at_ingest(settings: Settings, found: Scan) -> str | None:
    """The transfer syntax that an arriving file is to be stored in, None for the one it has.

    Videos, and files without pixel data if the target is a compressed one, stay as they are.
    """
    target = settings.ingest_transcoding
    if not target or target == found.transfer_syntax_uid or is_video(found.transfer_syntax_uid):
        return None
    source = TRANSFER_SYNTAXES.get(found.transfer_syntax_uid)
    compressed = source is not None and source.encapsulated
    if compressed and not settings.ingest_transcoding_of_compressed:
        return None
    if not compressed and not settings.ingest_transcoding_of_uncompressed:
        return None
    if target not in TARGETS or (TRANSFER_SYNTAXES[target].encapsulated and not found.has_pixel_data):
        return None
    return target
