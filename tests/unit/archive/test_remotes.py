"""Modalities and peers that change while servers run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.archive.places import Place

from ithil import error_codes as codes
from ithil.archive import remotes
from ithil.archive.archive import Archive
from ithil.archive.index import remotes as rows
from ithil.archive.remotes import DICOMWEB_SERVERS, MODALITIES, PEERS
from ithil.error_codes import CodedError
from ithil.settings import Modality
from ithil.settings.dicomweb_options import DicomWeb
from ithil.settings.runtime import Runtime

CONFIGURED = {"ct": Modality("CT", "ct.example", 104), "mr": Modality("MR", "mr.example", 104)}
NEW = {"AET": "PACS", "Host": "pacs.example", "Port": 11112, "Manufacturer": "GE"}


@pytest.fixture
def open_archive(place: Place) -> Callable[..., Archive]:
    """A function that opens one more process's view of the same archive."""

    def make(runtime: Runtime | None = None, **options: Any) -> Archive:
        opened = place.open(dicom_modalities=CONFIGURED, **options)
        return opened if runtime is None else replace(opened, runtime=runtime)

    return make


def test_what_is_added_and_removed_lies_over_the_configuration_for_all_processes(open_archive: Any) -> None:
    runtime = Runtime()
    first, second = open_archive(runtime), open_archive(runtime)
    MODALITIES.put(first, "pacs", NEW)
    MODALITIES.put(first, "mr", ["OTHER", "mr.example", "105"])
    assert MODALITIES.remove(first, "ct")
    assert not MODALITIES.remove(first, "ct")
    found = remotes.modalities(second)
    assert list(found) == ["mr", "pacs"]
    assert (found["mr"].aet, found["mr"].port) == ("OTHER", 105)
    assert found["pacs"].manufacturer == "GE"
    assert MODALITIES.remove(second, "pacs")
    assert "pacs" not in remotes.modalities(first)


def test_a_server_that_starts_anew_has_those_of_the_configuration_again(open_archive: Any) -> None:
    MODALITIES.put(open_archive(Runtime()), "pacs", NEW)
    assert list(remotes.modalities(open_archive(Runtime()))) == ["ct", "mr"]


def test_those_in_the_database_outlive_the_server_and_replace_the_configuration(open_archive: Any) -> None:
    first = open_archive(Runtime(), dicom_modalities_in_database=True)
    assert remotes.modalities(first) == {}
    MODALITIES.put(first, "pacs", NEW)
    again = open_archive(Runtime(), dicom_modalities_in_database=True)
    assert remotes.modality(again, "pacs").host == "pacs.example"
    assert MODALITIES.remove(again, "pacs")
    assert not MODALITIES.remove(first, "pacs")


def test_peers_are_kept_beside_modalities(open_archive: Any) -> None:
    archive = open_archive(Runtime(), dicom_modalities_in_database=True, orthanc_peers_in_database=True)
    PEERS.put(archive, "same", ["http://peer.example/"])
    MODALITIES.put(archive, "same", NEW)
    assert PEERS.named(archive, "same").url == "http://peer.example/"
    assert PEERS.remove(archive, "same")
    assert "same" in remotes.modalities(archive)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "a/b", "a\n", "x" * 300])
def test_names_have_letters_digits_hyphens_and_underscores(open_archive: Any, name: str) -> None:
    with pytest.raises(CodedError) as error:
        MODALITIES.put(open_archive(), name, NEW)
    assert error.value.code == codes.BAD_FILE_FORMAT


def test_a_damaged_row_does_not_hide_the_others(open_archive: Any) -> None:
    archive = open_archive(Runtime(), dicom_modalities_in_database=True)
    MODALITIES.put(archive, "good", NEW)
    for name, value in (("bad", "{"), ("worse", '{"AET": 5}')):
        archive.index.write(
            lambda session, name=name, value=value: rows.put(session, "modality", name, value)
        )
    assert list(remotes.modalities(archive)) == ["good"]


@pytest.mark.parametrize(
    "value",
    [None, 5, {**NEW, "Host": "h" * 70_000}, "x", [], {}, {**NEW, "Port": 0}, {**NEW, "AET": "A" * 17}],
)
def test_what_is_no_modality_is_refused_and_changes_nothing(open_archive: Any, value: Any) -> None:
    archive = open_archive()
    with pytest.raises(CodedError) as error:
        MODALITIES.put(archive, "ct", value)
    assert error.value.code == codes.BAD_FILE_FORMAT
    assert remotes.modality(archive, "ct") == CONFIGURED["ct"]


def test_there_is_an_end_to_what_memory_holds(open_archive: Any) -> None:
    archive = open_archive(Runtime())
    big = {**NEW, "Host": "h" * 65_000}
    for number in range(16):
        MODALITIES.put(archive, f"m{number}", big)
    with pytest.raises(CodedError) as error:
        MODALITIES.put(archive, "m16", big)
    assert error.value.code == codes.NOT_ENOUGH_MEMORY
    assert "m0" in remotes.modalities(archive)


def test_an_unknown_one_is_told_as_such(open_archive: Any) -> None:
    with pytest.raises(CodedError) as error:
        remotes.modality(open_archive(), "nobody")
    assert error.value.code == codes.INEXISTENT_ITEM


def test_the_json_of_a_modality_is_read_back_as_the_same(open_archive: Any) -> None:
    archive = open_archive()
    found = MODALITIES.put(
        archive, "x", {**NEW, "AllowNAction": False, "Timeout": 7, "RetrieveMethod": "C-GET"}
    )
    assert MODALITIES.put(archive, "y", remotes.modality_json(found)) == found


@pytest.mark.parametrize("in_database", [False, True])
def test_dicomweb_servers_are_a_kind_of_their_own(open_archive: Any, in_database: bool) -> None:
    options = {"dicom_web": DicomWeb(servers_in_database=in_database)}
    runtime = Runtime()
    first, second = open_archive(runtime, **options), open_archive(runtime, **options)
    DICOMWEB_SERVERS.put(first, "far", {"Url": "http://far.example/dicom-web", "HasDelete": True})
    assert PEERS.all(second) == {}
    assert DICOMWEB_SERVERS.named(second, "far").properties == {"HasDelete": "1"}
    again = open_archive(Runtime(), **options)
    assert list(DICOMWEB_SERVERS.all(again)) == (["far"] if in_database else [])
    with pytest.raises(CodedError) as caught:
        DICOMWEB_SERVERS.put(first, "bad", {"Url": "http://far.example/", "HasDelete": "perhaps"})
    assert caught.value.code == codes.BAD_FILE_FORMAT
