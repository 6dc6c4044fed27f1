"""HTTP Basic authentication (RFC 7617) against the configured `RegisteredUsers`.

The header of a returning client is the same bytes with every request, so its verification is one keyed digest
and one dictionary lookup. Comparing digests under a key that only this process knows leaks nothing about the
credentials through timing, however the dictionary compares them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping

MAXIMUM_HEADER_BYTES = 8192  # a longer Authorization header is not looked at


class BasicVerifier:
    """Verifies the value of an `Authorization` header against users and their passwords in plain text."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._key = secrets.token_bytes(32)
        pairs = {name: f"{name}:{password}".encode() for name, password in users.items()}
        self._by_digest = {self._digest(pair): name for name, pair in pairs.items()}
        # The header as practically every client writes it, which spares decoding it each time.
        self._by_header = {
            self._digest(b"Basic " + base64.b64encode(pair)): name for name, pair in pairs.items()
        }

    def verify(self, header: bytes) -> str | None:
        """The name of the user whose credentials `header` carries, or None when they are not valid.

        The name of the scheme is compared without regard to case (RFC 9110 11.1). Credentials that are not
        base64 are not valid; passwords are compared as bytes of UTF-8.
        """
        if len(header) > MAXIMUM_HEADER_BYTES:
            return None
        user = self._by_header.get(self._digest(header))
        if user is not None:
            return user
        scheme, _, credentials = header.partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            pair = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None
        return self._by_digest.get(self._digest(pair))

    def _digest(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")
