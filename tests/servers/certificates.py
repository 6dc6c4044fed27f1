"""Certificates for tests of TLS: an authority of their own, two stations that it signs, and a stranger."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files in a folder: `authority.pem`, and `.pem`, `.key` and `-both.pem` of each name."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate that signs."""
        return self.folder / "authority.pem"

    def certificate(self, name: str) -> Path:
        """The certificate of a station."""
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        """Its private key."""
        return self.folder / f"{name}.key"

    def both(self, name: str) -> Path:
        """Certificate and key in one file."""
        return self.folder / f"{name}-both.pem"


def make(folder: Path) -> Certificates:
    """Certificates of `server` and `station`, signed by the authority, and of `stranger`, signed by himself."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder)
    _self_signed(made, "authority")
    _self_signed(made, "stranger")
    for name in ("server", "station"):
        request = folder / f"{name}.csr"
        names = folder / f"{name}.ext"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", *_out(made, name, request))
        _openssl(
            *("x509", "-req", "-in", request, "-days", "30", "-CAcreateserial", "-extfile", names),
            *("-CA", made.authority, "-CAkey", made.key("authority"), "-out", made.certificate(name)),
        )
    for name in ("server", "station", "stranger"):
        made.both(name).write_bytes(made.certificate(name).read_bytes() + made.key(name).read_bytes())
    return made


def _self_signed(made: Certificates, name: str) -> None:
    subject = ("-subj", f"/CN={name}", "-days", "30")
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *_out(made, name, made.certificate(name))
    )


def _out(made: Certificates, name: str, file: Path) -> tuple[object, ...]:
    return ("-keyout", made.key(name), "-out", file)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True, timeout=60)
