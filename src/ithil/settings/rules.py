"""What holds between options: combinations that stop the start, and those that are insecure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ithil.pixels.syntaxes import TARGETS
from ithil.settings.errors import SettingsError
from ithil.settings.model import Settings

_WELL_KNOWN_CREDENTIALS = (("orthanc", "orthanc"), ("alice", "orthanctest"), ("alice", "alicePassword"))


@dataclass(frozen=True, slots=True)
class Remarks:
    """Insecure settings, which the web application also shows, and other remarks."""

    insecure: list[str]
    others: list[str]


def check(settings: Settings) -> Remarks:
    """Judge the combination of all options. Raises `SettingsError` for one that must not start."""
    _refuse_impossible(settings)
    _refuse_missing_files(settings)
    return Remarks(_insecure(settings), _others(settings))


def _refuse_impossible(settings: Settings) -> None:
    if (
        settings.remote_access_allowed
        and settings.authentication_enabled
        and settings.registered_users is None
    ):
        raise SettingsError(
            'The option "RegisteredUsers" is missing: with "RemoteAccessAllowed" and "AuthenticationEnabled" '
            "nobody could log in. Name the users, or set it to {} to start without any"
        )
    if settings.authentication_enabled:
        for user, password in (settings.registered_users or {}).items():
            if not password:
                raise SettingsError(
                    f'The option "RegisteredUsers" gives "{user}" an empty password, as a variable that is not '
                    "set does; anybody could log in. Give a password, or take the user out"
                )
    if not settings.patient_level_enabled and (
        settings.maximum_storage_size or settings.maximum_patient_count
    ):
        raise SettingsError(
            'The options "MaximumStorageSize" and "MaximumPatientCount" must be 0 if "PatientLevelEnabled" '
            "is false, since quotas remove whole patients"
        )
    if settings.overwrite_instances == "IfChanged" and not settings.store_md5_for_attachments:
        raise SettingsError(
            'The option "OverwriteInstances" cannot be "IfChanged" if "StoreMD5ForAttachments" is false, '
            "since the MD5 tells what has changed"
        )
    if settings.ingest_transcoding and settings.ingest_transcoding not in TARGETS:
        raise SettingsError(
            'The option "IngestTranscoding" must be the UID of a transfer syntax that files can be written in'
        )
    if settings.dicom_tls_minimum_protocol_version and settings.dicom_tls_ciphers_accepted is None:
        raise SettingsError(
            'The option "DicomTlsMinimumProtocolVersion" needs "DicomTlsCiphersAccepted" if it is not 0'
        )
    if settings.worklists.enable:
        _refuse_impossible_worklists(settings)


def _refuse_impossible_worklists(settings: Settings) -> None:
    worklists = settings.worklists
    if worklists.directory is None and not worklists.save_in_orthanc_database:
        raise SettingsError(
            'The section "Worklists" needs "Directory", the folder of worklist files, or '
            '"SaveInOrthancDatabase": true'
        )
    if worklists.directory is not None and worklists.save_in_orthanc_database:
        raise SettingsError(
            'The section "Worklists" cannot have both "Directory" and "SaveInOrthancDatabase": choose one'
        )


def _refuse_missing_files(settings: Settings) -> None:
    needed: list[tuple[str, Path | None]] = []
    if settings.http_server_enabled and settings.ssl_enabled:
        needed.append(("SslCertificate", settings.ssl_certificate))
        if settings.ssl_verify_peers:
            needed.append(("SslTrustedClientCertificates", settings.ssl_trusted_client_certificates))
    if settings.dicom_server_enabled and settings.dicom_tls_enabled:
        needed.append(("DicomTlsCertificate", settings.dicom_tls_certificate))
        needed.append(("DicomTlsPrivateKey", settings.dicom_tls_private_key))
        if settings.dicom_tls_remote_certificate_required:
            needed.append(("DicomTlsTrustedCertificates", settings.dicom_tls_trusted_certificates))
    for option, file in needed:
        if file is None:
            raise SettingsError(f'The option "{option}" is missing')
        if not file.is_file():
            raise SettingsError(
                f'The option "{option}" must be an existing file, but there is none at {file}'
            )
    folder = settings.temporary_directory
    if folder is not None and not folder.is_dir():
        raise SettingsError(
            f'The option "TemporaryDirectory" must be an existing folder, but there is none at {folder}'
        )


def _insecure(settings: Settings) -> list[str]:
    result = []
    users = settings.registered_users or {}
    if settings.authentication_enabled:
        for user, password in _WELL_KNOWN_CREDENTIALS:
            if users.get(user) == password:
                result.append(
                    f'The user "{user}" has a password that everybody knows; change RegisteredUsers.'
                )
    if settings.remote_access_allowed and not settings.authentication_enabled:
        result.append(
            "RemoteAccessAllowed is true and AuthenticationEnabled is false: "
            "anybody on the network can read and delete everything."
        )
    if settings.execute_lua_enabled:
        result.append("ExecuteLuaEnabled is true: whoever reaches the REST API can run code on this host.")
    return result


def _others(settings: Settings) -> list[str]:
    result = []
    if settings.remote_access_allowed and not settings.ssl_enabled:
        result.append(
            "RemoteAccessAllowed is true and SslEnabled is false: passwords and images travel unencrypted, "
            "unless a proxy in front of this server encrypts them."
        )
    if settings.authentication_enabled and not settings.registered_users:
        result.append("AuthenticationEnabled is true but RegisteredUsers is empty: nobody can log in.")
    if "PostgreSQL" in settings.configuration and not settings.postgresql.enable_index:
        result.append(
            "There is a section PostgreSQL, but its EnableIndex is not true: the index is kept in SQLite."
        )
    return result
