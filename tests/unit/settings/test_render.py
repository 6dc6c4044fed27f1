"""The printed configuration: complete, readable again, and without secrets."""

from __future__ import annotations

import json
from pathlib import Path

from ithil.settings import load
from ithil.settings.json_text import parse
from ithil.settings.option import options_of
from ithil.settings.render import MASK, config_check, render_effective

_SECRETS = {
    "RegisteredUsers": {"alice": "hidden"},
    "OrthancPeers": {
        "short": ["http://bob:hidden@h/", "bob", "hidden"],
        "long": {
            "Url": "https://h/",
            "Password": "hidden",
            "CertificateKeyPassword": "hidden",
            "HttpHeaders": {"X-Any": "hidden"},
            "ApiToken": "hidden",
        },
    },
    "HttpProxy": "http://bob:hidden@proxy:3128",
    "Pkcs11": {"Module": "m", "Pin": "hidden"},
    "PostgreSQL": {
        "ConnectionUri": "postgresql://bob:hidden@h/db?password=hidden",
        "Password": "hidden",
        "Host": "host=h password=hidden",
    },
    "Odbc": {"IndexConnectionString": "Driver=x;PWD=hidden"},
    "AwsS3Storage": {"AccessKey": "hidden", "SecretKey": "hidden", "Region": "eu"},
    "DicomWeb": {"Servers": {"s": {"Url": "http://h/", "Username": "u", "Password": "hidden"}}},
    "Authorization": {"WebServicePassword": "hidden"},
    "OrthancExplorer2": {"Emails": {"Server": {"Url": "http://h/", "Password": "hidden"}}},
    "Unknown": {"Password": "hidden"},
}


def test_no_secret_is_printed() -> None:
    settings = load([], {}, _SECRETS)
    text = render_effective(settings)
    assert "hidden" not in text
    assert "hidden" not in " ".join(settings.warnings)
    shown = json.loads(text)
    assert shown["RegisteredUsers"] == {"alice": MASK}
    assert shown["OrthancPeers"]["short"] == [f"http://bob:{MASK}@h/", "bob", MASK]
    assert shown["OrthancPeers"]["long"]["HttpHeaders"] == {"X-Any": MASK}
    assert shown["HttpProxy"] == f"http://bob:{MASK}@proxy:3128"
    assert shown["Pkcs11"] == {"Module": "m", "Pin": MASK}
    assert shown["AwsS3Storage"]["Region"] == "eu"


def test_what_is_in_force_is_printed() -> None:
    settings = load([], {"ORTHANC__HTTP_PORT": "9"}, {"OverwriteInstances": True, "StorageDirectory": "/s"})
    shown = json.loads(render_effective(settings))
    assert shown["HttpPort"] == 9
    assert shown["OverwriteInstances"] == "Always"
    assert shown["IndexDirectory"] == "/s"
    assert shown["AuthenticationEnabled"] is False
    assert shown["Ithil"]["Workers"] == 1
    assert "MySQL" not in shown
    missing = {
        key
        for key, option in options_of(settings).items()
        if option.section is None and option.default is not None and key not in shown
    }
    assert missing == set()


def test_what_is_printed_can_be_read_again_with_the_same_meaning(tmp_path: Path) -> None:
    options = {
        "DicomModalities": {"a": ["A", "h", "104"]},
        "UserContentType": {"x": [1024, "text/plain"]},
        "ExtraMainDicomTags": {"Study": ["StudyComments"]},
        "Dictionary": {"4322,1012": ["PN", "Friend"]},
        "StableAge": 3,
    }
    code, text = config_check([], {}, options)
    assert code == 0
    file = tmp_path / "again.json"
    file.write_text(text)
    first, again = load([], {}, options), load([file], {})
    for name in (
        "dicom_modalities",
        "user_content_type",
        "extra_main_dicom_tags",
        "dictionary",
        "stable_age",
        "ithil",
    ):
        assert getattr(again, name) == getattr(first, name)


def test_config_check_prints_warnings_as_comments() -> None:
    code, text = config_check([], {}, {"HtppPort": 1, "A\nB": 2})
    assert code == 0
    assert "// Warning: " in text
    assert "did you mean HttpPort?" in text
    assert parse(text, "text", [])["HttpPort"] == 8042


def test_config_check_tells_why_the_server_would_not_start() -> None:
    code, text = config_check([], {"ORTHANC__DICOM_PORT": "x"})
    assert code == 1
    assert "DicomPort" in text
    assert "ORTHANC__DICOM_PORT" in text
