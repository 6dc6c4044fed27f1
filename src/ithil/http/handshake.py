"""How a client comes to a WebSocket: the rules of every request, and one more.

Browsers let any page open a WebSocket to any server, send the credentials of their user along, and ask no
preflight. So the origin of the page is looked at here: it must be this server's, or one that is allowed.
Programs send no origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http import answers, errors
from ithil.http.access import CHALLENGE, AccessControl
from ithil.http.answers import Answer
from ithil.http.body import ClientGone
from ithil.http.context import Context
from ithil.http.cross_origin import CrossOrigin, is_same_origin
from ithil.http.public_address import public_address
from ithil.http.request import Request, parse_query
from ithil.http.routing import Match, split
from ithil.http.web_socket import INTERNAL_ERROR, WebSocket

_PORTS = {"http": ":80", "https": ":443"}


def channel_at(context: Context, path: str) -> Match | None:
    """The place of a decoded path, if a GET of it may become a WebSocket."""
    found = context.router.match(split(path))
    route = found.node.routes.get("GET") if found is not None else None
    return found if route is not None and route.channel is not None and "\0" not in path else None


async def open_socket(
    context: Context, access: AccessControl, origins: CrossOrigin, scope: Mapping[str, Any], socket: WebSocket
) -> None:
    """Let a client in and give the connection to the channel of its route, or refuse it; never raises."""
    raw_headers: dict[bytes, bytes] = dict(scope["headers"])
    path = "/" + "/".join(split(scope["path"]))
    try:
        visitor = access.admit(scope, raw_headers)
        if visitor is None:
            await socket.refuse(Answer(status=401, headers={"WWW-Authenticate": CHALLENGE}))
            return
        found = channel_at(context, path)
        if found is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        query = scope["query_string"]
        request = Request(
            context,
            "GET",
            path,
            {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers.items()},
            parse_query(query),
            raw_query=query,
            arguments=found.arguments,
            client=visitor.address,
            user=visitor.user,
        )
        origin = raw_headers.get(b"origin")
        if not (
            origin is None
            or origins.trusts(origin)
            or is_same_origin(origin, raw_headers.get(b"host"), _address(request))
        ):
            raise CodedError(codes.FORBIDDEN_ACCESS, "A page of another site may not connect here")
        channel = found.node.routes["GET"].channel
        assert channel is not None  # or `channel_at` had not found it
        await channel(request, socket)
    except ClientGone:
        return
    except Exception as error:
        with suppress(ClientGone):
            if socket.accepted:
                errors.report_cut(error)
                await socket.close(INTERNAL_ERROR)
            else:
                described = context.settings.http_describe_errors
                await socket.refuse(
                    answers.failure(errors.translate(error), "GET", path, described=described)
                )


def _address(request: Request) -> str:
    """The address of this server without a port that is its scheme's own, as origins have it (RFC 6454 6.2)."""
    scheme, separator, rest = public_address(request).partition("://")
    authority, slash, prefix = rest.partition("/")
    return f"{scheme}{separator}{authority.removesuffix(_PORTS[scheme])}{slash}{prefix}"
