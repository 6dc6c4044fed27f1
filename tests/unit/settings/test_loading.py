"""Types, ranges, combinations, and what the start says of what it does not honour."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ithil.dicom.level import Level
from ithil.settings import Settings, SettingsError, load
from ithil.settings.remotes import Modality
from ithil.settings.rules import check
from ithil.settings.tags import ContentType, CustomTag


def _load(**options: Any) -> Settings:
    return load([], {}, options)


def _warnings(**options: Any) -> str:
    return "\n".join(_load(**options).warnings)


def test_defaults_are_those_of_orthanc() -> None:
    settings = Settings()
    assert (settings.dicom_aet, settings.dicom_port, settings.http_port) == ("ORTHANC", 4242, 8042)
    assert settings.stable_age == 60
    assert settings.overwrite_instances == "Never"
    assert settings.maximum_pdu_length == 16384
    assert settings.index_directory == settings.storage_directory
    assert settings.authentication_enabled is False
    assert settings.dicom_modalities == {}
    assert settings.ithil.workers == 1
    assert settings.postgresql.enable_index is False


def test_defaults_are_the_same_whether_loaded_or_made() -> None:
    loaded = dataclasses.replace(load([], {}), warnings=(), insecure=(), origins={}, configuration={})
    assert loaded == Settings()


@pytest.mark.parametrize(
    ("option", "value", "allowed", "kind"),
    [
        ("HttpPort", "8042", "an integer from 0 to 65535", "a string"),
        ("HttpPort", 70000, "an integer from 0 to 65535", "an integer (70000)"),
        ("StableAge", 5.0, "an integer of at least 0", "a number (5.0)"),
        ("StableAge", True, "an integer of at least 0", "a boolean"),
        ("StorageCompression", 1, "true or false", "an integer (1)"),
        ("StorageCompression", "true", "true or false", "a string"),
        ("Name", 12, "a string", "an integer (12)"),
        ("Name", None, "a string", "null"),
        ("DicomAet", "SEVENTEEN_LETTERS", "1 to 16 characters", "a string"),
        ("DicomAet", "", "1 to 16 characters", "a string"),
        ("MaximumPduLength", 100, "from 4096 to 131072", "an integer (100)"),
        ("DefaultEncoding", "latin1", '"Latin1"', "a string"),
        ("OverwriteInstances", "never", '"IfChanged"', "a string"),
        ("AcceptedTransferSyntaxes", [1], "a string or an array of strings", "an array"),
        ("HttpBindAddresses", ["example.org"], "an array of IP addresses", "an array"),
        ("DicomModalities", [], "an object", "an array"),
        ("PostgreSQL", True, "an object", "a boolean"),
        ("UserMetadata", {"a": 1024, "b": 1024}, "no number stands twice", "an object"),
        ("RegisteredUsers", {"a:b": "x"}, "no colon", "an object"),
        ("RegisteredUsers", {"a": 1}, "an object of strings", "an object"),
        ("StorageDirectory", "", "a path", "a string"),
        ("ExtraMainDicomTags", {"Foo": ["Rows"]}, 'not "Foo"', "an object"),
        ("ExtraMainDicomTags", {"Instance": ["NoSuchTag"]}, "NoSuchTag", "an object"),
        ("ExtraMainDicomTags", {"Instance": ["0009,1001"]}, "without private tags", "an object"),
        ("Dictionary", {"4321,1012": ["VR", "x"]}, "PS3.5 6.2", "an object"),
        ("Dictionary", {"4321,1012": ["PN", "x"]}, "its group is odd", "an object"),
        ("Dictionary", {"4322,1012": ["PN", "x", 1, 1, "Me"]}, "its group is even", "an object"),
        ("Dictionary", {"PatientName": ["PN", "x"]}, 'not "PatientName"', "an object"),
        ("Dictionary", {"4322,1012": ["PN", "x", 2, 1]}, "at least the minimum", "an object"),
    ],
)
def test_a_wrong_type_or_value_stops_the_start(option: str, value: Any, allowed: str, kind: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(**{option: value})
    message = str(caught.value)
    assert message.startswith(f'The option "{option}" must be ')
    assert allowed in message
    assert f"but it is {kind}" in message
    assert message.endswith("(set in the command line)")


@pytest.mark.parametrize(
    ("option", "value", "found"),
    [
        ("UserMetadata", {"a": 12}, '"a" has 12'),
        ("UserMetadata", {"fine": 1024, "a": 70000}, '"a" has 70000'),
        ("UserMetadata", {"a": "1024"}, '"a" has no integer'),
        ("UserMetadata", {"a/b": 1024}, '"a/b" has one'),
        ("UserContentType", {"report": [1000, "text/plain"]}, '"report" has 1000'),
        ("UserContentType", {"report": [1024]}, '"report" is another array'),
        ("UserContentType", {"report": [1024, 3]}, '"report" is another array'),
        ("UserContentType", {"report": True}, '"report" has no integer'),
        ("UserContentType", {"report": [1024, "a/b\r\nX: y"]}, 'the MIME type of "report"'),
        ("UserContentType", {"report": [1024, "a/b\n"]}, 'the MIME type of "report"'),
        ("UserContentType", {"a/b": [1024, "text/plain"]}, '"a/b" has one'),
    ],
)
def test_a_wrong_entry_is_named(option: str, value: Any, found: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(**{option: value})
    message = str(caught.value)
    assert f", but {found}" in message
    assert "it is an object" not in message
    assert ("without slashes" if "/b" in next(iter(value)) else "integers from 1024 to 65535") in message


def test_an_error_names_the_nested_option_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"Ithil": {"Workers": 0}}')
    with pytest.raises(SettingsError, match=r'"Ithil\.Workers" must be an integer from 1 .*a\.json'):
        load([file], {})


def test_a_secret_is_never_quoted_in_an_error() -> None:
    with pytest.raises(SettingsError) as caught:
        _load(PostgreSQL={"Password": 987654})
    assert "987654" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"RemoteAccessAllowed": True}, "RegisteredUsers"),
        ({"RemoteAccessAllowed": True, "AuthenticationEnabled": True}, "RegisteredUsers"),
        ({"OverwriteInstances": "IfChanged", "StoreMD5ForAttachments": False}, "StoreMD5ForAttachments"),
        ({"MaximumStorageSize": 1, "PatientLevelEnabled": False}, "PatientLevelEnabled"),
        ({"MaximumPatientCount": 1, "PatientLevelEnabled": False}, "PatientLevelEnabled"),
        ({"DicomTlsMinimumProtocolVersion": 4}, "DicomTlsCiphersAccepted"),
        ({"SslEnabled": True, "SslCertificate": "/nowhere.pem"}, "SslCertificate"),
        ({"TemporaryDirectory": "/nowhere"}, "TemporaryDirectory"),
        ({"MySQL": {"EnableIndex": True}}, "MySQL.EnableIndex"),
        ({"Odbc": {"EnableStorage": True}}, "Odbc.EnableStorage"),
        ({"PostgreSQL": {"EnableStorage": True}}, "PostgreSQL.EnableStorage"),
        ({"AwsS3Storage": {"BucketName": "b"}}, "AwsS3Storage.BucketName"),
        ({"Authorization": {"WebServiceRootUrl": "http://a/"}}, "Authorization.WebServiceRootUrl"),
        ({"DicomTlsEnabled": True}, "DicomTlsCertificate"),
    ],
)
def test_what_must_not_start_does_not(options: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        _load(**options)


def test_dicom_tls_needs_its_files(tmp_path: Path) -> None:
    settings = Settings(dicom_tls_enabled=True)
    with pytest.raises(SettingsError, match="DicomTlsCertificate"):
        check(settings)
    file = tmp_path / "x.pem"
    file.touch()
    settings = dataclasses.replace(settings, dicom_tls_certificate=file, dicom_tls_private_key=file)
    with pytest.raises(SettingsError, match="DicomTlsTrustedCertificates"):
        check(settings)
    check(dataclasses.replace(settings, dicom_tls_remote_certificate_required=False))


def test_remote_access_starts_with_users_even_if_none() -> None:
    settings = _load(RemoteAccessAllowed=True, RegisteredUsers={})
    assert settings.authentication_enabled
    assert settings.registered_users == {}
    assert any("nobody can log in" in warning for warning in settings.warnings)
    assert not _load(RemoteAccessAllowed=True, AuthenticationEnabled=False).authentication_enabled


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"AuthenticationEnabled": True, "RegisteredUsers": {"orthanc": "orthanc"}}, '"orthanc"'),
        ({"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "alicePassword"}}, '"alice"'),
        ({"RemoteAccessAllowed": True, "AuthenticationEnabled": False}, "RemoteAccessAllowed"),
        ({"ExecuteLuaEnabled": True}, "ExecuteLuaEnabled"),
    ],
)
def test_insecure_settings_are_flagged(options: dict[str, Any], said: str) -> None:
    settings = _load(**options)
    assert len(settings.insecure) == 1
    assert said in settings.insecure[0]
    assert settings.insecure[0] in settings.warnings


def test_secure_settings_are_not_flagged() -> None:
    settings = _load(RemoteAccessAllowed=True, RegisteredUsers={"orthanc": "something else"})
    assert settings.insecure == ()


def test_what_is_set_but_not_honoured_is_named_once_with_its_reason() -> None:
    settings = _load(
        WebDavEnabled=True, MaximumStorageSize=10, MaximumPatientCount=5, Housekeeper={"Enable": True}
    )
    found = [warning for warning in settings.warnings if "not honoured" in warning]
    assert len(found) == 1
    assert "MaximumStorageSize, MaximumPatientCount (quotas" in found[0]
    assert "WebDavEnabled (WebDAV" in found[0]
    assert "Housekeeper.Enable (the housekeeper" in found[0]


def test_what_is_not_set_or_asks_for_nothing_is_not_named() -> None:
    assert "not honoured" not in _warnings()
    assert "not honoured" not in _warnings(
        WebDavEnabled=False, MaximumStorageSize=0, LuaScripts=[], Plugins=[]
    )


def test_unknown_options_are_named_once_with_the_nearest_name() -> None:
    settings = _load(HtppPort=1, dicomaet="X", DicomWeb={"Rooot": "/"}, CompletelyDifferent={})
    found = [warning for warning in settings.warnings if "unknown" in warning]
    assert len(found) == 1
    assert "HtppPort (did you mean HttpPort?)" in found[0]
    assert "dicomaet (did you mean DicomAet?)" in found[0]
    assert "DicomWeb.Rooot (did you mean DicomWeb.Root?)" in found[0]
    assert "CompletelyDifferent." in found[0]


def test_older_names_are_understood_and_give_way_to_the_current_ones() -> None:
    assert _load(RejectSopClasses=["1.2"]).rejected_sop_classes == ["1.2"]
    assert _load(RejectSopClasses=["1.2"], RejectedSopClasses=["1.3"]).rejected_sop_classes == ["1.3"]


def test_overwrite_instances_takes_the_older_booleans() -> None:
    assert _load(OverwriteInstances=True).overwrite_instances == "Always"
    assert _load(OverwriteInstances=False).overwrite_instances == "Never"
    assert _load(OverwriteInstances="IfChanged").overwrite_instances == "IfChanged"


def test_a_stable_age_below_one_means_the_default() -> None:
    assert _load(StableAge=0).stable_age == 60
    assert _load(StableAge=1).stable_age == 1


def test_structured_options() -> None:
    settings = _load(
        AcceptedTransferSyntaxes="1.2.840.10008.1.2*",
        ExtraMainDicomTags={
            "Instance": ["Rows", "0028,0011", "00280010"],
            "Patient": ["PatientComments", "Friend"],
        },
        UserContentType={"report": [1024, "application/pdf"], "other": 1025},
        Dictionary={
            "7053,1003": ["ST", "Original Image Filename", 1, 0, "Philips PET Private Group"],
            "4322,1012": ["PN", "Friend"],
        },
        DicomModalities={"pacs": ["PACS", "localhost", 104]},
    )
    assert settings.accepted_transfer_syntaxes == ["1.2.840.10008.1.2*"]
    assert settings.extra_main_dicom_tags == {
        Level.INSTANCE: [0x00280010, 0x00280011],
        Level.PATIENT: [0x00104000, 0x43221012],
    }
    assert settings.user_content_type == {
        "report": ContentType(1024, "application/pdf"),
        "other": ContentType(1025),
    }
    assert settings.dictionary == [
        CustomTag(0x70530003, "ST", "Original Image Filename", 1, 0, "Philips PET Private Group"),
        CustomTag(0x43221012, "PN", "Friend"),
    ]
    assert settings.dicom_modalities == {"pacs": Modality("PACS", "localhost", 104)}


def test_what_was_written_stays_available_to_plugins() -> None:
    settings = _load(MyPlugin={"Key": [1]}, HttpPort=1)
    assert settings.configuration == {"MyPlugin": {"Key": [1]}, "HttpPort": 1}


def test_secrets_are_not_in_the_repr() -> None:
    settings = _load(
        RegisteredUsers={"a": "hidden-1"},
        PostgreSQL={"Password": "hidden-2", "ConnectionUri": "hidden-3"},
        OrthancPeers={"p": {"Url": "http://h/", "Password": "hidden-4", "HttpHeaders": {"X": "hidden-5"}}},
    )
    assert "hidden" not in repr(settings)


def test_settings_can_be_compared_and_not_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().http_port = 1  # type: ignore[misc]
    assert json.dumps(dict(Settings().configuration)) == "{}"


def test_an_empty_password_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"RemoteAccessAllowed": true, "RegisteredUsers": {"reader": "${READER_PASSWORD}"}}')
    with pytest.raises(SettingsError, match='"reader" an empty password'):
        load([path], {})
    assert load([path], {"READER_PASSWORD": "x"}).registered_users == {"reader": "x"}
