"""The answers to association requests under a policy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from tests.unit.network import strategies
from tests.unit.network.exchange import CT, EXPLICIT, IMPLICIT, VERIFICATION

from ithil.network import pdu
from ithil.network.negotiation import Policy, answer_context, negotiate
from ithil.network.pdu_items import (
    AsyncOperationsWindow,
    ContextAnswer,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

BIG = "1.2.840.10008.1.2.2"
POLICY = Policy(
    accepts_abstract_syntax=lambda uid: uid in (CT, VERIFICATION),
    accepts_transfer_syntax=lambda sop_class, uid: uid in (IMPLICIT, EXPLICIT, BIG),
    preferred_transfer_syntaxes=(EXPLICIT,),
)


def request(information: UserInformation | None = None) -> pdu.AssociateRequest:
    contexts = (ProposedContext(1, VERIFICATION, (IMPLICIT,)), ProposedContext(3, CT, (IMPLICIT, EXPLICIT)))
    return pdu.AssociateRequest("A", "B", contexts, information or UserInformation(16384))


@pytest.mark.parametrize(
    ("abstract", "proposed", "result", "chosen"),
    [
        (CT, (IMPLICIT, EXPLICIT), 0, EXPLICIT),
        (CT, (BIG, IMPLICIT), 0, BIG),
        (CT, (IMPLICIT, BIG), 0, IMPLICIT),
        (CT, ("1.2.3", IMPLICIT), 0, IMPLICIT),
        (CT, ("1.2.3",), 4, IMPLICIT),
        (CT, (), 4, IMPLICIT),
        (CT, ("",), 4, IMPLICIT),
        ("1.2.3", (IMPLICIT,), 3, IMPLICIT),
    ],
)
def test_one_context(abstract, proposed, result, chosen):
    assert answer_context(ProposedContext(7, abstract, proposed), POLICY) == ContextAnswer(7, result, chosen)


def test_an_association_without_any_accepted_context_is_accepted():
    nothing = replace(POLICY, accepts_abstract_syntax=lambda uid: False)
    answer = negotiate(request(), nothing)
    assert isinstance(answer, pdu.AssociateAccept)
    assert [context.result for context in answer.contexts] == [3, 3]


def test_a_window_of_operations_is_answered_with_one():
    assert negotiate(request(), POLICY).user_information.async_window is None
    wish = UserInformation(async_window=AsyncOperationsWindow(0, 9))
    assert negotiate(request(wish), POLICY).user_information.async_window == AsyncOperationsWindow(1, 1)


def test_roles_are_answered_for_accepted_classes_only():
    wish = UserInformation(roles=(RoleSelection(CT, True, True), RoleSelection("1.2.3", False, True)))
    assert negotiate(request(wish), POLICY).user_information.roles == (RoleSelection(CT, True, False),)
    willing = replace(POLICY, allows_requestor_as_scp=lambda uid: uid == CT)
    assert negotiate(request(wish), willing).user_information.roles == (RoleSelection(CT, True, True),)


def test_extended_negotiation_is_answered_for_accepted_classes_that_have_something_to_say():
    policy = replace(POLICY, extended_negotiation=lambda uid, raw: raw[::-1] if uid == CT else None)
    proposed = tuple(ExtendedNegotiation(uid, b"\1\0") for uid in (CT, VERIFICATION, "1.2.3"))
    answer = negotiate(request(UserInformation(extended=proposed)), policy)
    assert answer.user_information.extended == (ExtendedNegotiation(CT, b"\0\1"),)
    plain = negotiate(request(UserInformation(extended=proposed)), POLICY)
    assert plain.user_information.extended == ()


def test_an_identity_is_answered_if_an_answer_is_wanted():
    silent = UserInformation(user_identity=UserIdentity(1, False, b"me"))
    asking = UserInformation(user_identity=UserIdentity(1, True, b"me"))
    assert negotiate(request(silent), POLICY).user_information.user_identity_response is None
    assert negotiate(request(asking), POLICY).user_information.user_identity_response == b""


def test_an_identity_can_be_refused():
    strict = replace(POLICY, verify_identity=lambda identity: b"" if identity.primary == b"me" else None)
    stranger = UserInformation(user_identity=UserIdentity(1, False, b"you"))
    assert negotiate(request(stranger), strict) == pdu.AssociateReject(1, 1, 1)


@given(strategies.requests)
def test_every_request_gets_an_answer_that_can_be_encoded(value):
    answer = negotiate(value, replace(POLICY, accepts_abstract_syntax=lambda uid: len(uid) % 2 == 0))
    assert pdu.decode(pdu.encode(answer)) == answer
    assert [context.id for context in answer.contexts] == [context.id for context in value.contexts]
