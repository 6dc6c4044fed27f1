"""DICOM over TLS (PS3.15 annex B): the contexts of the listener and of outgoing associations.

Both sides show `DicomTlsCertificate` and check the other's certificate against `DicomTlsTrustedCertificates`.
Host names are not compared: modalities are configured by address and their certificates seldom name one, so
that, as in other DICOM software, to be signed by a trusted authority is what counts.

`DicomTlsMinimumProtocolVersion` 0 is the BCP 195 profile: TLS 1.2 or newer and ciphers with forward secrecy.
Other values come with a list of ciphers, which is then all there is.
"""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.settings import Settings

_VERSIONS = {
    1: ssl.TLSVersion.TLSv1,  # SSL 3.0, which no library has any more
    2: ssl.TLSVersion.TLSv1,
    3: ssl.TLSVersion.TLSv1_1,
    4: ssl.TLSVersion.TLSv1_2,
    5: ssl.TLSVersion.TLSv1_3,
}
_BCP_195 = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!SHA1"
_TLS_1_3 = "TLS_"
"""How the names of the cipher suites of TLS 1.3 begin, which OpenSSL keeps apart."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a context is made of; equal choices share one."""

    certificate: Path | None
    key: Path | None
    trusted: Path | None
    required: bool
    minimum: int
    ciphers: tuple[str, ...] | None
    written: tuple[int, ...]  # times of the files' last change, so that renewed certificates are read again


def server_context(settings: Settings) -> ssl.SSLContext:
    """The context of the DICOM listener.

    Callers must show a certificate of a trusted authority, unless `DicomTlsRemoteCertificateRequired` is false;
    one that is shown all the same must still be good if there are authorities to check it against. Raises
    CodedError (SSL initialization) for files or ciphers that cannot be used.
    """
    choice = _choice(settings)
    if choice.certificate is None or choice.key is None:
        raise _unusable("DicomTlsCertificate and DicomTlsPrivateKey are needed for the DICOM listener")
    context = _context(ssl.PROTOCOL_TLS_SERVER, choice)
    if choice.required:
        if choice.trusted is None:
            raise _unusable("DicomTlsTrustedCertificates is needed to check the certificates of callers")
        context.verify_mode = ssl.CERT_REQUIRED
    elif choice.trusted is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(settings: Settings) -> ssl.SSLContext:
    """The context of outgoing associations; the same one as long as nothing has changed.

    The server must show a certificate of a trusted authority. Only without `DicomTlsTrustedCertificates` and
    with `DicomTlsRemoteCertificateRequired` false is it not checked. Raises CodedError (SSL initialization) for
    files or ciphers that cannot be used.
    """
    return _client_context(_choice(settings))


@lru_cache(maxsize=8)
def _client_context(choice: _Choice) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT, choice)
    context.check_hostname = False
    if choice.trusted is None:
        if choice.required:
            raise _unusable("DicomTlsTrustedCertificates is needed to check the certificate of a modality")
        context.verify_mode = ssl.CERT_NONE
    return context


def _choice(settings: Settings) -> _Choice:
    files = (
        settings.dicom_tls_certificate,
        settings.dicom_tls_private_key,
        settings.dicom_tls_trusted_certificates,
    )
    ciphers = settings.dicom_tls_ciphers_accepted
    return _Choice(
        *files,
        required=settings.dicom_tls_remote_certificate_required,
        minimum=settings.dicom_tls_minimum_protocol_version,
        ciphers=None if ciphers is None else tuple(ciphers),
        written=tuple(_written(files)),
    )


def _written(files: Iterable[Path | None]) -> Iterable[int]:
    for file in files:
        try:
            yield 0 if file is None else os.stat(file).st_mtime_ns
        except OSError:
            yield 0  # reading it will tell


def _context(protocol: int, choice: _Choice) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    try:
        _set_versions(context, choice)
        if choice.certificate is not None:
            # Without a password callback OpenSSL would ask for it on the terminal.
            context.load_cert_chain(choice.certificate, choice.key, password=lambda: "")
        if choice.trusted is not None:
            context.load_verify_locations(cafile=choice.trusted)
    except (OSError, ValueError) as error:  # ssl.SSLError is the first
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise _unusable(f"The options of DICOM TLS cannot be used: {reason}") from error
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _set_versions(context: ssl.SSLContext, choice: _Choice) -> None:
    """Set protocol versions and ciphers.

    Of TLS 1.3 Python's OpenSSL takes all suites or none, and of the older versions none cannot be said. So a
    list that has only suites of one kind also bounds the versions.
    """
    minimum = _VERSIONS.get(choice.minimum, ssl.TLSVersion.TLSv1_2)
    ciphers = choice.ciphers if choice.ciphers else (_BCP_195, _TLS_1_3)
    older = [name for name in ciphers if not name.startswith(_TLS_1_3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # versions before 1.2, which someone asked for
        context.minimum_version = minimum
        if older:
            context.set_ciphers(":".join(older))
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        if len(older) == len(ciphers):
            context.maximum_version = ssl.TLSVersion.TLSv1_2


def _unusable(details: str) -> CodedError:
    return CodedError(codes.SSL_INITIALIZATION, details)
