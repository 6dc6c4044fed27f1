"""Which SOP classes and transfer syntaxes the listener supports under which settings."""

from __future__ import annotations

from ithil.dicom import uids
from ithil.network.pdu_items import RoleSelection
from ithil.services.access import Rights
from ithil.services.presentation import Presentation
from ithil.services.providers import VERIFICATION
from ithil.settings import Settings
from ithil.settings.acceptance import Acceptance, accepted_transfer_syntaxes
from ithil.settings.runtime import Runtime

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PRIVATE = "1.2.826.0.1.3680043.9.7777.1"


def test_by_default_every_transfer_syntax_is_taken() -> None:
    accepted = accepted_transfer_syntaxes(Settings())
    assert {uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG} <= accepted
    for group in uids.TRANSFER_SYNTAX_GROUPS.values():
        assert group <= accepted


def test_switches_come_after_the_list() -> None:
    only = Settings(accepted_transfer_syntaxes=[uids.EXPLICIT_LITTLE], jpeg_transfer_syntax_accepted=True)
    assert accepted_transfer_syntaxes(only) == {uids.EXPLICIT_LITTLE} | uids.TRANSFER_SYNTAX_GROUPS["Jpeg"]
    without = accepted_transfer_syntaxes(Settings(rle_transfer_syntax_accepted=False))
    assert not without & uids.TRANSFER_SYNTAX_GROUPS["Rle"]
    assert uids.EXPLICIT_LITTLE in without


def test_a_private_transfer_syntax_is_taken_if_it_is_named() -> None:
    named = Settings(accepted_transfer_syntaxes=[PRIVATE])
    assert accepted_transfer_syntaxes(named) == {PRIVATE}


def test_storage_classes() -> None:
    default = Acceptance(Settings()).stores
    assert default(CT)
    assert not default(FIND)
    assert not default(PRIVATE)
    liberal = Acceptance(Settings(unknown_sop_class_accepted=True)).stores
    assert liberal(PRIVATE)
    assert not liberal(FIND)  # known, and no storage class
    chosen = Acceptance(Settings(accepted_sop_classes=[CT, PRIVATE]))
    assert chosen.stores(CT)
    assert chosen.stores(PRIVATE)
    assert not chosen.stores(MR)
    assert chosen.sop_classes() == [CT]
    rejecting = Acceptance(Settings(rejected_sop_classes=[MR])).stores
    assert rejecting(CT)
    assert not rejecting(MR)


def test_what_an_operator_sets_counts_from_the_next_association_on() -> None:
    runtime = Runtime()
    presentation = Presentation(Settings(), runtime)
    before = presentation.policy(Rights(store=True))
    assert before.accepts_transfer_syntax(CT, uids.RLE)
    assert not before.accepts_abstract_syntax(PRIVATE)
    runtime.change(accepted_transfer_syntaxes=(uids.EXPLICIT_LITTLE,), unknown_sop_class_accepted=True)
    policy = presentation.policy(Rights(store=True))
    assert policy.accepts_transfer_syntax(CT, uids.EXPLICIT_LITTLE)
    assert not policy.accepts_transfer_syntax(CT, uids.RLE)
    assert policy.accepts_abstract_syntax(PRIVATE)
    runtime.reset()
    assert presentation.policy(Rights(store=True)).accepts_transfer_syntax(CT, uids.RLE)


def test_the_policy_follows_the_rights() -> None:
    presentation = Presentation(Settings())
    policy = presentation.policy(Rights(echo=True))
    assert policy.accepts_abstract_syntax(VERIFICATION)
    assert not policy.accepts_abstract_syntax(CT)
    policy = presentation.policy(Rights(store=True))
    assert not policy.accepts_abstract_syntax(VERIFICATION)
    assert policy.accepts_abstract_syntax(CT)
    assert policy.accepts_transfer_syntax(CT, "1.2.840.10008.1.2.4.50")
    assert not policy.accepts_transfer_syntax(VERIFICATION, "1.2.840.10008.1.2.4.50")
    assert policy.accepts_transfer_syntax(VERIFICATION, uids.IMPLICIT_LITTLE)


def test_queries_are_negotiated_by_whoever_may_ask() -> None:
    presentation = Presentation(Settings())
    asking = presentation.policy(Rights(find=True))
    assert asking.accepts_abstract_syntax(FIND)
    assert asking.accepts_transfer_syntax(FIND, uids.EXPLICIT_BIG)
    assert not asking.accepts_transfer_syntax(FIND, uids.RLE)
    assert not presentation.policy(Rights(store=True, move=True)).accepts_abstract_syntax(FIND)
    # relational queries and combined date-time matching are agreed to, the rest is not (PS3.4 C.5.1.1)
    assert asking.extended_negotiation(FIND, b"\1\1\1\1\1\1") == b"\1\1\0\0\0"
    assert asking.extended_negotiation(FIND, b"\0\1") == b"\0\1"
    assert asking.extended_negotiation(FIND, b"") is None
    assert asking.extended_negotiation(CT, b"\1") is None


def test_whoever_may_only_get_receives_as_a_provider() -> None:
    presentation = Presentation(Settings())
    role = RoleSelection(CT, False, True)
    policy = presentation.policy(Rights(get=True), (role,))
    assert policy.accepts_abstract_syntax(CT)
    assert not policy.accepts_abstract_syntax(MR)
    assert policy.allows_requestor_as_scp(CT)
    assert not presentation.policy(Rights(find=True), (role,)).accepts_abstract_syntax(CT)
