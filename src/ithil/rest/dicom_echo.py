"""`/tools/dicom-echo`: try a DICOM server that the configuration does not name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.json_body import parse
from ithil.http.request import Request
from ithil.http.routing import Field, Route
from ithil.services.echo_user import echo
from ithil.settings import Modality
from ithil.settings.remotes import check_aet

_LONGEST_TIMEOUT = 3600  # seconds


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            "/tools/dicom-echo",
            post_echo,
            "Send C-ECHO to a DICOM server",
            body=(
                Field("AET", "string", "Its application entity title", required=True),
                Field("Host", "string", "Its name or address", required=True),
                Field("Port", "integer|string", "Its port", required=True),
                Field("LocalAet", "string", "The title to call with, DicomAet if absent"),
                Field("Timeout", "integer|string", "Seconds to wait, DicomScuTimeout if absent"),
                Field("CheckFind", "boolean", "Try C-FIND as well"),
                Field("UseDicomTls", "boolean", "Call it with TLS"),
            ),
        )
    ]


@dataclass(frozen=True, slots=True)
class _Target:
    modality: Modality
    local_aet: str
    timeout: int
    check_find: bool


def post_echo(request: Request) -> Answer:
    """`POST /tools/dicom-echo`: `{}` if the server answers with success."""
    target = _target(request)
    echo(
        request.context.archive,
        target.modality,
        check_find=target.check_find,
        calling=target.local_aet,
        timeout=target.timeout,
    )
    return answers.done()


def _target(request: Request) -> _Target:
    """The fields of the body. Raises CodedError (bad file format, parameter out of range)."""
    settings = request.context.settings
    body = parse(request.body)
    if isinstance(body, list):
        body = dict(zip(("AET", "Host", "Port", "Manufacturer"), body, strict=False))
    if not isinstance(body, dict):
        raise CodedError(codes.BAD_FILE_FORMAT, "The body must be a JSON object or array")
    tls = body.get("UseDicomTls", False)
    if not isinstance(tls, bool):
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "UseDicomTls" must be true or false')
    aet, host = _text(body, "AET"), _text(body, "Host")
    local = _text(body, "LocalAet", settings.dicom_aet) or settings.dicom_aet
    for name, title in (("AET", aet), ("LocalAet", local)):
        if wrong := check_aet(title):
            raise CodedError(codes.PARAMETER_OUT_OF_RANGE, f'The field "{name}" must be {wrong}')
    if not host or len(host) > 255 or not host.isprintable():
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The field "Host" must be a name or an address')
    port = _number(body, "Port", None)
    if not 0 < port < 65536:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The field "Port" must be from 1 to 65535')
    check_find = body.get("CheckFind", settings.dicom_echo_checks_find)
    if not isinstance(check_find, bool):
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "CheckFind" must be true or false')
    timeout = _number(body, "Timeout", settings.dicom_scu_timeout)
    if not 0 <= timeout <= _LONGEST_TIMEOUT:
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "Timeout" must be from 0 to 3600 seconds')
    modality = Modality(aet, host, port, use_dicom_tls=tls)
    return _Target(modality, local, timeout, check_find)


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise CodedError(codes.BAD_FILE_FORMAT, f'The field "{name}" must be a string')
    return value


def _number(body: dict[str, Any], name: str, default: int | None) -> int:
    """A number, or the text of one."""
    value = body.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CodedError(codes.BAD_FILE_FORMAT, f'The field "{name}" must be a number')
    return value
