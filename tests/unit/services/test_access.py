"""The rules for application entity titles, without a network."""

from __future__ import annotations

from typing import Any

import pytest

from ithil.services.access import HostAddresses, Rights, is_called_by_name, rights, same_title
from ithil.settings import Modality, Settings

HERE, AWAY = "127.0.0.1", "192.0.2.7"


def settings(**options: Any) -> Settings:
    return Settings(**options)


def test_blanks_around_titles_do_not_count_and_case_only_if_asked_for() -> None:
    assert same_title(" PACS ", "pacs", settings())
    assert same_title(" PACS ", "PACS", settings(strict_aet_comparison=True))
    assert not same_title("PACS", "pacs", settings(strict_aet_comparison=True))
    assert not same_title("PACS", "PAC", settings())


def test_the_called_title_counts_if_it_is_checked() -> None:
    assert is_called_by_name("ANYTHING", settings())
    strict = settings(dicom_check_called_aet=True, dicom_aet="Ithil")
    assert is_called_by_name("ITHIL ", strict)
    assert not is_called_by_name("OTHER", strict)


def test_strangers_have_what_the_options_give_them() -> None:
    default = rights("STRANGER", HERE, settings())
    assert default == Rights(echo=True, store=True)
    assert rights("STRANGER", HERE, settings(dicom_always_allow_store=False)) == Rights(echo=True)
    nobody = settings(dicom_always_allow_store=False, dicom_always_allow_echo=False)
    assert not rights("STRANGER", HERE, nobody).any
    generous = settings(
        dicom_always_allow_find=True,
        dicom_always_allow_find_worklist=True,
        dicom_always_allow_get=True,
        dicom_always_allow_move=True,
    )
    assert rights("STRANGER", HERE, generous) == Rights(True, True, True, True, True, True, False)


def test_a_modality_has_the_rights_of_its_entry() -> None:
    known = Modality("CT1", HERE, 104, allow_store=False, allow_move=False)
    assert rights("ct1", AWAY, settings(dicom_modalities={"ct": known})) == Rights(
        echo=True, find=True, find_worklist=True, get=True, commitment=True, event_report=True
    )


def test_a_known_title_from_another_address_may_do_nothing_if_hosts_are_checked() -> None:
    known = Modality("CT1", HERE, 104)
    strict = settings(dicom_modalities={"ct": known}, dicom_check_modality_host=True)
    assert rights("CT1", HERE, strict).store
    assert not rights("CT1", AWAY, strict).any
    assert rights("STRANGER", AWAY, strict).store  # not a known title


@pytest.mark.parametrize(("ip", "store"), [(HERE, False), (AWAY, True), ("192.0.2.99", False)])
def test_of_several_entries_that_with_the_address_counts(ip: str, store: bool) -> None:
    modalities = {
        "one": Modality("CT", HERE, 104, allow_store=False),
        "two": Modality("CT", AWAY, 104),
    }
    found = rights("CT", ip, settings(dicom_modalities=modalities))
    assert found.store is store
    assert found.echo


def test_a_host_name_stands_for_its_addresses() -> None:
    known = Modality("CT", "localhost", 104)
    strict = settings(dicom_modalities={"ct": known}, dicom_check_modality_host=True)
    assert rights("CT", HERE, strict).store
    unknown = Modality("CT", "no such host.invalid", 104)
    strict = settings(dicom_modalities={"ct": unknown}, dicom_check_modality_host=True)
    assert not rights("CT", HERE, strict).any


class NameServer:
    """Answers for one name, if it can, and counts the questions."""

    def __init__(self) -> None:
        self.answer: str | None = None
        self.questions = 0

    def look_up(self, host: str) -> frozenset[str]:
        self.questions += 1
        if self.answer is None:
            raise OSError("no answer")
        return frozenset({self.answer})


def test_a_failed_look_up_is_tried_again() -> None:
    server = NameServer()
    addresses = HostAddresses(server.look_up)
    assert addresses.of("ct.hospital.example") == {"ct.hospital.example"}
    server.answer = AWAY
    assert addresses.of("ct.hospital.example") == {AWAY}


def test_a_look_up_counts_for_five_minutes() -> None:
    server, now = NameServer(), 1000.0
    addresses = HostAddresses(server.look_up, clock=lambda: now)
    server.answer = HERE
    assert addresses.of("ct.hospital.example") == {HERE}
    server.answer = AWAY
    now += 299
    assert addresses.of("ct.hospital.example") == {HERE}
    assert server.questions == 1
    now += 2
    assert addresses.of("ct.hospital.example") == {AWAY}
