"""Metadata and bulk data of a store request, and the files that are composed of them (PS3.18 10.5.1, 8.7.3).

Metadata is small, and held until the body is complete; bulk data goes to a temporary file without a name. Then
each data set of the metadata becomes a file: its header is written, and its bulk data copied from file to file,
so a video of gigabytes takes no more memory than a picture. All bulk data of an instance must be there, and all
of it is checked before the first byte is handed to the archive.
"""

from __future__ import annotations

import tempfile
from mmap import ACCESS_READ, mmap
from threading import BoundedSemaphore
from typing import IO

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.ingest import Incoming
from ithil.archive.model import Origin
from ithil.archive.storage.local import refusal
from ithil.dicom import json_reader, xml_reader
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.json_reader import Json
from ithil.dicom.main_tags import SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.dicom.related_reader import MediaType
from ithil.dicomweb import stow_outcome
from ithil.dicomweb.stow_compose import BulkPart, compose
from ithil.dicomweb.stow_outcome import Outcome
from ithil.error_codes import CodedError

LARGEST_METADATA = 64 * 1024 * 1024
"""Bytes of all metadata of one request."""

MOST_INSTANCES = 100_000
"""Data sets in the metadata of one request."""

_PIECE = 1024 * 1024
_JSON = ("application/dicom+json", "application/json")
_XML = ("application/dicom+xml", "application/xml", "text/xml")
_UIDS = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID)

_composing = BoundedSemaphore(2)
"""Documents take a multiple of their size when they are read, so only few are at the same time."""


class Documents:
    """The metadata and the bulk data of one request. Not for several threads at a time."""

    def __init__(self, archive: Archive, origin: Origin, study: str) -> None:
        self._archive = archive
        self._origin = origin
        self._study = study
        self._metadata: list[tuple[bool, bytearray]] = []
        self._size = 0
        self._bulk: dict[str, list[BulkPart]] = {}
        self._spool: IO[bytes] | None = None
        self._part: BulkPart | None = None

    def begin(self, kind: str, media_type: MediaType, location: str) -> None:
        """A part begins; `kind` is its media type, `location` its Content-Location."""
        if kind in _JSON or (kind in _XML and not location):
            self._metadata.append((kind in _XML, bytearray()))
            self._part = None
            return
        syntax = media_type.parameters.get("transfer-syntax", "")
        start = 0 if self._spool is None else self._spool.tell()
        self._part = BulkPart(kind, syntax, start, 0)
        self._bulk.setdefault(location, []).append(self._part)

    def write(self, data: bytes) -> None:
        """More of the part. Raises CodedError (413) for too much metadata, StorageFull, StorageUnavailable."""
        if self._part is None:
            self._size += len(data)
            if self._size > LARGEST_METADATA:
                raise CodedError(codes.BAD_REQUEST, "The metadata is too large", status=413)
            self._metadata[-1][1].extend(data)
            return
        try:
            if self._spool is None:
                folder = self._archive.settings.temporary_directory
                self._spool = tempfile.TemporaryFile(prefix="ithil-bulk-", dir=folder)  # noqa: SIM115
            self._spool.write(data)
        except OSError as error:
            raise refusal(error) from error
        self._part.length += len(data)

    def end(self) -> None:
        """The part is complete."""
        self._part = None

    def discard(self) -> None:
        """Forget all of it; harmless when called twice."""
        self._metadata = []
        self._bulk = {}
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def store(self) -> list[Outcome]:
        """Compose all instances and store them; never raises. Everything is forgotten afterwards."""
        outcomes: list[Outcome] = []
        try:
            with _composing:
                self._store_all(outcomes)
        except Exception as error:
            outcomes.append(stow_outcome.failed(error))
        finally:
            self.discard()
        return outcomes

    def _store_all(self, outcomes: list[Outcome]) -> None:
        view = memoryview(b"")
        mapped: mmap | None = None
        if self._spool is not None:
            self._spool.flush()
            if self._spool.tell():
                mapped = mmap(self._spool.fileno(), 0, access=ACCESS_READ)
                view = memoryview(mapped)
        if not self._metadata:
            outcomes.append(stow_outcome.failed(DicomError("there is bulk data, and no metadata")))
        ithil = self._archive.settings.ithil
        limits = ScanLimits(ithil.maximum_sequence_depth, ithil.maximum_elements)
        while self._metadata:
            is_xml, content = self._metadata.pop(0)
            try:
                document = bytes(content)
                objects = xml_reader.load(document, limits) if is_xml else json_reader.load(document)
                if len(objects) + len(outcomes) > MOST_INSTANCES:
                    raise DicomError("the metadata holds too many data sets")
            except DicomError as error:
                outcomes.append(stow_outcome.failed(error))
                continue
            outcomes += [self._store(each, view, limits) for each in objects]

    def _store(self, document: Json, spool: memoryview, limits: ScanLimits) -> Outcome:
        """Compose one instance and store it."""
        incoming = Incoming(self._archive, self._origin, study=self._study)
        incoming.tags = {tag: uid for tag in _UIDS if (uid := _uid(document, tag))}
        try:
            composed = compose(document, self._bulk, spool, limits)
            for piece in composed.pieces():
                for start in range(0, len(piece), _PIECE):
                    incoming.write(piece[start : start + _PIECE])
            incoming.accept()
            return stow_outcome.stored(incoming, composed.changed)
        except Exception as error:
            return stow_outcome.failed(error, incoming)
        finally:
            incoming.discard()


def _uid(document: Json, tag: int) -> str:
    """A UID of the document if it is one, for the answer."""
    attribute = document.get(f"{tag:08X}")
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    uid = values[0] if isinstance(values, list) and values else None
    return uid if isinstance(uid, str) and len(uid) <= 64 and uid.replace(".", "").isdigit() else ""
