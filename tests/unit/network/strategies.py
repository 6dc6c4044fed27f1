"""Hypothesis strategies for everything that goes over a DICOM association, as values."""

from __future__ import annotations

from hypothesis import strategies as st

from ithil.network import pdu
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import (
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ContextAnswer,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

byte = st.integers(0, 255)
short = st.integers(0, 0xFFFF)
uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,6})){1,6}", fullmatch=True)
ae_titles = st.from_regex(r"[A-Z0-9_\-]{1,16}", fullmatch=True)
odd_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)

proposed_contexts = st.builds(ProposedContext, odd_ids, uids, st.lists(uids, max_size=4).map(tuple))
context_answers = st.builds(ContextAnswer, odd_ids, st.integers(0, 4), uids)

user_information = st.builds(
    UserInformation,
    max_pdu_length=st.integers(0, 0xFFFFFFFF),
    implementation_class_uid=st.just("") | uids,
    implementation_version=st.just("") | st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True),
    async_window=st.none() | st.builds(AsyncOperationsWindow, short, short),
    roles=st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(tuple),
    extended=st.lists(st.builds(ExtendedNegotiation, uids, st.binary(max_size=9)), max_size=3).map(tuple),
    common_extended=st.lists(
        st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    user_identity=st.none()
    | st.builds(
        UserIdentity, st.integers(1, 5), st.booleans(), st.binary(max_size=30), st.binary(max_size=9)
    ),
    user_identity_response=st.none() | st.binary(max_size=30),
)


def _associate(kind, contexts):
    distinct = st.lists(contexts, max_size=5, unique_by=lambda context: context.id).map(tuple)
    return st.builds(kind, ae_titles, ae_titles, distinct, user_information, uids, short)


requests = _associate(pdu.AssociateRequest, proposed_contexts)
accepts = _associate(pdu.AssociateAccept, context_answers)
data_values = st.builds(pdu.PresentationDataValue, byte, st.booleans(), st.booleans(), st.binary(max_size=40))
pdus = (
    requests
    | accepts
    | st.builds(pdu.AssociateReject, byte, byte, byte)
    | st.builds(pdu.PData, st.lists(data_values, min_size=1, max_size=4).map(tuple))
    | st.just(pdu.ReleaseRequest())
    | st.just(pdu.ReleaseResponse())
    | st.builds(pdu.Abort, byte, byte)
)

tags = st.lists(st.integers(0, 0xFFFFFFFF), max_size=4).map(tuple)
comments = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)


def _commands(base, **optional):
    return st.fixed_dictionaries(base, optional=optional).map(Command)


commands = _commands(
    {
        "CommandField": st.sampled_from(
            [one for one in CommandField if one is not CommandField.C_CANCEL]
        ).map(int),
        "MessageID": short,
        "AffectedSOPClassUID": uids,
        "AffectedSOPInstanceUID": uids,
    },
    Priority=short,
    MoveDestination=ae_titles,
    AttributeIdentifierList=tags,
    ActionTypeID=short,
    MoveOriginatorApplicationEntityTitle=ae_titles,
) | _commands(
    {
        "CommandField": st.sampled_from(list(CommandField)).map(lambda one: one | 0x8000),
        "MessageIDBeingRespondedTo": short,
        "Status": short,
    },
    ErrorComment=comments,
    OffendingElement=tags,
    NumberOfRemainingSuboperations=short,
    NumberOfFailedSuboperations=short,
)
