"""An HTTP client that sends what it is told: no redirects followed, no paths tidied.

Conformance depends on seeing exactly what a server answers, which the friendlier clients hide.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: the status code, its headers in order with lower-case names, and the body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header called `name` (in any case), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), None)

    def json(self) -> Any:
        """The body as JSON; raises ValueError if it is none."""
        return json.loads(self.body)


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 60.0,
) -> Answer:
    """Send one request to 127.0.0.1:`port` on a connection of its own and read the whole answer.

    A GET or DELETE without `body` carries no Content-Length; a POST or PUT without one carries 0.
    Raises OSError or http.client.HTTPException if the server does not answer as HTTP.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        content = body.encode() if isinstance(body, str) else body
        if content is None and method in {"POST", "PUT"}:
            content = b""
        connection.request(method, path, body=content, headers=dict(headers or {}))
        response = connection.getresponse()
        received = response.read()
        return Answer(
            response.status,
            tuple((name.lower(), value) for name, value in response.getheaders()),
            received,
        )
    finally:
        connection.close()


def basic_authorization(user: str, password: str) -> dict[str, str]:
    """The header of RFC 7617 for `user` and `password`."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}
