"""The transfers accelerator's jobs: `PushTransfer` sends to a peer in buckets, `PullTransfer` fetches so.

Several buckets are on their way at a time, each on a connection of its own thread. They are finished in their
order, and the checkpoint counts the first ones that are. A push that is interrupted goes on in the same
transaction if the receiver still has it, and begins another one otherwise. A pull stores each instance as soon
as it is whole, and passes over what it has when it goes on.
"""

from __future__ import annotations

import hashlib
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import orjson

from ithil import error_codes as codes
from ithil.archive import resources, transfers
from ithil.archive.archive import Archive
from ithil.archive.ingest import Incoming
from ithil.archive.model import Origin
from ithil.archive.transfers import Announced, Chunk
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.services import transfer_plan
from ithil.services.peers import client_of, refused
from ithil.services.web_client import WebAnswer, WebClient

PUSH, PULL = "PushTransfer", "PullTransfer"

_LARGEST_LIST = 512 << 20  # bytes of a list of instances
_LONGEST_PAUSE = 10.0  # seconds between two attempts for a bucket
_NOT_FOUND = 404

R = TypeVar("R")


def push_arguments(peer: str, instances: Sequence[Announced], *, compressed: bool) -> dict[str, Any]:
    """The arguments of a push."""
    return {
        "Peer": peer,
        "Compressed": compressed,
        "Instances": [(one.id, one.size, one.md5) for one in instances],
    }


def pull_arguments(
    peer: str, asked: Sequence[dict[str, str]], *, compressed: bool, originator: str
) -> dict[str, Any]:
    """The arguments of a pull; `asked` are objects with `Level` and `ID`."""
    return {"Peer": peer, "Compressed": compressed, "Resources": list(asked), "Originator": originator}


def content(peer: str, asked: Sequence[dict[str, str]], *, compressed: bool, transfer: str) -> dict[str, Any]:
    """What clients see of a transfer before it has begun."""
    shown: dict[str, Any] = {
        "Compression": "gzip" if compressed else "none",
        "Description": "Transfer",
        "Peer": peer,
        "Resources": list(asked),
    }
    return {**shown, "SenderTransferID": transfer} if transfer else shown


class PushKind:
    """The job that sends."""

    name = PUSH

    def run(self, task: Task) -> None:
        """Send what is left. Raises CodedError if the peer does not take it."""
        settings = task.archive.settings.transfers
        instances = [Announced(*one) for one in task.arguments["Instances"]]
        buckets = transfer_plan.buckets(instances, settings.bucket_size << 10)
        _show(task, instances)
        timeout = settings.peer_commit_timeout
        with client_of(task.archive, task.arguments["Peer"], timeout=timeout) as client:
            if not self._send_all(task, client, instances, buckets):
                task.checkpoint.clear()  # the peer does not have the transaction any more
                if not self._send_all(task, client, instances, buckets):
                    raise CodedError(codes.NETWORK_PROTOCOL, "The peer has lost the transfer")

    def _send_all(
        self,
        task: Task,
        client: WebClient,
        instances: Sequence[Announced],
        buckets: Sequence[Sequence[Chunk]],
    ) -> bool:
        """Send and commit; False if the peer has lost the transaction."""
        transaction = task.checkpoint.get("Transaction")
        if transaction is None:
            transaction = _begin(client, instances, buckets, task.arguments["Compressed"])
            task.checkpoint |= {"Transaction": transaction, "Done": 0}
            task.save(0.0, now=True)
        done: int = task.checkpoint["Done"]

        def send(number: int, own: WebClient) -> bool:
            return self._send_bucket(task, own, transaction, number, buckets[number])

        try:
            for found in _in_order(task, send, range(done, len(buckets))):
                if not found:
                    return False
                done += 1
                task.checkpoint["Done"] = done
                task.save(done / (len(buckets) + 1))
            answer = client.request("POST", f"transfers/push/{transaction}/commit")
        except CodedError:
            with suppress(CodedError):
                client.request("DELETE", f"transfers/push/{transaction}")
            task.checkpoint.clear()
            raise
        if answer.status == _NOT_FOUND:
            return False
        if not answer.succeeded:
            raise refused(answer)
        return True

    def _send_bucket(
        self, task: Task, client: WebClient, transaction: str, number: int, bucket: Sequence[Chunk]
    ) -> bool:
        length = sum(chunk.size for chunk in bucket)
        ids = [chunk.instance for chunk in bucket]
        _, pieces = transfer_plan.content(task.archive, ids, bucket[0].offset, length)
        if task.arguments["Compressed"]:
            pieces = transfer_plan.gzipped(pieces)
        body = b"".join(pieces)
        answer = client.request("PUT", f"transfers/push/{transaction}/{number}", body)
        if answer.status == _NOT_FOUND:
            return False
        if not answer.succeeded:
            raise refused(answer)
        return True


class PullKind:
    """The job that fetches."""

    name = PULL

    def run(self, task: Task) -> None:
        """Fetch what is left. Raises CodedError if the peer does not give it, or gives something else."""
        settings = task.archive.settings.transfers
        with client_of(task.archive, task.arguments["Peer"]) as client:
            instances = _looked_up(client, task.arguments["Resources"])
        _show(task, instances)
        if task.checkpoint.get("Begun"):
            instances = [
                one for one in instances if not resources.exists(task.archive, Level.INSTANCE, one.id)
            ]
        task.checkpoint["Begun"] = True
        buckets = transfer_plan.buckets(instances, settings.bucket_size << 10)

        def fetch(number: int, own: WebClient) -> bytes:
            return self._fetch(task, own, buckets[number])

        arriving = _Arriving(task.archive, instances)
        try:
            for number, piece in enumerate(_in_order(task, fetch, range(len(buckets))), 1):
                arriving.take(piece)
                task.save(number / len(buckets))
        finally:
            arriving.discard()

    def _fetch(self, task: Task, client: WebClient, bucket: Sequence[Chunk]) -> bytes:
        compressed = task.arguments["Compressed"]
        length = sum(chunk.size for chunk in bucket)
        ids = ".".join(chunk.instance for chunk in bucket)
        method = "gzip" if compressed else "none"
        path = f"transfers/chunks/{ids}?offset={bucket[0].offset}&size={length}&compression={method}"
        answer = client.request("GET", path, most=length + (length >> 3) + 65536)
        if not answer.succeeded:
            raise refused(answer)
        plain = _inflated(answer, length) if compressed else answer.body
        if len(plain) != length:
            raise CodedError(
                codes.NETWORK_PROTOCOL, "The peer sent another number of bytes than it was asked for"
            )
        return plain


class _Arriving:
    """Instances whose bytes come one after the other."""

    def __init__(self, archive: Archive, instances: Sequence[Announced]) -> None:
        self._archive = archive
        self._waiting = deque(one for one in instances if one.size)
        self._incoming: Incoming | None = None
        self._digest = hashlib.md5(usedforsecurity=False)
        self._left = 0

    def take(self, piece: bytes) -> None:
        """The next bytes. Raises CodedError (corrupted file) for an instance that has changed on its way."""
        view = memoryview(piece)
        while view:
            if self._incoming is None:
                self._incoming = Incoming(self._archive, Origin("RestApi"))
                self._digest = hashlib.md5(usedforsecurity=False)
                self._left = self._waiting[0].size
            mine = view[: self._left]
            self._incoming.write(bytes(mine))
            self._digest.update(mine)
            self._left -= len(mine)
            view = view[len(mine) :]
            if not self._left:
                self._finish()

    def _finish(self) -> None:
        instance = self._waiting.popleft()
        incoming, self._incoming = self._incoming, None
        assert incoming is not None
        try:
            if instance.md5 and self._digest.hexdigest() != instance.md5.lower():
                raise CodedError(codes.CORRUPTED_FILE, "An instance has changed on its way")
            incoming.accept()
        finally:
            incoming.discard()

    def discard(self) -> None:
        """Forget what is not whole."""
        if self._incoming is not None:
            self._incoming.discard()


def _begin(
    client: WebClient, instances: Sequence[Announced], buckets: Sequence[Sequence[Chunk]], compressed: bool
) -> str:
    """Announce a push; gives the id of its transaction."""
    body = {
        "Buckets": [
            [{"ID": one.instance, "Offset": one.offset, "Size": one.size} for one in bucket]
            for bucket in buckets
        ],
        "Compression": "gzip" if compressed else "none",
        "Instances": [{"ID": one.id, "Size": one.size, "MD5": one.md5} for one in instances],
    }
    answer = client.request("POST", "transfers/push", orjson.dumps(body))
    if not answer.succeeded:
        raise refused(answer)
    found = answer.json()
    transaction = found.get("ID") if isinstance(found, dict) else None
    if not isinstance(transaction, str) or not transaction.replace("-", "").isalnum():
        raise CodedError(codes.NETWORK_PROTOCOL, "The peer did not answer as the transfers accelerator does")
    return transaction


def _looked_up(client: WebClient, asked: Sequence[dict[str, str]]) -> list[Announced]:
    """What the peer says is below the resources."""
    answer = client.request("POST", "transfers/lookup", orjson.dumps(asked), most=_LARGEST_LIST)
    if not answer.succeeded:
        raise refused(answer)
    found = answer.json()
    listed = found.get("Instances") if isinstance(found, dict) else None
    if not isinstance(listed, list) or len(listed) > transfers.MOST_INSTANCES:
        raise CodedError(codes.NETWORK_PROTOCOL, "The peer did not answer as the transfers accelerator does")
    return [announced_from(one) for one in listed]


def announced_from(value: Any) -> Announced:
    """An instance from its JSON. Raises CodedError (bad file format)."""
    if isinstance(value, dict):
        identifier, md5, size = value.get("ID"), value.get("MD5", ""), number(value.get("Size"))
        if isinstance(identifier, str) and is_id(identifier) and isinstance(md5, str) and size >= 0:
            return Announced(identifier, size, md5)
    raise CodedError(codes.BAD_FILE_FORMAT, "An instance of a transfer has the fields ID, Size and MD5")


def number(value: Any) -> int:
    """A number of bytes, which some send as text; -1 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else -1


def is_id(text: str) -> bool:
    """Whether a text has the form of a public id."""
    return len(text) == 44 and set(text) <= set("0123456789abcdef-")


def _show(task: Task, instances: Sequence[Announced]) -> None:
    size = sum(one.size for one in instances)
    task.content |= {"InstancesCount": len(instances), "Size": str(size), "SizeMB": size >> 20}


def _inflated(answer: WebAnswer, length: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        return inflater.decompress(answer.body, length + 1)
    except zlib.error as error:
        raise CodedError(codes.NETWORK_PROTOCOL, "The peer sent what is not compressed by gzip") from error


def _in_order(task: Task, work: Callable[[int, WebClient], R], numbers: range) -> Iterator[R]:
    """`work` of each number, several at a time, in order; each thread has a connection of its own.

    A failure is tried again as `MaxHttpRetries` says.
    """
    settings = task.archive.settings.transfers
    local = threading.local()
    clients: list[WebClient] = []
    ended = threading.Event()

    def once(number: int) -> R:
        client = getattr(local, "client", None)
        if client is None:
            client = local.client = client_of(task.archive, task.arguments["Peer"])
            clients.append(client)
        for attempt in range(settings.max_http_retries + 1):
            try:
                return work(number, client)
            except CodedError as error:
                if attempt == settings.max_http_retries or error.code != codes.NETWORK_PROTOCOL:
                    raise
                ended.wait(min(2.0**attempt, _LONGEST_PAUSE))
        raise AssertionError("unreachable")

    pending: deque[Future[R]] = deque()
    rest = iter(numbers)
    with ThreadPoolExecutor(settings.threads, thread_name_prefix="transfer") as threads:
        try:
            while True:
                while len(pending) < settings.threads and (following := next(rest, None)) is not None:
                    pending.append(threads.submit(once, following))
                if not pending:
                    return
                while not pending[0].done():
                    task.save(getattr(task, "progress", 0.0))
                    _pause(pending[0])
                yield pending.popleft().result()
        finally:
            ended.set()
            for future in pending:
                future.cancel()
            threads.shutdown(cancel_futures=True)
            for client in clients:
                client.close()


def _pause(future: Future[Any]) -> None:
    with suppress(TimeoutError):
        future.exception(timeout=0.5)
    time.sleep(0)
