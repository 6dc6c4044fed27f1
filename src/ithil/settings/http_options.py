"""Options of the HTTP server: ports, who may come in, limits, TLS; and of outgoing HTTP requests."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ithil.settings import status as why
from ithil.settings.option import (
    Context,
    WrongValue,
    boolean,
    declare,
    free_object,
    ignored,
    integer,
    path,
    text,
    texts,
)
from ithil.settings.remotes import Peer, header_values, peers


def _users(value: Any, context: Context) -> dict[str, str]:
    users = header_values(value, context)
    for name in users:
        # HTTP Basic (RFC 7617) ends the user's name at the first colon.
        if not name or ":" in name:
            raise WrongValue("an object whose user names are not empty and have no colon")
    return users


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "an array of IP addresses"
    return ""


@dataclass(frozen=True)
class HttpOptions:
    """HTTP"""

    http_server_enabled: bool = boolean("HttpServerEnabled", True, "Serve the REST API")
    http_port: int = integer("HttpPort", 8042, "Port of the HTTP server", 0, 65535)
    http_bind_addresses: list[str] | None = texts(
        "HttpBindAddresses", None, "Addresses to listen on; all if absent", check=_address
    )
    http_threads_count: int = integer("HttpThreadsCount", 50, "Requests worked on at the same time", 1)
    remote_access_allowed: bool = boolean("RemoteAccessAllowed", False, "Serve HTTP clients of other hosts")
    authentication_enabled: bool = boolean(
        "AuthenticationEnabled", None, "Ask for user and password; as RemoteAccessAllowed if absent"
    )
    registered_users: dict[str, str] | None = declare(
        "RegisteredUsers",
        "object of strings",
        None,
        "Passwords by user",
        "an object of strings",
        _users,
        secret=True,
        textual=True,
    )
    ssl_enabled: bool = boolean("SslEnabled", False, "Serve HTTPS instead of HTTP")
    ssl_certificate: Path = path("SslCertificate", "certificate.pem", "Certificate and key in one PEM file")
    ssl_verify_peers: bool = boolean("SslVerifyPeers", False, "Ask clients for a certificate")
    ssl_trusted_client_certificates: Path = path(
        "SslTrustedClientCertificates", "trustedClientCertificates.pem", "Authorities of those, PEM"
    )
    ssl_minimum_protocol_version: int = integer(
        "SslMinimumProtocolVersion", 4, "4: TLS 1.2, 5: TLS 1.3", 0, 5, why.NO_OPENSSL_CHOICE, harmless=(4,)
    )
    ssl_ciphers_accepted: list[str] | None = texts(
        "SslCiphersAccepted", None, "Ciphers, in OpenSSL's names", why.NO_OPENSSL_CHOICE
    )
    http_describe_errors: bool = boolean("HttpDescribeErrors", True, "Describe errors in a JSON body")
    http_compression_enabled: bool = boolean(
        "HttpCompressionEnabled", False, "Compress answers", why.NO_HTTP_COMPRESSION, harmless=(False,)
    )
    keep_alive: bool = boolean("KeepAlive", True, "Keep HTTP connections open between requests")
    # Orthanc's 1 s is what many clients wait between two questions: one that asks at the moment of the closing
    # gets no answer. Proxies keep theirs for a minute, and theirs should end first.
    keep_alive_timeout: int = integer(
        "KeepAliveTimeout", 65, "Idle time until they close (1 in Orthanc)", 0, unit="s"
    )
    tcp_no_delay: bool = boolean(
        "TcpNoDelay", True, "Send small packets at once", ignored("they always are"), harmless=(True,)
    )
    http_request_timeout: int = integer(
        "HttpRequestTimeout", 30, "Time to wait for the bytes of a request; 0 for ever", unit="s"
    )
    maximum_request_body_size_mb: int = integer(
        "MaximumRequestBodySizeMB", 8192, "Largest body of a request; 0 for no limit", unit="MB"
    )
    maximum_file_size_in_archive_mb: int = integer(
        "MaximumFileSizeInArchiveMB",
        4096,
        "Largest file inside an uploaded ZIP or gzip; 0 for no limit",
        unit="MB",
    )
    orthanc_explorer_enabled: bool = boolean(
        "OrthancExplorerEnabled", True, "Serve the web application", why.NO_EXPLORER, harmless=(False,)
    )
    web_dav_enabled: bool = boolean("WebDavEnabled", True, "Serve WebDAV", why.NO_WEBDAV, harmless=(False,))
    web_dav_delete_allowed: bool = boolean(
        "WebDavDeleteAllowed", False, "Delete by WebDAV", why.NO_WEBDAV, harmless=(False,)
    )
    web_dav_upload_allowed: bool = boolean(
        "WebDavUploadAllowed", True, "Upload by WebDAV", why.NO_WEBDAV, harmless=(False,)
    )
    rest_api_write_to_file_system_enabled: bool = boolean(
        "RestApiWriteToFileSystemEnabled", False, "Allow /instances/{id}/export"
    )
    orthanc_peers: dict[str, Peer] = peers("OrthancPeers", "Other servers, by symbolic name")
    orthanc_peers_in_database: bool = boolean(
        "OrthancPeersInDatabase", False, "Keep the peers in the database"
    )
    http_proxy: str = text("HttpProxy", "", "Proxy of outgoing requests")
    http_verbose: bool = boolean(
        "HttpVerbose",
        False,
        "Log the details of outgoing requests",
        why.NO_HTTP_DETAILS,
        harmless=(False,),
    )
    http_timeout: int = integer("HttpTimeout", 60, "Time for an outgoing request; 0 for ever", unit="s")
    https_verify_peers: bool = boolean("HttpsVerifyPeers", True, "Check the certificates of other servers")
    https_ca_certificates: str = text(
        "HttpsCACertificates", "", "Authorities of other servers, a PEM file; the system's if empty"
    )
    pkcs11: dict[str, Any] | None = free_object(
        "Pkcs11", "Hardware key of outgoing requests: Module, Pin, Verbose", why.NO_HARDWARE_KEYS
    )
