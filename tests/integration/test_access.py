"""Who may associate and what he may send, as the settings have it, seen from the other side of the network."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.integration.sending import CT, associate, count, store
from tests.servers.ithil import Ithil

from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network.errors import AssociationRefused
from ithil.network.requestor import VERIFICATION, Requestor, connect

IMPLICIT = "1.2.840.10008.1.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
UNKNOWN_CLASS = "1.2.826.0.1.3680043.9.7777.1"


def peer(server: Ithil, contexts: list[tuple[str, list[str]]], calling: str = "TESTER") -> Requestor:
    return connect(
        "127.0.0.1", server.dicom_port, called="ORTHANC", calling=calling, contexts=contexts, timeout=30
    )


def accepted(
    server: Ithil, contexts: list[tuple[str, list[str]]], calling: str = "TESTER"
) -> set[tuple[str, str]]:
    """The pairs of SOP class and transfer syntax that the server takes."""
    with peer(server, contexts, calling) as made:
        return {(one.abstract_syntax, one.transfer_syntax) for one in made.contexts.values()}


def test_another_called_title_is_rejected_if_that_is_checked(start_ithil: StartIthil) -> None:
    server = start_ithil({"DicomCheckCalledAet": True, "DicomAet": "Archive"})
    with pytest.raises(AssociationRefused) as refused:
        associate(server, called="OTHER")
    # PS3.8 table 9-21: rejected permanently by the service user, called title not recognized
    assert (refused.value.result, refused.value.source, refused.value.reason) == (1, 1, 7)
    associate(server, called="archive").release()
    assert "OTHER" in server.log  # titles of strangers are not ours to write down
    tolerant = start_ithil({"DicomAet": "Archive"})
    associate(tolerant, called="OTHER").release()


def test_case_counts_if_that_is_asked_for(start_ithil: StartIthil) -> None:
    server = start_ithil({"DicomCheckCalledAet": True, "DicomAet": "Archive", "StrictAetComparison": True})
    associate(server, called="Archive").release()
    with pytest.raises(AssociationRefused):
        associate(server, called="ARCHIVE")


def test_strangers_who_may_not_store(start_ithil: StartIthil) -> None:
    server = start_ithil(
        {
            "DicomAlwaysAllowStore": False,
            "DicomModalities": {"friend": ["FRIEND", "127.0.0.1", 4242]},
        }
    )
    contexts = [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT_LITTLE])]
    assert accepted(server, contexts) == {(VERIFICATION, IMPLICIT)}
    with associate(server, calling="FRIEND") as made:
        assert store(made, synthetic.instance(0, 0, 0, size=4)) == 0
    assert count(server) == 1


def test_strangers_who_may_do_nothing(start_ithil: StartIthil) -> None:
    server = start_ithil(
        {
            **{f"DicomAlwaysAllow{what}": False for what in ("Echo", "Store", "Find", "Get", "Move")},
            "DicomAlwaysAllowFindWorklist": False,
        }
    )
    with pytest.raises(AssociationRefused) as refused:
        associate(server)
    assert (refused.value.result, refused.value.source, refused.value.reason) == (1, 1, 3)


def test_a_modality_that_may_not_store(start_ithil: StartIthil) -> None:
    modality: dict[str, Any] = {"AET": "VIEWER", "Host": "127.0.0.1", "Port": 4242, "AllowStore": False}
    server = start_ithil({"DicomModalities": {"viewer": modality}})
    contexts = [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT_LITTLE])]
    assert accepted(server, contexts, "VIEWER") == {(VERIFICATION, IMPLICIT)}
    assert accepted(server, contexts) == {(VERIFICATION, IMPLICIT), (CT, EXPLICIT_LITTLE)}


def test_a_known_title_from_another_address(start_ithil: StartIthil) -> None:
    server = start_ithil(
        {
            "DicomCheckModalityHost": True,
            "DicomModalities": {"here": ["HERE", "127.0.0.1", 4242], "away": ["AWAY", "192.0.2.1", 4242]},
        }
    )
    associate(server, calling="HERE").release()
    with pytest.raises(AssociationRefused):
        associate(server, calling="AWAY")


def test_unknown_sop_classes(start_ithil: StartIthil) -> None:
    contexts = [(UNKNOWN_CLASS, [EXPLICIT_LITTLE]), (CT, [EXPLICIT_LITTLE])]
    assert accepted(start_ithil(), contexts) == {(CT, EXPLICIT_LITTLE)}
    liberal = start_ithil({"UnknownSopClassAccepted": True})
    assert accepted(liberal, contexts) == {(UNKNOWN_CLASS, EXPLICIT_LITTLE), (CT, EXPLICIT_LITTLE)}


@pytest.mark.parametrize(
    ("settings", "syntaxes"),
    [
        ({}, {IMPLICIT, EXPLICIT_LITTLE, JPEG_BASELINE, RLE}),
        ({"AcceptedTransferSyntaxes": ["1.2.840.10008.1.2.1"]}, {EXPLICIT_LITTLE}),
        ({"AcceptedTransferSyntaxes": ["1.2.840.10008.1.2.4.*"]}, {JPEG_BASELINE}),
        ({"JpegTransferSyntaxAccepted": False}, {IMPLICIT, EXPLICIT_LITTLE, RLE}),
        (
            {"AcceptedTransferSyntaxes": ["1.2.840.10008.1.2.1"], "RleTransferSyntaxAccepted": True},
            {EXPLICIT_LITTLE, RLE},
        ),
    ],
)
def test_transfer_syntaxes(start_ithil: StartIthil, settings: dict[str, Any], syntaxes: set[str]) -> None:
    server = start_ithil(settings)
    contexts = [(CT, [one]) for one in (IMPLICIT, EXPLICIT_LITTLE, JPEG_BASELINE, RLE)]
    assert accepted(server, contexts) == {(CT, one) for one in syntaxes}
