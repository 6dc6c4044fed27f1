"""What a handler gets: one request, already parsed, and the arguments of its query as Orthanc reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from ithil import error_codes as codes
from ithil.error_codes import CodedError

if TYPE_CHECKING:
    from ithil.http.context import Context

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}\Z")
_LARGEST = 2**63 - 1
_TRUE = ("1", "true")
_FALSE = ("0", "false")


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        context: the archive, the settings and what else handlers share.
        method: after `X-HTTP-Method-Override` and `_method`.
        path: decoded, as error bodies show it.
        headers: names in lower case; of repeated headers the last.
        query: of repeated arguments the last; an argument without value has "". No value has a NUL.
        raw_query: the query string as it was sent; `parse_pairs` gives repeated arguments too.
        arguments: the parameters of the route's path.
        body: the whole body; empty for streaming handlers.
        client: the IP address of the client, "" if unknown.
        user: the authenticated user, "" without authentication.
    """

    context: Context
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    raw_query: bytes = b""
    arguments: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = ""
    user: str = ""

    @property
    def wants_xml(self) -> bool:
        """Whether JSON answers are to be sent as XML."""
        # Only who asks for XML before all else: browsers name it behind HTML, and Orthanc gives them JSON.
        first = self.headers.get("accept", "").split(",", 1)[0]
        return first.split(";", 1)[0].strip().lower() == "application/xml"


def parse_query(query_string: bytes) -> dict[str, str]:
    """The arguments of a raw query string, of repeated ones the last; never fails."""
    return dict(parse_pairs(query_string)) if query_string else {}


def parse_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """The arguments of a raw query string in their order, repeated ones too; never fails.

    NULs are dropped from the values: nothing that is stored has one, and PostgreSQL takes none in a question.
    """
    pairs = []
    for pair in query_string.decode("latin-1").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((_decoded(name), _decoded(value).replace("\0", "")))
    return pairs


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    return unquote_plus(text, errors="replace")


def boolean(query: dict[str, str], name: str, default: bool = False) -> bool:
    """A boolean argument: present without a value means true.

    Raises CodedError (bad type) for a value other than 0, 1, true and false.
    """
    value = query.get(name)
    if value is None:
        return default
    if not value or value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise CodedError(codes.BAD_PARAMETER_TYPE, f'The argument "{name}" must be 0, 1, true or false')


def boolean_body(body: bytes) -> bool:
    """A boolean as the body of a PUT. Raises CodedError (bad file format) for anything else."""
    text = body.decode("latin-1").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise CodedError(codes.BAD_FILE_FORMAT, "Boolean value expected")


def unsigned(query: dict[str, str], name: str, default: int) -> int:
    """A number that counts something: an argument without value reads as 1, a negative one as 0.

    Raises CodedError (bad type) for what is not a decimal number.
    """
    value = query.get(name)
    if value is None:
        return default
    if not value:
        return 1
    if not _INTEGER.match(value):
        raise CodedError(codes.BAD_PARAMETER_TYPE, f'The argument "{name}" must be a number')
    number = int(value)
    if number > _LARGEST:
        raise CodedError(codes.BAD_PARAMETER_TYPE, f'The argument "{name}" is too large')
    return max(number, 0)


def number(query: dict[str, str], name: str, default: int) -> int | None:
    """A number as the change log reads it: a negative one counts as 0, None is told for what is none."""
    value = query.get(name)
    if value is None:
        return default
    if not _INTEGER.match(value) or int(value) > _LARGEST:
        return None
    return max(int(value), 0)


def page(query: dict[str, str]) -> tuple[int, int]:
    """The arguments `since` and `limit`, which come together or not at all; a limit of 0 is none.

    Raises CodedError (bad request) when one of them is alone, (bad type) when one is not a number.
    """
    if "since" in query and "limit" not in query:
        raise CodedError(codes.BAD_REQUEST, 'The argument "since" needs the argument "limit"')
    if "limit" in query and "since" not in query:
        raise CodedError(codes.BAD_REQUEST, 'The argument "limit" needs the argument "since"')
    return unsigned(query, "since", 0), unsigned(query, "limit", 0)


def words(query: dict[str, str], name: str) -> list[str]:
    """The non-empty items of an argument that lists them between semicolons."""
    return [item.strip() for item in query.get(name, "").split(";") if item.strip()]
