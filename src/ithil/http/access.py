"""Who may talk to the server: `RemoteAccessAllowed` and Basic authentication, before anything else is done.

`RemoteAccessAllowed` lets in clients of other hosts; those on this host are always let in as far as it is
concerned. Then, if `AuthenticationEnabled`, the credentials must be those of a registered user. Both refusals
are 401 without a body, as Orthanc's are.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ithil.auth.basic import BasicVerifier

log = logging.getLogger(__name__)

LONGEST_CHAIN = 4096
"""Bytes of `X-Forwarded-For` that are looked at, counted from its end: that is where proxies add to it."""

CHALLENGE = 'Basic realm="Ithil", charset="UTF-8"'
"""The value of `WWW-Authenticate`: there are credentials, and they are UTF-8 (RFC 7617 2.1)."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A client that was let in: its IP address ("" if unknown) and its user ("" without authentication)."""

    address: str
    user: str


class AccessControl:
    """Decides about each request.

    Parameters:
        remote_access_allowed: whether clients of other hosts are let in.
        authentication_enabled: whether credentials are needed.
        users: passwords by name.
        trusted_proxies: addresses or networks whose `X-Forwarded-For` is believed.
    """

    def __init__(
        self,
        *,
        remote_access_allowed: bool,
        authentication_enabled: bool,
        users: Mapping[str, str],
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        self._remote_access_allowed = remote_access_allowed
        self._verifier = BasicVerifier(users) if authentication_enabled else None
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in trusted_proxies]

    def admit(
        self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], *, quiet: bool = False
    ) -> Visitor | None:
        """The visitor behind an ASGI scope, or None for one that is not let in.

        `quiet` is for who asks before the request goes the ordinary way, where the refusal is told and logged.
        """
        client = scope.get("client")
        address = client[0] if client else ""
        if self._proxies:
            address = self._behind_proxies(address, headers.get(b"x-forwarded-for", b""))
        if not self._remote_access_allowed and not is_local(address):
            if not quiet:
                log.warning("%s turned away: RemoteAccessAllowed is false", address)
            return None
        if self._verifier is None:
            return Visitor(address, "")
        authorization = headers.get(b"authorization")
        if authorization is None:
            return None  # the first request of every browser, which then asks its user
        user = self._verifier.verify(authorization)
        if user is None:
            if not quiet:
                log.warning("%s turned away: wrong user or password", address)
            return None
        return Visitor(address, user)

    def _behind_proxies(self, address: str, forwarded: bytes) -> str:
        """The last address of the chain that no trusted proxy has."""
        items = forwarded[-LONGEST_CHAIN:].decode("latin-1").split(",")
        if len(forwarded) > LONGEST_CHAIN:
            del items[0]  # the cut may have made another address of it
        chain = [item.strip() for item in items if item.strip()]
        while chain and self._is_proxy(address):
            address = chain.pop()
        return address

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


def is_local(address: str) -> bool:
    """Whether an address is this host's loopback; a client without address came through a local socket."""
    if address in ("127.0.0.1", "::1", ""):
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback
