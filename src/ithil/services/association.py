"""One incoming association: who is calling, what he may do, and which service gets his requests."""

from __future__ import annotations

import logging

from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.handler import Outcome, Peer, Responder
from ithil.network.messages import Command, CommandField
from ithil.network.negotiation import negotiate
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import ContextResult
from ithil.services.access import Rights, is_called_by_name, rights
from ithil.services.presentation import Presentation
from ithil.services.store import Reception

log = logging.getLogger(__name__)

# PS3.8 table 9-21: rejected permanently by the service user, with the reason
CALLING_TITLE_NOT_RECOGNIZED = AssociateReject(1, 1, 3)
CALLED_TITLE_NOT_RECOGNIZED = AssociateReject(1, 1, 7)


class ServiceAssociation:
    """The services behind one association; the acceptor makes one for each and calls it from its thread."""

    def __init__(self, archive: Archive, presentation: Presentation) -> None:
        self._archive = archive
        self._presentation = presentation
        self._rights = Rights()
        self._origin = Origin()

    def negotiate(self, request: AssociateRequest, peer: Peer) -> AssociateAccept | AssociateReject:
        """Accept whoever may do something, with the presentation contexts that he may use."""
        settings = self._archive.settings
        calling, called = request.calling_ae_title.strip(), request.called_ae_title.strip()
        if not is_called_by_name(called, settings):
            log.warning('association of "%s" from %s rejected: it calls "%s"', calling, peer.ip, called)
            return CALLED_TITLE_NOT_RECOGNIZED
        self._rights = rights(calling, peer.ip, settings)
        if not self._rights.any:
            log.warning('association of "%s" from %s rejected: it may do nothing here', calling, peer.ip)
            return CALLING_TITLE_NOT_RECOGNIZED
        self._origin = Origin("DicomProtocol", peer.ip, calling, called)
        answer = negotiate(request, self._presentation.policy(self._rights))
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

    def handle(
        self,
        context: PresentationContext,
        command: Command,
        data_set: bytes | None,
        responder: Responder,
    ) -> None:
        """C-ECHO (PS3.4 annex A) is answered at once; what no service provides is refused."""
        if command.field == CommandField.C_ECHO:
            if not self._rights.echo:
                raise Refusal(status.NOT_AUTHORIZED, "C-ECHO is not allowed")
            responder.send(command.response(status.SUCCESS))
            return
        raise Refusal(status.UNRECOGNIZED_OPERATION)

    def closed(self, outcome: Outcome) -> None:
        """Nothing outlives an association."""
