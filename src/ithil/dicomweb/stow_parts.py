"""What becomes of the parts of a store request while its body arrives (PS3.18 10.5.1).

A part that is a DICOM file goes straight into the archive's way in, piece by piece, and is `Ready` when its last
byte is there; whoever drives this then has it prepared and settled, in whichever thread. Metadata and its bulk
data are kept (the bulk data on the disk) until the body is complete, since either may refer to what comes
later. A part that is neither is a failure of its own. Nothing here is for several threads at a time, but for
`Ready.prepare` and `settle`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ithil import error_codes as codes
from ithil.archive import ingest_batch
from ithil.archive.archive import Archive
from ithil.archive.ingest import Incoming
from ithil.archive.intake import Prepared
from ithil.archive.model import Origin
from ithil.dicom.errors import DicomError
from ithil.dicom.related_reader import (
    Event,
    MalformedMultipart,
    MediaType,
    PartEnd,
    PartHead,
    RelatedReader,
)
from ithil.dicomweb import stow_outcome
from ithil.dicomweb.stow_metadata import Documents
from ithil.dicomweb.stow_outcome import Outcome
from ithil.error_codes import CodedError

DICOM = "application/dicom"
METADATA = ("application/dicom+json", "application/dicom+xml")
ROOTS = (DICOM, *METADATA)
"""What the root of a multipart body, or a body without parts, can be."""

MOST_PARTS = 100_000
"""Parts of one request."""

_BINARY = "application/octet-stream"


class Ready:
    """Something that has arrived in full: `prepare` it, then `settle` it, in any thread; neither raises."""

    __slots__ = ("outcomes", "size")

    def __init__(self, *outcomes: Outcome, size: int = 0) -> None:
        self.outcomes: list[Outcome] | None = list(outcomes) or None
        """What became of its instances; None before it is settled."""
        self.size = size
        """Bytes."""

    def prepare(self) -> None:
        """Do what can be done without others; it may be settled then."""

    def discard(self) -> None:
        """Forget it, unless it is stored; harmless when called twice."""


class ReadyFile(Ready):
    """A DICOM file; `settle` stores many of them."""

    __slots__ = ("incoming",)

    def __init__(self, incoming: Incoming) -> None:
        super().__init__(size=incoming.size)
        self.incoming = incoming

    def prepare(self) -> None:
        """Read its header and write its file."""
        try:
            if not isinstance(self.incoming.prepare(), Prepared):
                self.outcomes = [stow_outcome.stored(self.incoming)]
        except Exception as error:
            self.outcomes = [stow_outcome.failed(error, self.incoming)]

    def discard(self) -> None:
        """Forget its bytes."""
        self.incoming.discard()


class ReadyDocuments(Ready):
    """All metadata of a request, with its bulk data."""

    __slots__ = ("_documents",)

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents

    def prepare(self) -> None:
        """Compose the instances and store them, one after the other."""
        if self.outcomes is None:
            self.outcomes = self._documents.store()

    def discard(self) -> None:
        """Forget all of it."""
        self._documents.discard()


def settle(archive: Archive, ready: Sequence[Ready]) -> None:
    """Store files that were prepared, together; blocks until they are safe. Never raises."""
    files = [each for each in ready if isinstance(each, ReadyFile) and each.outcomes is None]
    results = ingest_batch.commit_all(archive, [each.incoming for each in files])
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Exception):
            file.outcomes = [stow_outcome.failed(result, file.incoming)]
        elif isinstance(result, BaseException):
            raise result
        else:
            file.outcomes = [stow_outcome.stored(file.incoming)]


class Parts:
    """The parts of one request.

    Parameters:
        root: the media type that the request as a whole has, "" if it does not say.
        boundary: of a multipart body; None for a body that is a part itself.
        study: the Study Instance UID that all instances must have, "" for any.
    """

    def __init__(
        self, archive: Archive, origin: Origin, root: MediaType, boundary: str | None, study: str = ""
    ) -> None:
        """Raises CodedError (bad request) for a boundary that cannot be one."""
        self.malformed: MalformedMultipart | None = None
        """Why the body makes no sense from some place on; what came before that is good."""
        self._archive = archive
        self._origin = origin
        self._root = root.name
        self._study = study
        self._count = 0
        self._incoming: Incoming | None = None
        self._failure: Outcome | None = None
        self._documents: Documents | None = None
        self._in_document = False
        self._reader: RelatedReader | None = None
        if boundary is not None:
            try:
                self._reader = RelatedReader(boundary)
            except MalformedMultipart as error:
                raise CodedError(codes.BAD_REQUEST, str(error)) from None
        else:
            self._begin(PartHead({"content-type": root.name}))

    def feed(self, data: bytes, *, last: bool = False) -> list[Ready]:
        """Take the next bytes; gives what is complete now. `last` tells that the body ends with them.

        Raises CodedError (413) for too many parts, or too much metadata.
        """
        ready: list[Ready] = []
        try:
            if self._reader is None:
                self._write(data)
                if last:
                    self._end(ready)
            else:
                for event in self._reader.feed(data):
                    self._take(event, ready)
                if last:
                    self._reader.close()
        except MalformedMultipart as error:
            self.malformed = error
        except BaseException:
            for each in ready:
                each.discard()
            raise
        if last and self._documents is not None and self.malformed is None:
            ready.append(ReadyDocuments(self._documents))
        return ready

    def discard(self) -> None:
        """Forget the part that has not come to its end, and all metadata; harmless when called twice."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.discard()
        documents, self._documents = self._documents, None
        if documents is not None:
            documents.discard()

    def _take(self, event: Event, ready: list[Ready]) -> None:
        if isinstance(event, bytes):
            self._write(event)
        elif isinstance(event, PartEnd):
            self._end(ready)
        else:
            self._begin(event)

    def _begin(self, head: PartHead) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise CodedError(codes.BAD_REQUEST, f"A request may have {MOST_PARTS} parts", status=413)
        media_type = head.media_type
        kind = media_type.name or self._root or DICOM
        if kind == DICOM or (kind == _BINARY and self._root in ("", DICOM) and not head.location):
            self._incoming = Incoming(self._archive, self._origin, study=self._study)
        elif self._documents is not None or kind in METADATA or self._root in METADATA:
            if self._documents is None:
                self._documents = Documents(self._archive, self._origin, self._study)
            self._documents.begin(kind, media_type, head.location)
            self._in_document = True
        else:
            self._failure = stow_outcome.failed(DicomError("a part is of a media type that cannot be stored"))

    def _write(self, data: bytes) -> None:
        if self._in_document:
            assert self._documents is not None
            self._documents.write(data)
        elif self._incoming is not None:
            try:
                self._incoming.write(data)
            except Exception as error:
                # The rest of the part is passed over, and the parts behind it are read.
                self._failure = stow_outcome.failed(error, self._incoming)
                incoming, self._incoming = self._incoming, None
                incoming.discard()

    def _end(self, ready: list[Ready]) -> None:
        incoming, self._incoming = self._incoming, None
        failure, self._failure = self._failure, None
        if self._in_document:
            assert self._documents is not None
            self._documents.end()
            self._in_document = False
        elif incoming is not None:
            ready.append(ReadyFile(incoming))
        elif failure is not None:
            ready.append(Ready(failure))
