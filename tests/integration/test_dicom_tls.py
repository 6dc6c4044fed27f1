"""DICOM over TLS with dcmtk and Orthanc on the other side, as callers and as those who are called."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import StartIthil, StartOrthanc
from tests.data.real import path_of
from tests.servers import certificates
from tests.servers.certificates import Certificates
from tests.servers.ithil import Ithil
from tests.servers.ports import free_ports

CT = path_of("pydicom/CT_small.dcm")

Run = Callable[..., int]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def options(keys: Certificates, name: str = "server", **more: Any) -> dict[str, Any]:
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(keys.certificate(name)),
        "DicomTlsPrivateKey": str(keys.key(name)),
        "DicomTlsTrustedCertificates": str(keys.authority),
        **more,
    }


def run(program: str, server: Ithil, *arguments: object, files: tuple[Path, ...] = ()) -> int:
    found = shutil.which(program)
    assert found is not None, "dcmtk is not installed: `make test` installs it"
    command = [found, *arguments, "-aec", "ORTHANC", "127.0.0.1", server.dicom_port, *files]
    return subprocess.run(
        [str(word) for word in command], capture_output=True, timeout=60, check=False
    ).returncode


def showing(keys: Certificates, name: str) -> tuple[object, ...]:
    """dcmtk's options that show a certificate and trust the authority."""
    return ("+tls", keys.key(name), keys.certificate(name), "+cf", keys.authority)


def anonymous(keys: Certificates) -> tuple[object, ...]:
    return ("+tla", "+cf", keys.authority)


def instances(server: Ithil) -> int:
    return int(server.get("/statistics").json()["CountInstances"])


def test_only_callers_with_a_good_certificate_get_in(start_ithil: StartIthil, keys: Certificates) -> None:
    server = start_ithil(options(keys))
    assert run("echoscu", server, *showing(keys, "station")) == 0
    assert run("storescu", server, *showing(keys, "station"), files=(CT,)) == 0
    assert instances(server) == 1
    assert run("echoscu", server, *anonymous(keys)) != 0
    assert run("echoscu", server, *showing(keys, "stranger")) != 0
    assert run("echoscu", server) != 0  # without TLS
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in server.log


def test_callers_need_no_certificate_if_none_is_required(start_ithil: StartIthil, keys: Certificates) -> None:
    server = start_ithil(options(keys, DicomTlsRemoteCertificateRequired=False))
    assert run("echoscu", server, *anonymous(keys)) == 0
    assert run("echoscu", server, *showing(keys, "station")) == 0
    assert run("echoscu", server, *showing(keys, "stranger")) != 0
    assert run("echoscu", server) != 0


def handshake(server: Ithil, keys: Certificates, version: ssl.TLSVersion) -> str | None:
    """The cipher that is agreed with one version of TLS only, None if nothing is."""
    context = ssl.create_default_context(cafile=keys.authority)
    context.load_cert_chain(keys.certificate("station"), keys.key("station"))
    context.minimum_version = context.maximum_version = version
    try:
        with (
            socket.create_connection(("127.0.0.1", server.dicom_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            cipher = sock.cipher()
            return cipher[0] if cipher else None
    except OSError:
        return None


def test_versions_and_ciphers_are_those_of_the_configuration(
    start_ithil: StartIthil, keys: Certificates
) -> None:
    usual = start_ithil(options(keys))
    assert handshake(usual, keys, ssl.TLSVersion.TLSv1_2) is not None
    assert handshake(usual, keys, ssl.TLSVersion.TLSv1_3) is not None
    newest = start_ithil(
        options(keys, DicomTlsMinimumProtocolVersion=5, DicomTlsCiphersAccepted=["TLS_AES_256_GCM_SHA384"])
    )
    assert handshake(newest, keys, ssl.TLSVersion.TLSv1_2) is None
    assert handshake(newest, keys, ssl.TLSVersion.TLSv1_3) is not None
    one = "ECDHE-RSA-AES128-GCM-SHA256"
    older = start_ithil(options(keys, DicomTlsMinimumProtocolVersion=4, DicomTlsCiphersAccepted=[one]))
    assert handshake(older, keys, ssl.TLSVersion.TLSv1_2) == one
    assert handshake(older, keys, ssl.TLSVersion.TLSv1_3) is None


@contextmanager
def receiving(keys: Certificates, name: str, folder: Path) -> Iterator[int]:
    """dcmtk's storescp with TLS; gives its port."""
    found = shutil.which("storescp")
    assert found is not None
    (port,) = free_ports(1)
    folder.mkdir()
    command = [
        found,
        "+tls",
        keys.key(name),
        keys.certificate(name),
        "+cf",
        keys.authority,
        "-od",
        folder,
        port,
    ]
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def calling(port: int, keys: Certificates) -> dict[str, Any]:
    place = {"AET": "STORESCP", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True, "Timeout": 5}
    return {**options(keys), "DicomTlsEnabled": False, "DicomModalities": {"other": place}}


def test_a_modality_is_called_with_tls(start_ithil: StartIthil, keys: Certificates, tmp_path: Path) -> None:
    with receiving(keys, "station", tmp_path / "received") as port:
        server = start_ithil(calling(port, keys))
        assert server.ask("POST", "/modalities/other/echo", "{}").status == 200
        study = server.upload(CT.read_bytes()).json()["ParentStudy"]
        assert server.ask("POST", "/modalities/other/store", study).status == 200
        assert len(list((tmp_path / "received").iterdir())) == 1


def test_a_modality_with_an_unknown_certificate_is_not_trusted(
    start_ithil: StartIthil, keys: Certificates, tmp_path: Path
) -> None:
    with receiving(keys, "stranger", tmp_path / "received") as port:
        server = start_ithil(calling(port, keys))
        answer = server.ask("POST", "/modalities/other/echo", "{}")
        assert answer.status == 500
        assert answer.json()["OrthancStatus"] == 9
        study = server.upload(CT.read_bytes()).json()["ParentStudy"]
        assert server.ask("POST", "/modalities/other/store", study).status == 500
        assert not list((tmp_path / "received").iterdir())


def test_orthanc_and_ithil_talk_over_tls_both_ways(
    start_ithil: StartIthil, start_orthanc: StartOrthanc, keys: Certificates
) -> None:
    ithil_port, orthanc_port = free_ports(2)

    def other(port: int) -> dict[str, Any]:
        return {"other": {"AET": "ORTHANC", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}}

    ithil = start_ithil({**options(keys), "DicomPort": ithil_port, "DicomModalities": other(orthanc_port)})
    orthanc = start_orthanc(
        {**options(keys, "station"), "DicomPort": orthanc_port, "DicomModalities": other(ithil_port)}
    )
    for one, two in ((ithil, orthanc), (orthanc, ithil)):
        study = one.upload(CT.read_bytes()).json()["ParentStudy"]
        assert one.ask("POST", "/modalities/other/store", study).status == 200
        assert two.get(f"/studies/{study}").status == 200
        two.ask("DELETE", f"/studies/{study}")
        one.ask("DELETE", f"/studies/{study}")
