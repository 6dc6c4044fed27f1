"""Stored and arriving files in another transfer syntax.

The codecs are loaded at the first use: a server that never transcodes does without their memory.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.archive.shared_cache import SharedCache
from ithil.dicom.scan import Scan
from ithil.dicom.uids import TRANSFER_SYNTAXES
from ithil.error_codes import CodedError
from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.syntaxes import LOSSY_METHODS, TARGETS, is_video
from ithil.settings import Settings

_OF_LOSS = frozenset(
    {
        *LOSSY_METHODS,
        *(f"1.2.840.10008.1.2.4.{number}" for number in (*range(52, 57), *range(59, 65), 93, 111, 112)),
    }
)

# One for the process: the keys are UUIDs of files, which are unique among all archives.
_shared = SharedCache()

MAXIMUM_FILE = 1 << 30
"""Bytes of the largest file that is transcoded. It is in memory as a whole, and so is what becomes of it."""


def transcoded(archive: Archive, file: Attachment, transfer_syntax: str, quality: int | None = None) -> bytes:
    """A stored DICOM file in the transfer syntax with this UID.

    `quality` (1 to 100) of a coding with loss is `DicomLossyTranscodingQuality` unless it is given. Results
    are kept in the cache of files, and who asks while one is made waits for it. Raises CodedError (parameter
    out of range) for no transfer syntax, PixelError for pixels that cannot be transcoded, and what
    `retrieve.read` raises.
    """
    if quality is None:
        quality = archive.settings.dicom_lossy_transcoding_quality
    check(transfer_syntax)
    if file.uncompressed_size > MAXIMUM_FILE:
        raise UnsupportedPixels("The file is too large to be transcoded")
    key = f"{file.uuid}/{transfer_syntax}/{quality}"
    content = archive.cache.get(key)
    if content is not None:
        return content

    def make() -> tuple[bytes, int]:
        from ithil.pixels.transcode import transcode

        made = transcode(retrieve.read(archive, file), transfer_syntax, quality=quality)
        archive.cache.put(key, made)
        return made, len(made)

    return _shared.get(key, 0, make, keep=False)


def check(transfer_syntax: str) -> None:
    """Raises CodedError (parameter out of range) unless this is the UID of a transfer syntax."""
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "This is not the UID of a transfer syntax")


def stays_as_stored(transfer_syntax: str) -> bool:
    """Whether a client that names no transfer syntax gets pixels in the stored one (PS3.18 8.7.3.5.2).

    What was coded with loss, or may have been, gains nothing from decoding but size, and a video cannot be.
    """
    return transfer_syntax in _OF_LOSS or is_video(transfer_syntax)


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
