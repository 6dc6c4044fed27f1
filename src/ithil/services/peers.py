"""Other servers that are reached over HTTP, Orthanc or Ithil: who they are, and what is sent to them.

A job names the peer instead of holding its address and password, so that nothing secret is in a row of a job,
and so that a password that was changed counts for jobs that wait.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ithil import error_codes as codes
from ithil.archive import outgoing, retrieve
from ithil.archive.archive import Archive
from ithil.archive.coded import coded
from ithil.archive.errors import ArchiveError, IndexUnavailable
from ithil.archive.model import Attachment
from ithil.archive.remotes import PEERS
from ithil.archive.transcoding import transcoded
from ithil.dicom.errors import DicomError
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.pixels.errors import PixelError
from ithil.services.web_client import Body, WebAnswer, WebClient, WebStream
from ithil.settings.remotes import Peer

log = logging.getLogger(__name__)

PEER_STORE = "OrthancPeerStore"
DICOM = {"Content-Type": "application/dicom"}

_WHOLE = 8 << 20  # bytes of a file that is read before it is sent; larger ones are sent as they are read
_LARGEST_COMPRESSED = 256 << 20  # bytes of a file; larger ones go as they are, since the result is in memory
MOST_WAITS = 20  # for a peer that asks to come back later
_LONGEST_WAIT = 10.0  # seconds
SERVICE_UNAVAILABLE = 503
_BATCH = 100


def peer_named(archive: Archive, name: str) -> Peer:
    """The peer with that symbolic name. Raises CodedError (unknown resource)."""
    found = PEERS.get(archive, name)
    if found is None:
        raise CodedError(codes.UNKNOWN_RESOURCE, f"No peer with symbolic name: {name[:64]}")
    return found


def client_of(archive: Archive, name: str, *, timeout: float | None = None) -> WebClient:
    """A client of the peer with that name. Raises CodedError."""
    return WebClient(peer_named(archive, name), archive.settings, timeout=timeout)


def peer_json(peer: Peer) -> dict[str, Any]:
    """A peer as `/peers/{id}/configuration` shows it: passwords are null, of the headers only the names."""
    shown: dict[str, Any] = {
        **peer.properties,
        "HttpHeaders": sorted(peer.http_headers),
        "Pkcs11": peer.pkcs11,
        "Timeout": peer.timeout,
        "Url": peer.url,
    }
    if peer.username:
        shown |= {"Username": peer.username, "Password": None}
    if peer.certificate_file:
        shown |= {
            "CertificateFile": peer.certificate_file,
            "CertificateKeyFile": peer.certificate_key_file,
            "CertificateKeyPassword": None,
        }
    return shown


def peer_in_job(peer: Peer) -> list[str] | dict[str, Any]:
    """A peer as the content of a job shows it: an array where its address is all there is."""
    shown = peer_json(peer)
    if shown == peer_json(Peer(peer.url)):
        return [peer.url]
    return {name: value for name, value in shown.items() if "Password" not in name}


@dataclass(frozen=True, slots=True)
class PeerStoreWish:
    """What is sent where.

    Attributes:
        peer: its symbolic name.
        instances: public ids in the order in which they are sent.
        transcode: UID of the transfer syntax to send in, "" for the stored one.
        quality: of a coding with loss, None for the configured one.
        compress: whether bodies are compressed by gzip.
        permissive: whether the job goes on when an instance cannot be sent.
    """

    peer: str
    instances: Sequence[str]
    transcode: str = ""
    quality: int | None = None
    compress: bool = False
    permissive: bool = False


def arguments(wish: PeerStoreWish) -> dict[str, Any]:
    """The arguments of a job."""
    return {
        "Peer": wish.peer,
        "Instances": list(wish.instances),
        "Transcode": wish.transcode,
        "Quality": wish.quality,
        "Compress": wish.compress,
        "Permissive": wish.permissive,
    }


def content(archive: Archive, wish: PeerStoreWish, parents: Sequence[str]) -> dict[str, Any]:
    """What clients see of a job before it has begun. Raises CodedError for an unknown peer."""
    shown: dict[str, Any] = {
        "Compress": wish.compress,
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": len(wish.instances),
        "Peer": peer_in_job(peer_named(archive, wish.peer)),
        "Size": "0",
        "SizeMB": 0,
    }
    if parents:
        shown["ParentResources"] = list(parents)
    if wish.transcode:
        shown["Transcode"] = wish.transcode
        if wish.quality is not None:
            shown["LossyQuality"] = wish.quality
    return shown


class PeerStoreKind:
    """Orthanc's job of that name."""

    name = PEER_STORE

    def run(self, task: Task) -> None:
        """Send what is left to send. Raises CodedError at the first failure, unless failures are permitted."""
        instances: list[str] = task.arguments["Instances"]
        done: int = task.checkpoint.get("Done", 0)
        with client_of(task.archive, task.arguments["Peer"]) as client:
            for start in range(done, len(instances), _BATCH):
                batch = instances[start : start + _BATCH]
                found = outgoing.by_ids(task.archive, batch)
                for number, instance in enumerate(batch, start + 1):
                    item = found.get(instance)
                    self._send(task, client, None if item is None else item.file)
                    task.checkpoint["Done"] = number
                    task.save(number / len(instances))

    def _send(self, task: Task, client: WebClient, file: Attachment | None) -> None:
        """Send one file, None for one that has been deleted meanwhile."""
        try:
            if file is None:
                raise CodedError(codes.UNKNOWN_RESOURCE, "An instance was deleted before it could be sent")
            sent = _post(task, client, file)
        except IndexUnavailable:
            raise
        except (CodedError, ArchiveError, DicomError, PixelError, MemoryError) as error:
            if not task.arguments["Permissive"]:
                raise
            reason = coded(error)
            log.warning("An instance cannot be sent to a peer: code %d", reason.code if reason else -1)
            task.content["FailedInstancesCount"] += 1
            return
        size = int(task.content["Size"]) + sent
        task.content |= {"Size": str(size), "SizeMB": size >> 20}


def _post(task: Task, client: WebClient, file: Attachment) -> int:
    """Upload a file; gives the bytes that were sent. Raises CodedError if the peer does not take it."""
    asked = task.arguments
    body, headers = _body(task.archive, file, asked["Transcode"], asked["Quality"], asked["Compress"])
    answer = client.request("POST", "instances", body, headers=headers)
    for _ in range(MOST_WAITS):
        if answer.status != SERVICE_UNAVAILABLE:
            break
        wait(task, retry_delay(answer))
        answer = client.request("POST", "instances", body, headers=headers)
    if not answer.succeeded:
        raise refused(answer)
    return file.uncompressed_size if isinstance(body, Body) else len(body)


def retry_delay(answer: WebAnswer | WebStream) -> float:
    """Seconds after which a server that is busy wants to be asked again, within bounds."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT) if text.isdigit() else 1.0


def wait(task: Task, seconds: float) -> None:
    """Let time pass in a job. Raises Interrupted when it must stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        task.save(getattr(task, "progress", 0.0))
        time.sleep(min(left, 0.2))


def refused(answer: WebAnswer) -> CodedError:
    """What is told of an answer that is a refusal; its words may quote a file, and are not repeated."""
    return CodedError(codes.NETWORK_PROTOCOL, f"The other server answered with HTTP status {answer.status}")


def _body(
    archive: Archive, file: Attachment, transcode: str, quality: int | None, compress: bool
) -> tuple[bytes | Body, dict[str, str]]:
    """The body of an upload and its headers."""
    if transcode:
        whole = transcoded(archive, file, transcode, quality)
        return (_gzip(whole), {**DICOM, "Content-Encoding": "gzip"}) if compress else (whole, DICOM)
    if compress and file.uncompressed_size <= _LARGEST_COMPRESSED:
        packer = zlib.compressobj(1, wbits=31)
        packed = [packer.compress(piece) for piece in retrieve.pieces(archive, file)]
        return b"".join([*packed, packer.flush()]), {**DICOM, "Content-Encoding": "gzip"}
    if file.uncompressed_size <= _WHOLE:
        return b"".join(retrieve.pieces(archive, file)), DICOM
    return Body(file.uncompressed_size, partial(retrieve.pieces, archive, file)), DICOM


def _gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(content) + packer.flush()
