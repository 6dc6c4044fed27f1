"""Which SOP classes and transfer syntaxes the listener supports under which settings."""

from __future__ import annotations

from ithil.dicom import uids
from ithil.services.access import Rights
from ithil.services.presentation import (
    VERIFICATION,
    Presentation,
    accepted_transfer_syntaxes,
    storage_filter,
)
from ithil.settings import Settings

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
    default = storage_filter(Settings())
    assert default(CT)
    assert not default(FIND)
    assert not default(PRIVATE)
    liberal = storage_filter(Settings(unknown_sop_class_accepted=True))
    assert liberal(PRIVATE)
    assert not liberal(FIND)  # known, and no storage class
    chosen = storage_filter(Settings(accepted_sop_classes=[CT, PRIVATE]))
    assert chosen(CT)
    assert chosen(PRIVATE)
    assert not chosen(MR)
    rejecting = storage_filter(Settings(rejected_sop_classes=[MR]))
    assert rejecting(CT)
    assert not rejecting(MR)


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
