"""The query service class as provider (PS3.4 C.4.1): C-FIND requests, answered from the archive's search.

Answers go out while the search runs, batch by batch, so that neither memory nor the time to the first answer
grows with the number of matches.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from ithil import metrics
from ithil.archive import find
from ithil.archive.errors import ArchiveError, IndexUnavailable, StorageUnavailable
from ithil.archive.query import BadQuery, Part
from ithil.metrics import Metric
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.services.find_answer import Answers
from ithil.services.find_identifier import (
    PATIENT_ROOT_FIND,
    PATIENT_STUDY_ONLY_FIND,
    STUDY_ROOT_FIND,
    Identifier,
    read,
)
from ithil.services.provider import Call, Provider

log = logging.getLogger(__name__)

_NOTHING = Part(0)
_RELATIONAL, _DATE_TIME = 0, 1  # bytes of the service class application information


def negotiate(information: bytes) -> bytes | None:
    """The answer to extended negotiation (PS3.4 C.5.1.1): a byte for each that was proposed.

    Relational queries and combined date-time matching are agreed to. Fuzzy matching of names, adjustment of
    time zones and enhanced multi-frame conversion are not supported.
    """
    if not information:
        return None
    supported = (_RELATIONAL, _DATE_TIME)
    return bytes(int(place in supported and proposed == 1) for place, proposed in enumerate(information[:5]))


def handle(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """Serve one C-FIND: a pending response for each match, then the final one."""
    with metrics.timed(Metric.FIND_SCP):
        combined = call.extended[_DATE_TIME : _DATE_TIME + 1] == b"\1"
        identifier = read(call, data_set, combined=combined)
        try:
            final, comment = _answer(call, identifier, command, responder)
        except BadQuery as error:
            raise Refusal(status.CANNOT_UNDERSTAND, str(error)) from None
        except (IndexUnavailable, StorageUnavailable) as error:
            raise _refusal(call, status.OUT_OF_RESOURCES, error) from error
        except ArchiveError as error:
            raise _refusal(call, status.CANNOT_UNDERSTAND, error) from error
        responder.send(command.response(final, comment))


def _answer(call: Call, identifier: Identifier, command: Command, responder: Responder) -> tuple[int, str]:
    """Send the matches; the final status and its comment."""
    archive = call.archive
    limit = find.limited(archive, identifier.query).limit
    query = replace(identifier.query, limit=limit + 1 if limit else 0)
    answers = Answers(archive, identifier, call.context.transfer_syntax)
    pending = command.response(status.PENDING_WARNING if identifier.ignored else status.PENDING)
    sent = 0
    for resources in find.resources(archive, query, _NOTHING):
        for data_set in answers.of(resources):
            if responder.is_cancelled():
                return status.CANCEL, "Cancelled by the requestor"
            if limit and sent == limit:
                return status.CANCEL, f"There are more than {limit} matches"
            responder.send(pending, [data_set])
            sent += 1
    return status.SUCCESS, ""


def _refusal(call: Call, code: int, error: ArchiveError) -> Refusal:
    log.warning("C-FIND from %s refused with status %04XH: %s", call.peer.ip, code, error)
    return Refusal(code, str(error)[:64])


PROVIDER = Provider(
    (PATIENT_ROOT_FIND, STUDY_ROOT_FIND, PATIENT_STUDY_ONLY_FIND),
    frozenset({CommandField.C_FIND}),
    lambda rights: rights.find,
    handle,
    negotiate,
)
