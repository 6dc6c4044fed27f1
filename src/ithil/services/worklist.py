"""The modality worklist service class as provider (PS3.4 annex K): C-FIND for what is scheduled."""

from __future__ import annotations

import logging

from ithil import metrics
from ithil.archive import worklist, worklist_match, worklist_state
from ithil.archive.errors import ArchiveError, IndexUnavailable, StorageUnavailable
from ithil.archive.worklist_match import BadWorklistQuery, Question, Rules
from ithil.metrics import Metric
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.services.data_set import encoded, parsed
from ithil.services.provider import Call, Provider

log = logging.getLogger(__name__)

MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"


def handle(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """Serve one C-FIND: a pending response for each scheduled step that matches, then the final one."""
    with metrics.timed(Metric.FIND_SCP):
        query = parsed(
            call.archive,
            call.context.transfer_syntax,
            data_set,
            missing=status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
            unreadable=status.CANNOT_UNDERSTAND,
        )
        settings = call.archive.settings
        rules = Rules(
            settings.case_sensitive_pn,
            settings.strict_aet_comparison,
            call.origin.remote_aet if settings.worklists.filter_issuer_aet else "",
        )
        try:
            question = worklist_match.read(query, rules)
            final, comment = _answer(call, question, command, responder)
        except BadWorklistQuery as error:
            raise Refusal(status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, str(error)) from None
        except (IndexUnavailable, StorageUnavailable) as error:
            raise _refusal(call, status.OUT_OF_RESOURCES, error) from error
        except ArchiveError as error:
            raise _refusal(call, status.CANNOT_UNDERSTAND, error) from error
        responder.send(command.response(final, comment))


def _answer(call: Call, question: Question, command: Command, responder: Responder) -> tuple[int, str]:
    """Send the matches; the final status and its comment."""
    options = call.archive.settings.worklists
    pending = command.response(status.PENDING)
    sent = 0
    for item, state_of in worklist_state.due(call.archive):
        if responder.is_cancelled():
            return status.CANCEL, "Cancelled by the requestor"
        for answer in worklist_match.answers(question, item.data_set, state_of):
            if options.limit_answers and sent == options.limit_answers:
                return status.CANCEL, f"There are more than {sent} matches"
            responder.send(pending, [encoded(answer, call.context.transfer_syntax)])
            sent += 1
            if options.log_matched_worklist_ids:
                log.info("worklist item %s matches", item.id)
    return status.SUCCESS, ""


def _refusal(call: Call, code: int, error: ArchiveError) -> Refusal:
    log.warning("worklist query from %s refused with status %04XH: %s", call.peer.ip, code, error)
    return Refusal(code, str(error)[:64])


PROVIDER = Provider(
    (MODALITY_WORKLIST_FIND,),
    frozenset({CommandField.C_FIND}),
    lambda rights: rights.find_worklist,
    handle,
    enabled=worklist.is_enabled,
)
