"""C-GET as provider (PS3.4 C.4.3): what is asked for comes back by C-STORE on the same association.

The caller must have proposed the storage SOP classes with himself as their SCP (PS3.7 D.3.3.4). What he accepted
no context for is a failed sub-operation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import chain

from ithil.archive import outgoing
from ithil.archive.outgoing import Kind, Outgoing
from ithil.archive.remotes import modalities
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.services.access import same_title
from ithil.services.identifier import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, requested
from ithil.services.payload import READING_ERRORS, Payload, Payloads
from ithil.services.proposal import Conversion, choose
from ithil.services.provider import Call
from ithil.services.store_user import NOT_ACCEPTED, Sent, failed, reason
from ithil.services.suboperations import Tally

log = logging.getLogger(__name__)

SOP_CLASSES = tuple(f"{model}.3" for model in (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY))


def handle(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """Serve one C-GET-RQ."""
    archive = call.archive
    queries = requested(call, data_set, deduce_level=False)
    if not any(context.local_scu for context in responder.contexts.values()):
        raise Refusal(
            status.UNABLE_TO_PERFORM_SUBOPERATIONS, "No storage SOP class is proposed with the role of SCP"
        )
    kinds = outgoing.kinds(archive, queries)
    if not kinds:
        raise Refusal(status.CANNOT_UNDERSTAND, "Nothing in the archive matches")
    tally = Tally(kinds.total())
    log.info("C-GET of %d instances", tally.remaining)
    conversion = _conversion(call)
    chosen: dict[Kind, PresentationContext | None] = {}

    def context_for(item: Outgoing) -> PresentationContext | None:
        if item.kind not in chosen:
            chosen[item.kind] = choose(responder.contexts.values(), item.kind, conversion)
        return chosen[item.kind]

    def syntax_for(item: Outgoing) -> str | None:
        context = context_for(item)
        return None if context is None else context.transfer_syntax

    def send(item: Outgoing, payload: Payload | None) -> Sent:
        context = context_for(item)
        if context is None or payload is None:
            return failed(item, status.SOP_CLASS_NOT_SUPPORTED, NOT_ACCEPTED)
        store = Command(
            AffectedSOPClassUID=item.sop_class,
            CommandField=CommandField.C_STORE,
            Priority=command.number("Priority"),
            AffectedSOPInstanceUID=item.sop_instance,
        )
        try:
            content = payload.data_set(archive)
        except READING_ERRORS as error:
            log.error("instance %s cannot be sent: %s", item.instance, error)
            return failed(item, *reason(error))
        answer = responder.request(context.id, store, content, meanwhile=payloads.draw)
        return Sent(
            item.instance, item.sop_class, item.sop_instance, answer.status, answer.text("ErrorComment")
        )

    cancelled = False
    items: Iterator[Outgoing] = chain.from_iterable(outgoing.matching(archive, queries))
    with closing(Payloads(archive, items, syntax_for)) as payloads:
        for item, payload in payloads:
            tally.add(send(item, payload))
            cancelled = responder.is_cancelled()
            if cancelled:
                break
            if tally.remaining:
                responder.send(tally.pending(command), hold=True)
    tally.finish(command, responder, call.context.transfer_syntax, cancelled=cancelled)


def _conversion(call: Call) -> Conversion:
    settings = call.archive.settings
    allowed = all(
        modality.allow_transcoding
        for modality in modalities(call.archive).values()
        if same_title(modality.aet, call.origin.remote_aet, settings)
    )
    return Conversion(
        settings.transcode_dicom_protocol and allowed, settings.dicom_scu_preferred_transfer_syntax
    )
