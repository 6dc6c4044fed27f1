"""The contexts of DICOM TLS: what their options may be, and what they may not."""

from __future__ import annotations

import dataclasses
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.servers import certificates
from tests.servers.certificates import Certificates

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.services.tls import client_context, server_context
from ithil.settings import Settings


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def settings(keys: Certificates) -> Settings:
    return Settings(
        dicom_tls_certificate=keys.certificate("server"),
        dicom_tls_private_key=keys.key("server"),
        dicom_tls_trusted_certificates=keys.authority,
    )


def test_by_default_both_sides_demand_a_certificate_and_tls_1_2(settings: Settings) -> None:
    for context in (server_context(settings), client_context(settings)):
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert all("DHE" in each["name"] or each["name"].startswith("TLS_") for each in context.get_ciphers())


def test_without_authorities_nothing_is_checked_only_if_that_is_wanted(settings: Settings) -> None:
    careless = dataclasses.replace(settings, dicom_tls_trusted_certificates=None)
    for make in (server_context, client_context):
        with pytest.raises(CodedError) as caught:
            make(careless)
        assert caught.value.code == codes.SSL_INITIALIZATION
    willing = dataclasses.replace(careless, dicom_tls_remote_certificate_required=False)
    assert server_context(willing).verify_mode == ssl.CERT_NONE
    assert client_context(willing).verify_mode == ssl.CERT_NONE


def test_with_authorities_a_modality_is_always_checked(settings: Settings) -> None:
    lenient = dataclasses.replace(settings, dicom_tls_remote_certificate_required=False)
    assert server_context(lenient).verify_mode == ssl.CERT_OPTIONAL
    assert client_context(lenient).verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("field", ["certificate", "private_key", "trusted_certificates"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAA\n", bytes(1000)])
def test_files_that_cannot_be_used_are_an_error(
    settings: Settings, tmp_path: Path, field: str, content: bytes | None
) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    for make in (server_context, client_context):
        with pytest.raises(CodedError) as caught:
            make(dataclasses.replace(settings, **{f"dicom_tls_{field}": file}))
        assert caught.value.code == codes.SSL_INITIALIZATION


def test_a_key_with_a_password_is_an_error_and_no_question(
    settings: Settings, keys: Certificates, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    command = [
        "openssl",
        "rsa",
        "-aes256",
        "-passout",
        "pass:secret",
        "-in",
        keys.key("server"),
        "-out",
        locked,
    ]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    with pytest.raises(CodedError):
        server_context(dataclasses.replace(settings, dicom_tls_private_key=locked))


def test_unknown_ciphers_are_an_error(settings: Settings) -> None:
    with pytest.raises(CodedError):
        server_context(dataclasses.replace(settings, dicom_tls_ciphers_accepted=["NO-SUCH-CIPHER"]))


def test_the_context_of_calls_is_made_once_and_again_for_a_renewed_certificate(
    settings: Settings, keys: Certificates
) -> None:
    before = client_context(settings)
    assert client_context(settings) is before
    file = keys.certificate("server")
    times = os.stat(file)
    os.utime(file, (times.st_atime, times.st_mtime + 10))
    assert client_context(settings) is not before
