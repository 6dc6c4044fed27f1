"""Other DICOMweb servers: who they are, what may be asked of them, and what is told of their refusals.

Only what lies below the configured address of a server is reachable: an address that a client names is always
relative to it, and one that would climb out of it is refused. Answers that point elsewhere (redirections,
RetrieveURL) are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.remotes import DICOMWEB_SERVERS
from ithil.error_codes import CodedError
from ithil.services.peers import peer_json
from ithil.services.web_client import MOST, WebAnswer, WebClient, WebStream
from ithil.settings.remotes import Peer, dicomweb_flag

LONGEST_URI = 4096
"""Characters of an address below that of the server."""

MOST_ARGUMENTS = 100
"""Arguments of a query, and headers of a request."""

LARGEST_LIST = 4 * MOST
"""Bytes of the answer to a search."""

DICOM_JSON = "application/dicom+json, application/json;q=0.9"

_MOST_DECODINGS = 4  # proxies on the way may decode as well
_LONGEST_VALUE = 8192  # characters of an argument or a header
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_OURS = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
_PATH_SAFE = "/:@!$&'()*+,;=~%"
_NOT_FOUND = 404
_UID = re.compile(r"[0-9.]{1,64}\Z")


def server_named(archive: Archive, name: str) -> Peer:
    """The DICOMweb server with that symbolic name. Raises CodedError (inexistent item)."""
    return DICOMWEB_SERVERS.named(archive, name)


def client_of(archive: Archive, name: str) -> WebClient:
    """A client of the server with that name. Raises CodedError."""
    return WebClient(server_named(archive, name), archive.settings)


def server_json(server: Peer) -> dict[str, Any]:
    """A server as it is shown to clients: its password is null, of its headers there are only the names."""
    return peer_json(server)


def operations(server: Peer) -> list[str]:
    """What can be asked of a server, in Orthanc's words and order."""
    deletes = ["delete"] if dicomweb_flag(server, "HasDelete") else []
    return ["get", "retrieve", "stow", "wado", "qido", *deletes]


def relative(uri: str, arguments: Mapping[str, str] | None = None) -> str:
    """An address relative to that of a server, as `WebClient` takes it, with the arguments of its query.

    Raises CodedError (bad file format) for one that is not below the address of the server, that has arguments
    of its own, or is too long.
    """
    path = uri.lstrip("/")
    if len(uri) > LONGEST_URI:
        raise _bad("The Uri is too long")
    if "?" in path or "#" in path:
        raise _bad('The Uri has a "?" or "#"; arguments belong into their own field')
    segments = _decoded(path).replace("\\", "/").split("/")
    if ":" in segments[0]:
        raise _bad("The Uri must be relative to the address of the server")
    if any(segment.partition(";")[0] in (".", "..") for segment in segments):
        raise _bad("The Uri must stay below the address of the server")
    if not all(character.isprintable() for character in path):
        raise _bad("The Uri has characters that cannot be printed")
    return quote(path, safe=_PATH_SAFE) + _query(arguments or {})


def _decoded(path: str) -> str:
    """A path as whoever decodes it most often would read it."""
    for _ in range(_MOST_DECODINGS):
        try:
            decoded = unquote(path, errors="strict")
        except UnicodeDecodeError:
            raise _bad("The Uri is not encoded properly") from None
        if decoded == path:
            return path
        path = decoded
    raise _bad("The Uri is encoded too often")


def _query(arguments: Mapping[str, str]) -> str:
    if not arguments:
        return ""
    return "?" + "&".join(
        quote(name, safe="") + (f"={quote(value, safe='')}" if value else "")
        for name, value in arguments.items()
    )


def checked_texts(value: Any, name: str) -> dict[str, str]:
    """A field of a request that maps texts to texts. Raises CodedError (bad file format)."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise _bad(f'The field "{name}" must be an object of strings')
    if len(value) > MOST_ARGUMENTS or any(
        len(text) > _LONGEST_VALUE for pair in value.items() for text in pair
    ):
        raise _bad(f'The field "{name}" is too large')
    return dict(value)


def checked_headers(value: Any) -> dict[str, str]:
    """Headers that a client wants to be sent along. Raises CodedError (bad file format).

    Those that say where a message begins and ends are not the client's to set.
    """
    headers = checked_texts(value, "HttpHeaders")
    for name, text in headers.items():
        if not _HEADER_NAME.match(name) or name.lower() in _OURS:
            raise _bad('The field "HttpHeaders" has a header that cannot be sent')
        if not (text.isascii() and text.replace("\t", " ").isprintable()):
            raise _bad('The field "HttpHeaders" has a value that cannot be sent')
    return headers


def accepting(media_types: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request that would like `media_types`, unless it says otherwise itself."""
    if any(name.lower() == "accept" for name in headers):
        return dict(headers)
    return {"Accept": media_types, **headers}


def resource_path(study: str, series: str = "", instance: str = "") -> str:
    """Where a study, series or instance is, below the address of a server.

    Raises CodedError (bad file format) for what is no UID, and for a level that is left out.
    """
    if not study or (instance and not series):
        raise _bad("A resource has its Study, then its Series, then its Instance")
    if not all(_UID.match(uid) for uid in (study, series, instance) if uid):
        raise _bad("A resource is named by its UIDs")
    path = f"studies/{study}"
    if series:
        path += f"/series/{series}"
    return f"{path}/instances/{instance}" if instance else path


def refusal(answer: WebAnswer | WebStream) -> CodedError:
    """What is told of an answer that is a refusal; its words may quote a file, and are not repeated."""
    return CodedError(
        codes.UNKNOWN_RESOURCE if answer.status == _NOT_FOUND else codes.NETWORK_PROTOCOL,
        f"The DICOMweb server answered with HTTP status {answer.status}",
        payload={"RemoteHttpStatus": answer.status},
    )


def delete(archive: Archive, name: str, path: str) -> None:
    """Delete what is at `path` of a server that is said to be able to.

    Raises CodedError: bad file format for one that is not, what the server refuses.
    """
    server = server_named(archive, name)
    if not dicomweb_flag(server, "HasDelete"):
        raise _bad('This DICOMweb server is not said to delete; see its property "HasDelete"')
    with WebClient(server, archive.settings) as client:
        answer = client.request("DELETE", path)
    if not answer.succeeded:
        raise refusal(answer)


def search(archive: Archive, name: str, target: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a search at `target` of a server finds (PS3.18 10.6), as DICOM JSON. Raises CodedError."""
    with client_of(archive, name) as client:
        answer = client.request("GET", target, headers=accepting(DICOM_JSON, headers), most=LARGEST_LIST)
    if not answer.succeeded:
        raise refusal(answer)
    if not answer.body.strip():  # 204 (PS3.18 10.6.3.1)
        return []
    found = answer.json()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise CodedError(
            codes.NETWORK_PROTOCOL, "The DICOMweb server did not answer with a list of DICOM JSON"
        )
    return found


def _bad(details: str) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, details)
