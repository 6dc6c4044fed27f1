"""The storage service class as user (PS3.4 annex B): instances of the archive to another application entity.

    with Sender(archive, modality) as sender:
        for sent in sender.send(instance_ids):
            ...

A `Sender` has one association at a time and proposes what it is about to send. It opens another one when more
has to be negotiated than was proposed, and once more for an instance in whose midst the association broke. What
happens to an instance is told in a `Sent`; that no association can be had at all is an `AssociationError`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

from ithil.archive import outgoing
from ithil.archive.archive import Archive
from ithil.archive.errors import FileMissing
from ithil.archive.outgoing import Kind, Outgoing
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import read_file_meta
from ithil.dicom.scan import scan
from ithil.network import status
from ithil.network.errors import AssociationError, AssociationLost
from ithil.network.messages import Command
from ithil.network.pdu_items import Buffer
from ithil.network.requestor import Requestor, connect
from ithil.pixels.errors import PixelError
from ithil.services.association_pool import Destination, Kept, pool
from ithil.services.payload import READING_ERRORS, Payload, Payloads, prepare
from ithil.services.proposal import MOST_CONTEXTS, Conversion, ProposedContexts, choose, contexts_for
from ithil.services.tls import client_context
from ithil.settings import Modality

log = logging.getLogger(__name__)

NOT_ACCEPTED = "The receiver accepts no presentation context for it"
BROKEN = "The association broke while it was sent"
_MOST_BREAKS = 2  # instances in a row that break the association, after which there is no point in going on
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one instance: the status of its C-STORE, or of why there was none (PS3.4 B.2.3)."""

    instance: str  # its public id
    sop_class: str
    sop_instance: str
    status: int
    comment: str = ""

    @property
    def succeeded(self) -> bool:
        """The receiver has it, perhaps with a warning."""
        return status.is_success(self.status)

    @property
    def warned(self) -> bool:
        """The receiver has it, and a remark."""
        return self.succeeded and self.status != status.SUCCESS


class Sender:
    """Sends to one modality. Belongs to one thread; leaving the block keeps the association for others."""

    def __init__(
        self,
        archive: Archive,
        modality: Modality,
        *,
        calling: str = "",
        called: str = "",
        move_originator: tuple[str, int] | None = None,
        timeout: int | None = None,
    ) -> None:
        """`calling` and `called` are titles in place of the configured ones.

        `move_originator` are title and message ID of the C-MOVE for which this is done, `timeout` seconds in
        place of the configured ones. Nothing is opened before there is something to send. Raises CodedError
        if the modality is reached by TLS and its options cannot be used.
        """
        settings = archive.settings
        self._archive = archive
        self._originator = move_originator
        self._conversion = Conversion(
            settings.transcode_dicom_protocol and modality.allow_transcoding,
            settings.dicom_scu_preferred_transfer_syntax,
        )
        if timeout is None:
            timeout = modality.timeout or settings.dicom_scu_timeout
        self._destination = Destination(
            modality.host,
            modality.port,
            called or modality.aet,
            calling or modality.local_aet or settings.dicom_aet,
            timeout,
            client_context(settings) if modality.use_dicom_tls else None,
        )
        self._delay = settings.dicom_association_close_delay
        self._kept: Kept | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._drop()

    def close(self) -> None:
        """Give the association back, for whoever sends to the same place next."""
        kept, self._kept = self._kept, None
        if kept is not None:
            pool.give(self._destination, kept, self._delay)

    def send(self, instance_ids: Iterable[str]) -> Iterator[Sent]:
        """Send the instances with these public ids in the given order. Raises AssociationError.

        What is unknown comes first in its batch, as NO_SUCH_SOP_INSTANCE.
        """
        for batch in _batches(instance_ids):
            found = outgoing.by_ids(self._archive, batch)
            for unknown in (one for one in batch if one not in found):
                yield Sent(unknown, "", "", status.NO_SUCH_SOP_INSTANCE, "Not in the archive")
            yield from self.send_batch([found[one] for one in batch if one in found])

    def send_batch(self, items: Sequence[Outgoing], expected: Collection[Kind] = ()) -> Iterator[Sent]:
        """Send a number of instances that fits into memory. Raises AssociationError if none can be sent.

        `expected` are the kinds that are going to be sent in all, for a single negotiation if it has room.
        """
        for part, kinds in _negotiable(items, self._conversion):
            yield from self._send_part(part, kinds, frozenset(expected) | kinds)

    def send_file(self, content: bytes) -> Sent:
        """Send a DICOM file that is not in the archive.

        Raises DicomError for what is no such file, PixelError if it cannot be transcoded, AssociationError.
        """
        found = scan(content, frozenset({_SOP_CLASS, _SOP_INSTANCE}))
        sop_class, sop_instance = found.tags.get(_SOP_CLASS, ""), found.tags.get(_SOP_INSTANCE, "")
        if not sop_class or not sop_instance:
            raise DicomError("the file does not say which instance of which SOP class it is")
        syntax = found.transfer_syntax_uid
        kinds = frozenset({(sop_class, syntax)})
        kept = self._ready(kinds, kinds)
        context = choose(kept.requestor.contexts.values(), (sop_class, syntax), self._conversion)
        if context is None:
            return Sent("", sop_class, sop_instance, status.SOP_CLASS_NOT_SUPPORTED, NOT_ACCEPTED)
        if context.transfer_syntax != syntax:
            # Loaded at the first use: a server that never transcodes does without the codecs' memory.
            from ithil.pixels.transcode import transcode

            content = transcode(content, context.transfer_syntax)
        start = read_file_meta(content, len(content)).dataset_offset
        data_set = memoryview(content)[start:]
        try:
            answer = self._store(kept, sop_class, sop_instance, context.transfer_syntax, (data_set,))
        except AssociationError:
            self._drop()
            kept = self._ready(kinds, kinds)
            answer = self._store(kept, sop_class, sop_instance, context.transfer_syntax, (data_set,))
        return Sent("", sop_class, sop_instance, answer.status, answer.text("ErrorComment"))

    def _send_part(
        self, items: Sequence[Outgoing], kinds: frozenset[Kind], expected: frozenset[Kind]
    ) -> Iterator[Sent]:
        """Send instances whose contexts fit into one association."""
        self._ready(kinds, expected)
        broken = 0
        with closing(Payloads(self._archive, iter(items), self._syntax_for)) as payloads:
            for item, payload in payloads:
                sent = self._send_one(item, payload, kinds, expected, payloads.draw)
                broken = broken + 1 if sent is None else 0
                if broken == _MOST_BREAKS:
                    raise AssociationLost("the association broke again and again")
                yield sent or failed(item, status.PROCESSING_FAILURE, BROKEN)

    def _send_one(
        self,
        item: Outgoing,
        payload: Payload | None,
        kinds: frozenset[Kind],
        expected: frozenset[Kind],
        meanwhile: Callable[[], None],
    ) -> Sent | None:
        """Send an instance, once more if the association breaks; None if it breaks then too.

        `meanwhile`, which is called while the receiver has it, may end what is in `payload`.
        """
        has_ended = False

        def draw() -> None:
            nonlocal has_ended
            has_ended = True
            meanwhile()

        for _ in range(2):
            kept = self._ready(kinds, expected)
            context = choose(kept.requestor.contexts.values(), item.kind, self._conversion)
            if context is None:
                return failed(item, status.SOP_CLASS_NOT_SUPPORTED, NOT_ACCEPTED)
            syntax = context.transfer_syntax
            if payload is None or has_ended or payload.transfer_syntax != syntax:
                payload = prepare(self._archive, item, syntax)
            try:
                data_set = payload.data_set(self._archive)
                answer = self._store(
                    kept, item.sop_class, item.sop_instance, syntax, data_set, meanwhile=draw
                )
            except AssociationError as error:
                log.warning("sending to %s: %s", self._destination.host, error)
                self._drop()
                continue
            except READING_ERRORS as error:
                log.error("instance %s cannot be sent: %s", item.instance, error)
                if not kept.requestor.is_usable():  # it had begun to be sent
                    self._drop()
                return failed(item, *reason(error))
            return Sent(
                item.instance,
                item.sop_class,
                item.sop_instance,
                answer.status,
                answer.text("ErrorComment"),
            )
        return None

    def _store(
        self,
        kept: Kept,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        data_set: Iterable[Buffer],
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        return kept.requestor.store(
            sop_class,
            sop_instance,
            transfer_syntax,
            data_set,
            move_originator=self._originator,
            meanwhile=meanwhile,
        )

    def _syntax_for(self, item: Outgoing) -> str | None:
        """The transfer syntax to send an instance in, as far as is known when it is prepared."""
        if self._kept is None:
            return None
        context = choose(self._kept.requestor.contexts.values(), item.kind, self._conversion)
        return None if context is None else context.transfer_syntax

    def _ready(self, kinds: frozenset[Kind], expected: frozenset[Kind]) -> Kept:
        """An association in which `kinds` were proposed, and `expected` too if that is not too many.

        Raises AssociationError.
        """
        if self._kept is not None:
            if kinds <= self._kept.kinds:
                return self._kept
            kept, self._kept = self._kept, None
            kept.requestor.release()
        self._kept = pool.take(self._destination, kinds)
        if self._kept is None:
            proposed = contexts_for(expected, self._conversion)
            if len(proposed) > MOST_CONTEXTS:
                expected, proposed = kinds, contexts_for(kinds, self._conversion)
            self._kept = Kept(self._open(proposed), expected)
        return self._kept

    def _open(self, proposed: ProposedContexts) -> Requestor:
        destination = self._destination
        return connect(
            destination.host,
            destination.port,
            called=destination.called,
            calling=destination.calling,
            contexts=proposed,
            timeout=destination.timeout,
            max_pdu_length=self._archive.settings.maximum_pdu_length,
            tls=destination.tls,
        )

    def _drop(self) -> None:
        """End the association at once."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.requestor.abort()


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while batch := list(islice(rest, outgoing.BATCH)):
        yield batch


def _negotiable(
    items: Sequence[Outgoing], conversion: Conversion
) -> Iterator[tuple[list[Outgoing], frozenset[Kind]]]:
    """The items in parts that need no more presentation contexts each than an association has."""
    part: list[Outgoing] = []
    kinds: frozenset[Kind] = frozenset()
    for item in items:
        if item.kind not in kinds:
            more = kinds | {item.kind}
            if part and len(contexts_for(more, conversion)) > MOST_CONTEXTS:
                yield part, kinds
                part, more = [], frozenset({item.kind})
            kinds = more
        part.append(item)
    if part:
        yield part, kinds


def failed(item: Outgoing, code: int, comment: str) -> Sent:
    return Sent(item.instance, item.sop_class, item.sop_instance, code, comment)


def reason(error: BaseException) -> tuple[int, str]:
    if isinstance(error, FileMissing):
        return status.NO_SUCH_SOP_INSTANCE, "Its file is missing"
    if isinstance(error, PixelError):
        return status.PROCESSING_FAILURE, "It cannot be transcoded"
    return status.PROCESSING_FAILURE, "Its file cannot be read"
