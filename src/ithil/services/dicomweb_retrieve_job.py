"""The job that retrieves from another DICOMweb server (PS3.18 10.4), Orthanc's `DicomWebWadoRetrieveClient`.

Each thing that was asked for is one request, whose answer is taken apart while it comes: each part goes straight
into the archive's way in, and many are committed together. The checkpoint counts the things that have been
retrieved. One that was begun when a job was interrupted is asked for again; an instance that has arrived already
is not stored twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ithil import error_codes as codes
from ithil.archive import ingest_batch
from ithil.archive.archive import Archive
from ithil.archive.coded import coded
from ithil.archive.errors import IndexUnavailable, StorageFull, StorageUnavailable
from ithil.archive.ingest import Incoming
from ithil.archive.ingest_batch import Outcome
from ithil.archive.model import Origin, StoreResult
from ithil.dicom.errors import DicomError
from ithil.dicom.related_reader import (
    Event,
    MalformedMultipart,
    PartEnd,
    PartHead,
    RelatedReader,
    parse_media_type,
)
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.services.dicomweb_client import accepting, refusal, server_named
from ithil.services.peers import MOST_WAITS, SERVICE_UNAVAILABLE, retry_delay, wait
from ithil.services.web_client import WebClient, WebStream
from ithil.settings.remotes import Peer, dicomweb_flag

log = logging.getLogger(__name__)

RETRIEVE_CLIENT = "DicomWebWadoRetrieveClient"

TOGETHER = 64
"""Instances that are committed together, if as many come."""

_DICOM = "application/dicom"
_TAKEN = (_DICOM, "application/octet-stream", "")
_RELATED = "multipart/related"
_ACCEPT = f'{_RELATED}; type="{_DICOM}"'
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class RetrieveWish:
    """What is retrieved from where.

    Attributes:
        server: its symbolic name.
        targets: relative addresses, with the arguments of their queries.
        headers: of each request, beside those of the server.
        permissive: whether the job goes on when something cannot be retrieved or stored.
    """

    server: str
    targets: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    permissive: bool = False


def arguments(wish: RetrieveWish) -> dict[str, Any]:
    """The arguments of a job."""
    return {
        "Server": wish.server,
        "Targets": list(wish.targets),
        "HttpHeaders": dict(wish.headers),
        "Permissive": wish.permissive,
    }


def content(wish: RetrieveWish) -> dict[str, Any]:
    """What clients see of a job before it has begun; numbers are texts, as in Orthanc."""
    shown = {"NetworkUsageMB": "0", "ReceivedInstancesCount": "0", "Server": wish.server}
    return {**shown, "FailedInstancesCount": "0"} if wish.permissive else shown


class RetrieveClientKind:
    """Orthanc's job of that name."""

    name = RETRIEVE_CLIENT

    def run(self, task: Task) -> None:
        """Retrieve what is left. Raises CodedError at the first failure, unless failures are permitted."""
        targets: list[str] = task.arguments["Targets"]
        server = server_named(task.archive, task.arguments["Server"])
        headers = accepting(_accept(server), task.arguments["HttpHeaders"])
        with WebClient(server, task.archive.settings) as client:
            for number in range(task.checkpoint.get("Done", 0), len(targets)):
                counts = _Counts(task, number / len(targets), 1 / len(targets))
                self._retrieve(task, client, targets[number], headers, counts)
                counts.keep()
                task.checkpoint["Done"] = number + 1
                task.save((number + 1) / len(targets), now=True)

    def _retrieve(
        self, task: Task, client: WebClient, target: str, headers: Mapping[str, str], counts: _Counts
    ) -> None:
        try:
            with _opened(task, client, target, headers) as stream:
                _take(task, stream, counts)
        except CodedError as error:
            if not task.arguments["Permissive"]:
                raise
            log.warning("A DICOMweb server does not give what it is asked for: code %d", error.code)
            counts.failed += 1


def _opened(task: Task, client: WebClient, target: str, headers: Mapping[str, str]) -> WebStream:
    """The answer of the server, which is asked again if it is busy. Raises CodedError, Interrupted."""
    for _ in range(MOST_WAITS):
        stream = client.open("GET", target, headers=headers)
        if stream.status != SERVICE_UNAVAILABLE:
            return stream
        stream.close()
        wait(task, retry_delay(stream))
    return client.open("GET", target, headers=headers)


def _accept(server: Peer) -> str:
    """What is asked for: the stored bytes, from servers that know how that is said (PS3.18 8.7.3.5.2)."""
    universal = dicomweb_flag(server, "HasWadoRsUniversalTransferSyntax")
    return f"{_ACCEPT}; transfer-syntax=*" if universal else _ACCEPT


class _Counts:
    """What has come of one thing, on top of what the checkpoint knows of those before it."""

    def __init__(self, task: Task, before: float, share: float) -> None:
        self.received = self.failed = self.size = 0
        self._task = task
        self._before = before
        self._share = share

    def show(self, length: int | None) -> None:
        """Tell clients, and the engine; `length` is what is expected in bytes. Raises Interrupted."""
        shown = self._sums()
        content = self._task.content
        content["ReceivedInstancesCount"] = str(shown["Received"])
        content["NetworkUsageMB"] = str(shown["Size"] >> 20)
        if self._task.arguments["Permissive"]:
            content["FailedInstancesCount"] = str(shown["Failed"])
        part = min(self.size / length, 0.99) if length else 0.0
        self._task.save(self._before + part * self._share)

    def keep(self) -> None:
        """The thing is done."""
        self.show(None)
        self._task.checkpoint |= self._sums()

    def _sums(self) -> dict[str, int]:
        kept = self._task.checkpoint
        return {
            "Received": kept.get("Received", 0) + self.received,
            "Failed": kept.get("Failed", 0) + self.failed,
            "Size": kept.get("Size", 0) + self.size,
        }


def _take(task: Task, stream: WebStream, counts: _Counts) -> None:
    """Store what comes. Raises CodedError for a refusal, or an answer that makes no sense."""
    if not stream.succeeded:
        raise refusal(stream)
    if stream.status == _NO_CONTENT:
        return
    arriving = _Arriving(task.archive, task.arguments["Permissive"], counts)
    media_type = parse_media_type(stream.headers.get("content-type", ""))
    try:
        if media_type.name == _DICOM:
            _take_alone(arriving, stream, counts)
        elif media_type.name == _RELATED:
            _take_parts(arriving, stream, counts, media_type.parameters.get("boundary", ""))
        else:
            raise CodedError(
                codes.NETWORK_PROTOCOL, "The DICOMweb server answered with something else than DICOM files"
            )
        arriving.settle()
        counts.show(None)
    finally:
        arriving.discard()


def _take_alone(arriving: _Arriving, stream: WebStream, counts: _Counts) -> None:
    arriving.take(PartHead({}))
    for piece in stream.pieces():
        counts.size += len(piece)
        arriving.take(piece)
        counts.show(stream.length)
    arriving.take(PartEnd())


def _take_parts(arriving: _Arriving, stream: WebStream, counts: _Counts, boundary: str) -> None:
    try:
        reader = RelatedReader(boundary)
        for piece in stream.pieces():
            counts.size += len(piece)
            for event in reader.feed(piece):
                arriving.take(event)
            counts.show(stream.length)
        reader.close()
    except MalformedMultipart as error:
        arriving.settle()  # what came before is good
        raise CodedError(
            codes.NETWORK_PROTOCOL, f"The answer of the DICOMweb server is broken: {error}"
        ) from None
    except CodedError:
        arriving.settle()
        raise


class _Arriving:
    """The parts of one answer on their way into the archive."""

    def __init__(self, archive: Archive, permissive: bool, counts: _Counts) -> None:
        self._archive = archive
        self._permissive = permissive
        self._counts = counts
        self._incoming: Incoming | None = None
        self._whole: list[Incoming] = []
        self._settling: list[Incoming] = []
        self._results: Future[list[Outcome]] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="retrieve")

    def take(self, event: Event) -> None:
        """The next thing that was found. Raises CodedError for what cannot be stored, unless that is permitted."""
        if isinstance(event, bytes):
            self._write(event)
        elif isinstance(event, PartHead):
            self._begin(event)
        elif self._incoming is not None:
            self._whole.append(self._incoming)
            self._incoming = None
            if len(self._whole) >= TOGETHER:
                self._begin_to_settle()

    def _begin(self, head: PartHead) -> None:
        if head.media_type.name in _TAKEN:
            self._incoming = Incoming(self._archive, Origin("Plugins"))
        else:
            self._fail(
                CodedError(codes.NETWORK_PROTOCOL, "The DICOMweb server sent a part that is no DICOM file")
            )

    def _write(self, data: bytes) -> None:
        if self._incoming is None:
            return  # of a part that is passed over
        try:
            self._incoming.write(data)
        except DicomError as error:  # it is too large
            incoming, self._incoming = self._incoming, None
            incoming.discard()
            self._fail(error)

    def settle(self) -> None:
        """Store what has come in full; it is safe when this returns."""
        self._begin_to_settle()
        self._settled()

    def _begin_to_settle(self) -> None:
        """Have it stored while more comes, once what went before is."""
        self._settled()
        self._settling, self._whole = self._whole, []
        if self._settling:
            self._results = self._worker.submit(ingest_batch.commit_all, self._archive, self._settling)

    def _settled(self) -> None:
        """Wait for what is being stored, and count it."""
        results, self._results = self._results, None
        if results is None:
            return
        failures: list[BaseException] = []
        try:
            for result in results.result():
                if isinstance(result, StoreResult):
                    self._counts.received += 1
                else:
                    failures.append(result)
        finally:
            settling, self._settling = self._settling, []
            for incoming in settling:
                incoming.discard()
        for failure in failures:
            self._fail(failure)

    def _fail(self, error: BaseException) -> None:
        """Count a failure, or raise it if there may be none, or if the next instance would have it too."""
        reason = coded(error)
        grave = isinstance(error, (StorageFull, StorageUnavailable, IndexUnavailable))
        if reason is None or grave or not self._permissive:
            raise error if reason is None or grave else reason
        log.warning("An instance of a DICOMweb server cannot be stored: code %d", reason.code)
        self._counts.failed += 1

    def discard(self) -> None:
        """Forget what is not whole, and what is not stored; what is being stored is waited for."""
        self._worker.shutdown()
        waiting, self._whole, self._settling = self._whole + self._settling, [], []
        if self._incoming is not None:
            waiting.append(self._incoming)
            self._incoming = None
        for incoming in waiting:
            incoming.discard()
