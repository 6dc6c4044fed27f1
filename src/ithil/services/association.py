"""One incoming association: who is calling, what he may do, and which service gets his requests."""

from __future__ import annotations

import logging

from ithil import metrics
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.archive.remotes import modalities
from ithil.dicom.uids import DEFLATED
from ithil.metrics import Metric
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.handler import Outcome, Peer, Responder
from ithil.network.messages import Command
from ithil.network.negotiation import negotiate
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import ContextResult
from ithil.services.access import Rights, is_called_by_name, rights
from ithil.services.presentation import Presentation
from ithil.services.provider import Call
from ithil.services.providers import by_sop_class
from ithil.services.store import Reception

log = logging.getLogger(__name__)

# PS3.8 table 9-21: rejected permanently by the service user, with the reason
CALLING_TITLE_NOT_RECOGNIZED = AssociateReject(1, 1, 3)
CALLED_TITLE_NOT_RECOGNIZED = AssociateReject(1, 1, 7)


class ServiceAssociation:
    """The services behind one association; the acceptor makes one for each."""

    def __init__(self, archive: Archive, presentation: Presentation) -> None:
        self._archive = archive
        self._presentation = presentation
        self._rights = Rights()
        self._origin = Origin()
        self._peer = Peer("", 0)
        self._extended: dict[str, bytes] = {}
        metrics.add(Metric.ASSOCIATIONS, 1)

    def negotiate(self, request: AssociateRequest, peer: Peer) -> AssociateAccept | AssociateReject:
        """Accept whoever may do something, with the presentation contexts that he may use."""
        settings = self._archive.settings
        calling, called = request.calling_ae_title.strip(), request.called_ae_title.strip()
        if not is_called_by_name(called, settings):
            log.warning('association of "%s" from %s rejected: it calls "%s"', calling, peer.ip, called)
            return CALLED_TITLE_NOT_RECOGNIZED
        self._rights = rights(calling, peer.ip, settings, modalities(self._archive).values())
        if not self._rights.any:
            log.warning('association of "%s" from %s rejected: it may do nothing here', calling, peer.ip)
            return CALLING_TITLE_NOT_RECOGNIZED
        self._origin = Origin("DicomProtocol", peer.ip, calling, called)
        self._peer = peer
        policy = self._presentation.policy(self._rights, request.user_information.roles)
        answer = negotiate(request, policy)
        if isinstance(answer, AssociateAccept):
            self._extended = {one.sop_class_uid: one.information for one in answer.user_information.extended}
        if isinstance(answer, AssociateAccept) and not any(
            context.result == ContextResult.ACCEPTANCE for context in answer.contexts
        ):
            log.warning(
                'association of "%s" from %s: none of its %d presentation contexts is served or allowed%s',
                calling,
                peer.ip,
                len(request.contexts),
                "" if self._rights.store else " (it may not store)",
            )
        return answer

    def open_store(self, context: PresentationContext, command: Command) -> Reception:
        """A data set is about to come."""
        if not self._rights.store:
            raise Refusal(status.NOT_AUTHORIZED, "C-STORE is not allowed")
        return Reception(self._archive, context, command, self._origin)

    def is_quick(self, context: PresentationContext) -> bool:
        """Few bytes may become many pixels, or many bytes when they are inflated."""
        return not self._archive.settings.ingest_transcoding and context.transfer_syntax != DEFLATED

    def handle(
        self,
        context: PresentationContext,
        command: Command,
        data_set: bytes | None,
        responder: Responder,
    ) -> None:
        """Hand the request to the provider of its SOP class; what none provides is refused.

        That is the SOP class of the presentation context, since rights and encoding were agreed for it.
        """
        provider = by_sop_class().get(context.abstract_syntax)
        if provider is None or command.field not in provider.commands:
            raise Refusal(status.UNRECOGNIZED_OPERATION)
        if not provider.allowed(self._rights):
            raise Refusal(status.NOT_AUTHORIZED, f"{command.name.removesuffix('-RQ')} is not allowed")
        call = Call(
            self._archive,
            context,
            self._origin,
            self._rights,
            self._peer,
            self._extended.get(context.abstract_syntax, b""),
        )
        provider.handle(call, command, data_set, responder)

    def closed(self, outcome: Outcome) -> None:
        """Nothing outlives an association."""
        metrics.add(Metric.ASSOCIATIONS, -1)
