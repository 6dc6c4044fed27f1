"""Who this server talks to: DICOM modalities, and peers, which are other servers reached over HTTP.

Both may be written as a short array or as an object; both forms come from the configuration and from the
REST API, so the parsers stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ithil.settings.option import HONOURED, Context, Status, WrongValue, declare, strings

MANUFACTURERS = (
    "Generic",
    "GenericNoWildcardInDates",
    "GenericNoUniversalWildcard",
    "Vitrea",
    "GE",
    "SiemensSyngoCT",
)
_OBSOLETE_MANUFACTURERS = {
    "AgfaImpax": "GenericNoWildcardInDates",
    "SyngoVia": "GenericNoWildcardInDates",
    "EFilm2": "Generic",
    "MedInria": "Generic",
    "ClearCanvas": "Generic",
    "Dcm4Chee": "Generic",
}
RETRIEVE_METHODS = ("SystemDefault", "C-MOVE", "C-GET")

_SYMBOLIC_NAME = re.compile(r"[A-Za-z0-9_-]+")
_Remote = TypeVar("_Remote")


@dataclass(frozen=True, slots=True)
class Modality:
    """A DICOM application entity: where it is and what it may ask of us."""

    aet: str
    host: str
    port: int
    manufacturer: str = "Generic"
    allow_echo: bool = True
    allow_store: bool = True
    allow_find: bool = True
    allow_find_worklist: bool = True
    allow_get: bool = True
    allow_move: bool = True
    allow_n_action: bool = True
    allow_event_report: bool = True
    allow_transcoding: bool = True
    use_dicom_tls: bool = False
    local_aet: str = ""  # empty: DicomAet
    timeout: int = 0  # seconds; 0: DicomScuTimeout
    retrieve_method: str = "SystemDefault"


@dataclass(frozen=True, slots=True)
class Peer:
    """An HTTP server: an Orthanc peer, a DICOMweb server. Passwords stay out of its `repr`."""

    url: str  # ends with a slash
    username: str = ""
    password: str = field(default="", repr=False)
    certificate_file: str = ""
    certificate_key_file: str = ""
    certificate_key_password: str = field(default="", repr=False)
    pkcs11: bool = False
    http_headers: dict[str, str] = field(default_factory=dict, repr=False)
    timeout: int = 0  # seconds; 0: HttpTimeout
    properties: dict[str, Any] = field(default_factory=dict, repr=False)  # whatever else the user wrote


def check_aet(aet: str) -> str:
    """What is wrong with `aet` as an application entity title (PS3.5 6.2, VR AE), or an empty string."""
    if not 0 < len(aet) <= 16 or not aet.strip():
        return "an application entity title of 1 to 16 characters"
    if "\\" in aet or not (aet.isascii() and aet.isprintable()):
        return "an application entity title of printable ASCII characters without a backslash"
    return ""


_PERMISSIONS = {
    "AllowEcho": ("allow_echo",),
    "AllowStore": ("allow_store",),
    "AllowFind": ("allow_find",),
    "AllowFindWorklist": ("allow_find_worklist",),
    "AllowGet": ("allow_get",),
    "AllowMove": ("allow_move",),
    "AllowStorageCommitment": ("allow_n_action", "allow_event_report"),
    "AllowNAction": ("allow_n_action",),
    "AllowEventReport": ("allow_event_report",),
    "AllowTranscoding": ("allow_transcoding",),
    "UseDicomTls": ("use_dicom_tls",),
}


def parse_modality(value: Any, warnings: list[str]) -> Modality:
    """A modality from its array or object form. Raises `WrongValue`; remarks are added to `warnings`."""
    if isinstance(value, list):
        if len(value) not in (3, 4):
            raise WrongValue("an array [AET, host, port] or [AET, host, port, manufacturer], or an object")
        value = dict(zip(("AET", "Host", "Port", "Manufacturer"), value, strict=False))
    if not isinstance(value, dict):
        raise WrongValue("an array or an object")
    flags: dict[str, bool] = {}
    for key, attributes in _PERMISSIONS.items():
        if key in value:
            flag = _typed(value, key, bool, False, "true or false")
            flags.update(dict.fromkeys(attributes, flag))
    if complaint := check_aet(aet := _typed(value, "AET", str, "", "a string")):
        raise WrongValue(f'an object whose "AET" is {complaint}')
    if not (host := _typed(value, "Host", str, "", "a string")):
        raise WrongValue('an object whose "Host" is a name or an address')
    local_aet = _typed(value, "LocalAet", str, "", "a string")
    if local_aet and (complaint := check_aet(local_aet)):
        raise WrongValue(f'an object whose "LocalAet" is {complaint}')
    manufacturer = _typed(value, "Manufacturer", str, "Generic", "a string")
    if manufacturer in _OBSOLETE_MANUFACTURERS:
        current = _OBSOLETE_MANUFACTURERS[manufacturer]
        warnings.append(f'The manufacturer "{manufacturer}" is obsolete, "{current}" is used instead.')
        manufacturer = current
    if manufacturer not in MANUFACTURERS:
        raise WrongValue(f'an object whose "Manufacturer" is one of {", ".join(MANUFACTURERS)}')
    method = _typed(value, "RetrieveMethod", str, "SystemDefault", "a string")
    if method not in RETRIEVE_METHODS:
        raise WrongValue(f'an object whose "RetrieveMethod" is one of {", ".join(RETRIEVE_METHODS)}')
    known = {"AET", "Host", "Port", "Manufacturer", "LocalAet", "Timeout", "RetrieveMethod", *_PERMISSIONS}
    if unknown := sorted(set(value) - known):
        warnings.append(f"Unknown keys of a modality are without effect: {', '.join(unknown)}.")
    return Modality(
        aet=aet,
        host=host,
        port=_port(value.get("Port")),
        manufacturer=manufacturer,
        local_aet=local_aet,
        timeout=_timeout(value),
        retrieve_method=method,
        **flags,
    )


_PEER_KEYS = frozenset(
    {
        "Url",
        "Username",
        "Password",
        "CertificateFile",
        "CertificateKeyFile",
        "CertificateKeyPassword",
        "Pkcs11",
        "HttpHeaders",
        "Timeout",
    }
)


def parse_peer(value: Any, _warnings: list[str]) -> Peer:
    """A peer or DICOMweb server from its array or object form. Raises `WrongValue`."""
    if isinstance(value, list):
        if len(value) not in (1, 3):
            raise WrongValue("an array [url] or [url, user, password], or an object")
        value = dict(zip(("Url", "Username", "Password"), value, strict=False))
    if not isinstance(value, dict):
        raise WrongValue("an array or an object")
    url = _typed(value, "Url", str, "", "a string")
    if not url.startswith(("http://", "https://")):
        raise WrongValue('an object whose "Url" starts with http:// or https://')
    headers = value.get("HttpHeaders", {})
    if not isinstance(headers, dict) or not all(isinstance(each, str) for each in headers.values()):
        raise WrongValue('an object whose "HttpHeaders" is an object of strings')
    return Peer(
        url=url if url.endswith("/") else url + "/",
        username=_typed(value, "Username", str, "", "a string"),
        password=_typed(value, "Password", str, "", "a string"),
        certificate_file=_typed(value, "CertificateFile", str, "", "a string"),
        certificate_key_file=_typed(value, "CertificateKeyFile", str, "", "a string"),
        certificate_key_password=_typed(value, "CertificateKeyPassword", str, "", "a string"),
        pkcs11=_typed(value, "Pkcs11", bool, False, "true or false"),
        http_headers=dict(headers),
        timeout=_timeout(value),
        properties={key: below for key, below in value.items() if key not in _PEER_KEYS},
    )


DICOMWEB_FLAGS = {"HasDelete": False, "ChunkedTransfers": True, "HasWadoRsUniversalTransferSyntax": True}
"""What is said of a DICOMweb server beside what is said of any, with the defaults."""

_FLAG_WORDS = {"0": False, "false": False, "1": True, "true": True}


def parse_dicomweb_server(value: Any, warnings: list[str]) -> Peer:
    """A DICOMweb server from its array or object form: a peer whose properties are text, as Orthanc keeps them.

    Raises `WrongValue`.
    """
    peer = parse_peer(value, warnings)
    properties: dict[str, Any] = {}
    for key, below in peer.properties.items():
        if isinstance(below, bool):
            below = "1" if below else "0"
        elif isinstance(below, int):
            below = str(below)
        if not isinstance(below, str):
            raise WrongValue(f'an object whose "{key[:64]}" is a string, a number, true or false')
        if key in DICOMWEB_FLAGS and below not in _FLAG_WORDS:
            raise WrongValue(f'an object whose "{key}" is true or false')
        properties[key] = below
    return replace(peer, properties=properties)


def dicomweb_flag(server: Peer, key: str) -> bool:
    """What a DICOMweb server is said to have, one of `DICOMWEB_FLAGS`."""
    text = server.properties.get(key)
    return DICOMWEB_FLAGS[key] if text is None else _FLAG_WORDS[text]


def modalities(key: str, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """The field of an option that names modalities."""
    return _remotes(key, "object of modalities", meaning, parse_modality, status, **more)


def peers(key: str, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """The field of an option that names HTTP servers."""
    return _remotes(key, "object of servers", meaning, parse_peer, status, **more)


def dicomweb_servers(key: str, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """The field of an option that names DICOMweb servers."""
    return _remotes(key, "object of servers", meaning, parse_dicomweb_server, status, **more)


def header_values(value: Any, _context: Context) -> dict[str, str]:
    """The converter of an object whose values are strings."""
    if not isinstance(value, dict):
        raise WrongValue("an object of strings")
    strings(list(value.values()), "an object of strings")
    return dict(value)


def _remotes(
    key: str,
    kind: str,
    meaning: str,
    parse: Callable[[Any, list[str]], _Remote],
    status: Status,
    **more: Any,
) -> Any:
    def convert(value: Any, context: Context) -> dict[str, _Remote]:
        if not isinstance(value, dict):
            raise WrongValue("an object of symbolic names")
        result = {}
        for name, below in value.items():
            if not _SYMBOLIC_NAME.fullmatch(name):
                raise WrongValue(f'an object whose names have only A-Z, a-z, 0-9, "_" and "-", not "{name}"')
            try:
                result[name] = parse(below, context.warnings)
            except WrongValue as wrong:
                raise WrongValue(f'an object in which "{name}" is {wrong}') from None
        return result

    return declare(key, kind, {}, meaning, "an object of symbolic names", convert, status, **more)


def _typed(value: dict[str, Any], key: str, kind: type, default: Any, allowed: str) -> Any:
    found = value.get(key, default)
    if not isinstance(found, kind):
        raise WrongValue(f'an object whose "{key}" is {allowed}')
    return found


def _port(value: Any) -> int:
    # Orthanc takes a port in quotes here, and only here.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65534:
        raise WrongValue('an object whose "Port" is an integer from 1 to 65534')
    return value


def _timeout(value: dict[str, Any]) -> int:
    found = value.get("Timeout", 0)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise WrongValue('an object whose "Timeout" is a number of seconds')
    return found
