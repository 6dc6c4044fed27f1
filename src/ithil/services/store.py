"""The storage service class as provider (PS3.4 annex B): from C-STORE requests to the archive's ingest."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ithil.archive.archive import Archive
from ithil.archive.errors import (
    ArchiveError,
    DataSetMismatch,
    IndexUnavailable,
    MissingIdentifier,
    ReadOnly,
    StorageFull,
    StorageUnavailable,
)
from ithil.archive.ingest import Announced, Incoming
from ithil.archive.ingest_batch import accept_new
from ithil.archive.model import Origin, StoreResult
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import file_meta
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.messages import Command

log = logging.getLogger(__name__)

REFUSALS: tuple[tuple[type[Exception], int], ...] = (
    (DataSetMismatch, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
    (MissingIdentifier, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
    (DicomError, status.CANNOT_UNDERSTAND),
    (ReadOnly, status.NOT_AUTHORIZED),
    (StorageFull, status.OUT_OF_RESOURCES),
    (StorageUnavailable, status.OUT_OF_RESOURCES),
    (IndexUnavailable, status.OUT_OF_RESOURCES),
    (ArchiveError, status.PROCESSING_FAILURE),
)
"""The status of PS3.4 B.2.3 that each refusal of the archive becomes; the first that fits counts."""


class Reception:
    """The data set of one C-STORE on its way into the archive, behind file meta information made for it."""

    def __init__(
        self, archive: Archive, context: PresentationContext, command: Command, origin: Origin
    ) -> None:
        """Raises Refusal if nothing may be stored at all."""
        sop_class, sop_instance = command.sop_class_uid, command.sop_instance_uid
        syntax = context.transfer_syntax
        self._start: bytes | None = file_meta(sop_class, sop_instance, syntax, origin.remote_aet)
        announced = Announced(sop_class, sop_instance, syntax, len(self._start))
        self._peer = origin.remote_ip
        self.result: StoreResult | None = None  # once it is stored
        try:
            self.incoming = Incoming(archive, origin, announced)
        except ReadOnly as error:
            raise self._refusal(error) from error

    def write(self, views: list[memoryview]) -> None:
        """Take the next bytes of the data set. Raises Refusal."""
        try:
            if self._start is not None:
                self.incoming.write_all([self._start, *views])
                self._start = None
            else:
                self.incoming.write_all(views)
        except (DicomError, ArchiveError) as error:
            raise self._refusal(error) from error

    def finish(self) -> tuple[int, str]:
        """Store the instance; an instance that is there already is a success (PS3.4 B.2.3)."""
        try:
            self.result = self.incoming.accept()
        except (DicomError, ArchiveError) as error:
            raise self._refusal(error) from error
        return status.SUCCESS, ""

    def finished(self, outcome: StoreResult | BaseException) -> tuple[int, str] | BaseException:
        """The same after the archive has stored the instance with others, or not."""
        if isinstance(outcome, StoreResult):
            self.result = outcome
            return status.SUCCESS, ""
        return self._refusal(outcome) if isinstance(outcome, DicomError | ArchiveError) else outcome

    def discard(self) -> None:
        """Leave nothing behind."""
        self.incoming.discard()

    def _refusal(self, error: Exception) -> Refusal:
        code = next(code for kind, code in REFUSALS if isinstance(error, kind))
        log.warning("C-STORE from %s refused with status %04XH: %s", self._peer, code, error)
        return Refusal(code, str(error)[:64])  # Error Comment is a LO (PS3.7 annex C.4)


def finish_all(
    archive: Archive, receptions: Sequence[Reception]
) -> list[tuple[int, str] | BaseException | None]:
    """The same as `Reception.finish` for several: for each what that gives or raises, or None if it would wait."""
    outcomes = accept_new(archive, [reception.incoming for reception in receptions])
    return [
        None if outcome is None else reception.finished(outcome)
        for reception, outcome in zip(receptions, outcomes, strict=True)
    ]
