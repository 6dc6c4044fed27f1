"""How an acceptor answers an association request: a pure function from request and policy to A-ASSOCIATE-AC.

PS3.8 7.1 for presentation contexts, PS3.7 D.3.3 for the rest. The policy says what is supported; the rules of
answering stand here once, for every service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ithil.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, IMPLICIT_LITTLE
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import (
    AsyncOperationsWindow,
    ContextAnswer,
    ContextResult,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

_INSIGNIFICANT = IMPLICIT_LITTLE
"""Stands in the answer to a rejected context, where it means nothing (PS3.8 9.3.3.2); never empty, since
peers exist that look at it."""


def _nobody(_: str) -> bool:
    return False


def _default_only(_: str, __: bytes) -> bytes | None:
    return None


def _no_identity_check(_: UserIdentity) -> bytes | None:
    return b""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an acceptor supports."""

    accepts_abstract_syntax: Callable[[str], bool]
    """Whether a SOP class is served at all."""
    accepts_transfer_syntax: Callable[[str, str], bool]
    """Whether (SOP class, transfer syntax) is."""
    preferred_transfer_syntaxes: Sequence[str] = ()
    """Taken before others, in this order, if proposed and accepted. Otherwise the requestor's order counts.
    """
    allows_requestor_as_scp: Callable[[str], bool] = _nobody
    """Whether the requestor may be the SCP of a SOP class, which it asks for before a C-GET."""
    extended_negotiation: Callable[[str, bytes], bytes | None] = _default_only
    """The answer to (SOP class, service class application information), or None for none: the default."""
    verify_identity: Callable[[UserIdentity], bytes | None] = _no_identity_check
    """The server response for a user identity (empty unless Kerberos, SAML or JWT), or None to reject."""


def negotiate(request: AssociateRequest, policy: Policy) -> AssociateAccept | AssociateReject:
    """The answer to `request` under `policy`: accepted, unless the user identity is refused.

    An association without any accepted context is accepted, as dcmtk's acceptor does; the peer sees each
    context's result and decides.
    """
    proposed = request.user_information
    identity_response: bytes | None = None
    if proposed.user_identity is not None:
        response = policy.verify_identity(proposed.user_identity)
        if response is None:
            return AssociateReject(1, 1, 1)
        if proposed.user_identity.response_requested:
            identity_response = response
    answers = tuple(answer_context(context, policy) for context in request.contexts)
    accepted = {
        context.abstract_syntax
        for context, answer in zip(request.contexts, answers, strict=True)
        if answer.result == ContextResult.ACCEPTANCE
    }
    roles = tuple(
        RoleSelection(
            role.sop_class_uid, role.scu, role.scp and policy.allows_requestor_as_scp(role.sop_class_uid)
        )
        for role in proposed.roles
        if role.sop_class_uid in accepted
    )
    extended = tuple(
        ExtendedNegotiation(one.sop_class_uid, answer)
        for one in proposed.extended
        if one.sop_class_uid in accepted
        and (answer := policy.extended_negotiation(one.sop_class_uid, one.information)) is not None
    )
    information = UserInformation(
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION_NAME,
        # One operation at a time, which is what the absence of the item means too (PS3.7 D.3.3.3).
        async_window=None if proposed.async_window is None else AsyncOperationsWindow(1, 1),
        roles=roles,
        extended=extended,
        user_identity_response=identity_response,
    )
    return AssociateAccept(request.called_ae_title, request.calling_ae_title, answers, information)


def answer_context(context: ProposedContext, policy: Policy) -> ContextAnswer:
    """The result for one context, with the transfer syntax chosen among those proposed."""
    if not policy.accepts_abstract_syntax(context.abstract_syntax):
        return ContextAnswer(context.id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, _INSIGNIFICANT)
    usable = [
        uid
        for uid in context.transfer_syntaxes
        if uid and policy.accepts_transfer_syntax(context.abstract_syntax, uid)
    ]
    if not usable:
        return ContextAnswer(context.id, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, _INSIGNIFICANT)
    chosen = next((uid for uid in policy.preferred_transfer_syntaxes if uid in usable), usable[0])
    return ContextAnswer(context.id, ContextResult.ACCEPTANCE, chosen)
