"""What a service of the DICOM listener is: the SOP classes it provides, who may use it, and its handler.

`providers.py` lists them all. A new service is a module with a function `handle(call, command, data_set,
responder)` and one `Provider` in that list; association, negotiation and rights follow from its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.network.association import PresentationContext
from ithil.network.handler import Peer, Responder
from ithil.network.messages import Command, CommandField
from ithil.services.access import Rights
from ithil.settings import Settings


@dataclass(frozen=True, slots=True)
class Call:
    """All that a handler may need to know about the association in which a request has come."""

    archive: Archive
    context: PresentationContext
    """The presentation context of the request: its SOP class, and the transfer syntax of its data set."""
    origin: Origin
    """Who calls (`remote_aet`, `remote_ip`) and by which title (`called_aet`)."""
    rights: Rights
    peer: Peer
    extended: bytes = b""
    """What was agreed for this SOP class by extended negotiation (PS3.7 D.3.3.5), empty for the default."""


Handle = Callable[[Call, Command, bytes | None, Responder], None]
"""Serves one request and sends its final response.

Runs in the thread of its association. It may raise `ithil.network.errors.Refusal` for a status of its choice;
any other exception is answered with 0110H (processing failure). Long work asks `responder.is_cancelled()` now
and then. A sub-operation of its own on the same association is `responder.request`.
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """One service: what is negotiated for it and who serves its requests."""

    sop_classes: tuple[str, ...]
    commands: frozenset[CommandField]
    """The requests it serves; others on its SOP classes are answered with 0211H (unrecognized operation)."""
    allowed: Callable[[Rights], bool]
    """Whether a caller may use it. If not, its SOP classes are not accepted from him."""
    handle: Handle
    extended: Callable[[bytes], bytes | None] = field(default=lambda _: None)
    """The answer to what the peer proposes by extended negotiation; None for no answer, so the default."""
    enabled: Callable[[Settings], bool] = field(default=lambda _: True)
    """Whether the settings have this service at all."""
    requestor_may_provide: bool = False
    """Whether the caller may take the role of the SCP, as one does who reports an event to us."""
