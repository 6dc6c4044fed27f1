"""The job that stores instances at another DICOMweb server (PS3.18 10.5), Orthanc's `DicomWebStowClient`.

Instances travel in batches, one request each, bounded in number and bytes; a file is read while it is sent, so
that its size does not matter. The checkpoint counts what the server has said it has. When a job is interrupted,
the batch that was on its way is sent again: a server that has the instances says so, or stores them once more
under the same UIDs.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import outgoing, retrieve
from ithil.archive.errors import ArchiveError, IndexUnavailable
from ithil.archive.outgoing import Outgoing
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.services.dicomweb_client import DICOM_JSON, refusal, server_named
from ithil.services.peers import MOST_WAITS, SERVICE_UNAVAILABLE, retry_delay, wait
from ithil.services.web_client import Body, WebAnswer, WebClient
from ithil.settings.remotes import dicomweb_flag

log = logging.getLogger(__name__)

STOW_CLIENT = "DicomWebStowClient"

MOST_INSTANCES = 100
"""Instances of one request."""

MOST_BYTES = 64 << 20
"""Bytes of the files of one request, unless a single one has more."""

_REFERENCED, _FAILED = "00081199", "00081198"
_SOP_INSTANCE, _REASON = "00081155", "00081197"
_HAVE_ALREADY = (0x0111, 45070)
"""Reasons of servers that refuse what they have already: duplicate SOP instance (PS3.7 C.5), and Azure's."""


@dataclass(frozen=True, slots=True)
class StowWish:
    """What is stored where.

    Attributes:
        server: its symbolic name.
        instances: public ids in the order in which they are sent.
        resources: what the client named, as the job shows it.
        headers: of each request, beside those of the server.
        permissive: whether the job goes on when something cannot be stored.
    """

    server: str
    instances: Sequence[str]
    resources: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    permissive: bool = False


def arguments(wish: StowWish) -> dict[str, Any]:
    """The arguments of a job."""
    return {
        "Server": wish.server,
        "Instances": list(wish.instances),
        "HttpHeaders": dict(wish.headers),
        "Permissive": wish.permissive,
    }


def content(wish: StowWish) -> dict[str, Any]:
    """What clients see of a job before it has begun; numbers are texts, as in Orthanc."""
    shown: dict[str, Any] = {
        "InstancesCount": str(len(wish.instances)),
        "NetworkSizeMB": "0",
        "Resources": list(wish.resources),
        "Server": wish.server,
    }
    return {**shown, "FailedInstancesCount": "0"} if wish.permissive else shown


class StowClientKind:
    """Orthanc's job of that name."""

    name = STOW_CLIENT

    def run(self, task: Task) -> None:
        """Send what is left. Raises CodedError at the first failure, unless failures are permitted."""
        instances: list[str] = task.arguments["Instances"]
        server = server_named(task.archive, task.arguments["Server"])
        chunked = dicomweb_flag(server, "ChunkedTransfers")
        with WebClient(server, task.archive.settings) as client:
            while (done := task.checkpoint.get("Done", 0)) < len(instances):
                asked = instances[done : done + MOST_INSTANCES]
                known = outgoing.by_ids(task.archive, asked)
                batch = _bounded([known.get(one) for one in asked])
                sent = _Batch(task, client, batch, chunked=chunked)
                sent.send()
                task.checkpoint["Done"] = done + len(batch)
                _count(task, sent)
                task.save(task.checkpoint["Done"] / len(instances))


def _count(task: Task, sent: _Batch) -> None:
    """Show what a batch has added; the checkpoint counts too, so that a batch that is sent again counts once."""
    failed = task.checkpoint["Failed"] = task.checkpoint.get("Failed", 0) + sent.failed
    size = task.checkpoint["Size"] = task.checkpoint.get("Size", 0) + sent.size
    task.content["NetworkSizeMB"] = str(size >> 20)
    if task.arguments["Permissive"]:
        task.content["FailedInstancesCount"] = str(failed)


def _bounded(items: Sequence[Outgoing | None]) -> Sequence[Outgoing | None]:
    """The first items, as many as fit into one request, and at least one."""
    size = 0
    for number, item in enumerate(items):
        size += 0 if item is None else item.file.uncompressed_size
        if size > MOST_BYTES and number:
            return items[:number]
    return items


class _Batch:
    """One request; None stands for an instance that has been deleted meanwhile."""

    def __init__(
        self, task: Task, client: WebClient, items: Sequence[Outgoing | None], *, chunked: bool
    ) -> None:
        self._task = task
        self._client = client
        self._items = [item for item in items if item is not None]
        self._chunked = chunked
        self.failed = len(items) - len(self._items)
        """Instances that were not stored."""
        self.size = 0
        """Bytes of the files of the others."""

    def send(self) -> None:
        """Send it, and look at what the server has made of it."""
        permissive: bool = self._task.arguments["Permissive"]
        if self.failed and not permissive:
            raise CodedError(codes.UNKNOWN_RESOURCE, "An instance was deleted before it could be sent")
        try:
            if self._items:
                self._send(self._items)
        except IndexUnavailable:
            raise
        except ArchiveError:
            if not permissive:
                raise
            for item in self._items:  # one of the files cannot be read; the others are good
                self._send_alone(item)
        except CodedError as error:
            if not permissive:
                raise
            log.warning("Instances cannot be stored at a DICOMweb server: code %d", error.code)
            self.failed += len(self._items)

    def _send_alone(self, item: Outgoing) -> None:
        try:
            self._send([item])
        except IndexUnavailable:
            raise
        except (ArchiveError, CodedError):
            log.warning("An instance cannot be stored at a DICOMweb server")
            self.failed += 1

    def _send(self, items: Sequence[Outgoing]) -> None:
        boundary = secrets.token_hex(16)
        headers = {
            "Accept": DICOM_JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        }
        headers |= {
            name: value
            for name, value in self._task.arguments["HttpHeaders"].items()
            if name.lower() not in ("accept", "content-type")
        }
        length = None if self._chunked else _length(items, boundary)
        body = Body(length, lambda: self._pieces(items, boundary))
        answer = self._client.request("POST", "studies", body, headers=headers)
        for _ in range(MOST_WAITS):
            if answer.status != SERVICE_UNAVAILABLE:
                break
            wait(self._task, retry_delay(answer))
            answer = self._client.request("POST", "studies", body, headers=headers)
        failed, reason = _failures(answer, items)
        if failed and not self._task.arguments["Permissive"]:
            raise _not_stored(answer.status, len(failed), len(items), reason)
        self.failed += len(failed)
        self.size += sum(item.file.uncompressed_size for item in items if item.sop_instance not in failed)

    def _pieces(self, items: Sequence[Outgoing], boundary: str) -> Iterator[bytes]:
        """The body. Raises ArchiveError for a file that cannot be read, Interrupted."""
        archive = self._task.archive
        for item in items:
            archive.storage.expect(item.file.uuid)
        for item in items:
            self._task.save(getattr(self._task, "progress", 0.0))
            yield _head(item, boundary)
            for piece in retrieve.pieces(archive, item.file):
                yield piece
                self._task.save(getattr(self._task, "progress", 0.0))
            yield b"\r\n"
        yield _tail(boundary)


def _head(item: Outgoing, boundary: str) -> bytes:
    size = item.file.uncompressed_size
    return f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {size}\r\n\r\n".encode()


def _tail(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


def _length(items: Sequence[Outgoing], boundary: str) -> int:
    """Bytes of the whole body."""
    parts = sum(len(_head(item, boundary)) + item.file.uncompressed_size + 2 for item in items)
    return parts + len(_tail(boundary))


def _failures(answer: WebAnswer, items: Sequence[Outgoing]) -> tuple[set[str], int | None]:
    """The SOP instances that the server does not say it has, and why, as far as it tells (PS3.18 10.5.3).

    Raises CodedError if the request as a whole was refused, or if the answer does not tell.
    """
    sent = {item.sop_instance for item in items}
    told = _told(answer)
    if told is None:
        if answer.succeeded:
            raise CodedError(
                codes.NETWORK_PROTOCOL,
                f"The DICOMweb server answered with HTTP status {answer.status}, but not what it has stored",
            )
        raise refusal(answer)
    stored = [_value(one, _SOP_INSTANCE) for one in _sequence(told, _REFERENCED)]
    reasons: dict[str, int | None] = {}
    for one in _sequence(told, _FAILED):
        reason = _value(one, _REASON)
        if reason not in _HAVE_ALREADY:
            reasons[str(_value(one, _SOP_INSTANCE))] = reason if isinstance(reason, int) else None
        else:
            stored.append(_value(one, _SOP_INSTANCE))
    if not reasons and len(stored) >= len(items):
        return set(), None  # also if the server gave them other UIDs
    failed = sent - {each for each in stored if isinstance(each, str)}
    if reasons and not failed:
        failed = sent & set(reasons) or set(reasons)
    return failed, next((reason for reason in reasons.values() if reason is not None), None)


def _told(answer: WebAnswer) -> dict[str, Any] | None:
    """The store instances response module, if there is one (PS3.18 table I.1-1)."""
    with suppress(ValueError):
        found = orjson.loads(answer.body)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, dict) and (_REFERENCED in found or _FAILED in found):
            return found
    return None


def _sequence(told: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    element = told.get(tag)
    items = element.get("Value") if isinstance(element, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _value(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _not_stored(status: int, failed: int, sent: int, reason: int | None) -> CodedError:
    why = "" if reason is None or not 0 <= reason <= 0xFFFF else f", for reason 0x{reason:04X}"
    return CodedError(
        codes.NETWORK_PROTOCOL,
        f"The DICOMweb server did not store {failed} of {sent} instances{why} (HTTP status {status})",
        payload={"RemoteHttpStatus": status},
    )
