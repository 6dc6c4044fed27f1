"""A server that wants a certificate and a password, and how it is configured at those who ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.certificates import Certificates
from tests.servers.ithil import Ithil
from tests.servers.ports import free_ports


def strict_server(folder: Path, keys: Certificates) -> Ithil:
    """It is not started; that it listens shows in its log, since the tests' own client has no certificate."""
    (port,) = free_ports(1)
    server = Ithil(
        folder,
        {
            "HttpPort": port,
            "SslEnabled": True,
            "SslCertificate": str(keys.both("server")),
            "SslVerifyPeers": True,
            "SslTrustedClientCertificates": str(keys.authority),
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"user": "right"},
        },
    )
    server._wait_until_it_answers = lambda: None  # type: ignore[method-assign]  # asks without TLS
    return server


def callers(server: Ithil, keys: Certificates, path: str = "/") -> dict[str, dict[str, Any]]:
    """Configurations for `server`, of which only `good` gets in."""
    good = {
        "Url": f"https://localhost:{server.configuration['HttpPort']}{path}",
        "Username": "user",
        "Password": "right",
        "CertificateFile": str(keys.certificate("station")),
        "CertificateKeyFile": str(keys.key("station")),
    }
    stranger = {
        "CertificateFile": str(keys.certificate("stranger")),
        "CertificateKeyFile": str(keys.key("stranger")),
    }
    return {
        "good": good,
        "nobody": {**good, "Password": "wrong"},
        "stranger": {**good, **stranger},
        "faceless": {"Url": good["Url"], "Username": "user", "Password": "right"},
    }
