"""UPS-RS, the worklist service (PS3.18 11): workitems are created, found, claimed, changed and watched.

Refusals have the words of the standard in a `Warning` header beside the JSON error, since that is where its
clients look.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from ithil import error_codes as codes
from ithil.archive import workitems
from ithil.archive import workitems_subscribers as subscribers
from ithil.archive.archive import Archive
from ithil.archive.workitems_model import is_uid, text
from ithil.archive.workitems_rules import CANCELED, COMPLETED, STATE, TRANSACTION_UID, Reason, WorkitemRefused
from ithil.archive.workitems_search import search
from ithil.archive.workitems_subscribers import WORKLISTS
from ithil.dicomweb import ups_body as bodies
from ithil.dicomweb.links import service_root
from ithil.dicomweb.ups_channel import open_channel
from ithil.dicomweb.ups_search import filters_of, read_search
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean, parse_pairs
from ithil.http.routing import Parameter, Route

Handler = Callable[[Request], Answer]

_ALREADY = "The UPS is already in the requested state of {}."
_INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."
_REFUSALS = {
    Reason.NOT_FOUND: (404, "The Target Workitem was not found."),
    Reason.SUBSCRIPTION_NOT_FOUND: (404, "The target Subscription was not found."),
    Reason.ALREADY_EXISTS: (409, "The Target Workitem already exists."),
    Reason.OTHER_UID: (400, "The Workitem UIDs of the request and of its payload differ."),
    Reason.NOT_SCHEDULED: (400, "The UPS was not in SCHEDULED state."),
    Reason.ENDED: (400, _INCONSISTENT),
    Reason.WRONG_STATE: (409, _INCONSISTENT),
    Reason.NO_SUCH_STATE: (400, _INCONSISTENT),
    Reason.ALREADY_COMPLETED: (409, _ALREADY.format(COMPLETED)),
    Reason.INCOMPLETE: (409, "The submitted request is inconsistent with the state of the UPS Instance."),
    Reason.UID_MISSING: (400, "The Transaction UID is missing."),
    Reason.UID_INCORRECT: (400, "The Transaction UID is incorrect."),
    Reason.NOT_CLAIMED: (409, "The target URI did not reference a claimed Workitem."),
    Reason.TOO_LARGE: (413, "The Workitem is too large."),
    Reason.TOO_MANY_SUBSCRIBERS: (409, "The Workitem has too many subscribers."),
    Reason.TOO_MANY_WORKLIST_SUBSCRIBERS: (409, "The Worklist has too many subscribers."),
}
"""Statuses by the tables of PS3.18 11.4.3 to 11.12.3, and the words that it has for a `Warning`.

For an update of a workitem that has ended, and for a transaction UID that is missing or incorrect, tables
11.6.3-1 and 11.7.3-1 say 400, where older editions had 409.
"""
_CODES = {404: codes.UNKNOWN_RESOURCE, 409: codes.BAD_SEQUENCE_OF_CALLS}

_FORMS = (bodies.DICOM_JSON, 'multipart/related; type="application/dicom+xml"')
_UID_ARGUMENTS = ("workitem", "affectedsopinstanceuid", "uid")
_TRANSACTION_ARGUMENTS = ("transaction", "transaction-uid", "transactionuid", "transaction_uid", "00081195")


def routes() -> list[Route]:
    """The routes of the worklist, relative to the root of DICOMweb."""
    one = "/workitems/{workitem}"
    who = one + "/subscribers/{aetitle}"
    arguments = (
        Parameter("limit", "Workitems in the answer, at most 1000"),
        Parameter("offset", "Workitems to pass over"),
        Parameter("fuzzymatching", "true finds similar names of persons as well"),
        Parameter("includefield", "Attributes to return as well, or all; may be repeated"),
    )
    lock = (Parameter("deletionlock", "true keeps an ended workitem from being removed"),)
    body = bodies.DICOM_JSON
    return [
        Route(
            "GET",
            "/workitems",
            _told(_search),
            "Search for workitems",
            arguments,
            cacheable=True,
            answers=_FORMS,
        ),
        Route(
            "POST",
            "/workitems",
            _told(_create),
            "Create a workitem; its UID may be the argument",
            writes=True,
            body=body,
            fails=(409, 413, 415),
        ),
        Route("GET", one, _told(_retrieve), "A workitem", cacheable=True, answers=_FORMS, fails=(404,)),
        Route(
            "POST",
            one,
            _told(_update),
            "Change a workitem; the transaction UID may be the argument",
            writes=True,
            body=body,
            fails=(404, 409, 413, 415),
        ),
        Route(
            "PUT",
            one + "/state",
            _told(_state),
            "Claim, complete or cancel",
            writes=True,
            body=body,
            fails=(409,),
        ),
        Route(
            "POST",
            one + "/cancelrequest",
            _told(_cancel),
            "Ask whoever works on it to cancel",
            writes=True,
            body=body,
            fails=(409,),
        ),
        Route("POST", who, _told(_subscribe), "Subscribe to a workitem or the worklist", lock, writes=True),
        Route("DELETE", who, _told(_unsubscribe), "End a subscription", writes=True, fails=(404,)),
        Route(
            "POST", who + "/suspend", _told(_suspend), "Subscribe to nothing new", writes=True, fails=(404,)
        ),
        Route(
            "GET",
            "/subscribers/{aetitle}",
            _upgrade,
            "The events of a subscriber over a WebSocket",
            channel=open_channel,
            fails=(426,),
        ),
    ]


def _told(handler: Handler) -> Handler:
    """The handler with refusals that have a `Warning`."""

    def handle(request: Request) -> Answer:
        try:
            return handler(request)
        except WorkitemRefused as refusal:
            status, words = _REFUSALS[refusal.reason]
            error = CodedError(_CODES.get(status, codes.BAD_REQUEST), refusal.details or words, status=status)
            described = request.context.settings.http_describe_errors
            answer = answers.failure(error, request.method, request.path, described=described)
            answer.headers |= _warning(request, words)
            return answer

    return handle


def _search(request: Request) -> Answer:
    asked, form = read_search(request), bodies.form_of(request)
    found = search(
        request.context.archive,
        asked.keys,
        asked.offset,
        asked.limit,
        lambda attributes: form.encode(asked.reduced(attributes)),
    )
    remarks = []
    if found.cut:
        remarks.append("The search has stopped before it saw all workitems. Use a narrower query.")
    elif found.more:
        remarks.append("There are additional results that can be requested with offset and limit.")
    return form.answer(found.workitems, _warning(request, *remarks))


def _create(request: Request) -> Answer:
    uid = _argument(request, _UID_ARGUMENTS)
    if uid and not is_uid(uid):
        raise CodedError(codes.BAD_REQUEST, "The UID of the workitem is no UID")
    created = workitems.create(request.context.archive, uid, bodies.read_body(request))
    location = f"{service_root(request)}/workitems/{created.uid}"
    headers = {"Location": location, "Content-Location": location}
    if created.modified:
        headers |= _warning(request, "The Workitem was created with modifications.")
    return Answer(status=201, headers=headers)


def _retrieve(request: Request) -> Answer:
    form = bodies.form_of(request)
    found = workitems.get(request.context.archive, request.arguments["workitem"])
    return form.answer([form.encode(found)], {})


def _update(request: Request) -> Answer:
    transaction_uid = _argument(request, _TRANSACTION_ARGUMENTS)
    uid, changes = request.arguments["workitem"], bodies.read_body(request)
    workitems.update(request.context.archive, uid, changes, transaction_uid)
    return Answer(headers={"Content-Location": f"{service_root(request)}/workitems/{uid}"})


def _state(request: Request) -> Answer:
    body = bodies.read_body(request)
    archive, uid, state = request.context.archive, request.arguments["workitem"], text(body, STATE)
    changed = workitems.change_state(archive, uid, state, text(body, TRANSACTION_UID))
    return Answer(headers={} if changed else _warning(request, _ALREADY.format(state)))


def _cancel(request: Request) -> Answer:
    body = bodies.read_body(request)
    requester = text(body, "00741236") or request.user[:16] or "ANONYMOUS"
    archive, uid = request.context.archive, request.arguments["workitem"]
    wished = workitems.request_cancel(archive, uid, body, requester)
    return Answer(status=202, headers={} if wished else _warning(request, _ALREADY.format(CANCELED)))


def _subscribe(request: Request) -> Answer:
    archive, uid, aetitle = _subscription(request)
    locked = boolean(request.query, "deletionlock")
    worklist = WORKLISTS.get(uid)
    if worklist is None:
        subscribers.subscribe(archive, uid, aetitle, locked=locked)
    else:
        subscribers.subscribe_to_worklist(archive, worklist, aetitle, filters_of(request), locked=locked)
    scheme, separator, rest = service_root(request).partition("://")
    socket = "wss" if scheme == "https" else "ws"
    address = f"{socket}{separator}{rest}/subscribers/{quote(aetitle, safe='')}"
    return Answer(status=201, headers={"Content-Location": address})


def _unsubscribe(request: Request) -> Answer:
    archive, uid, aetitle = _subscription(request)
    worklist = WORKLISTS.get(uid)
    if worklist is None:
        subscribers.unsubscribe(archive, uid, aetitle)
    else:
        subscribers.unsubscribe_from_worklist(archive, worklist, aetitle)
    return Answer()


def _suspend(request: Request) -> Answer:
    archive, uid, aetitle = _subscription(request)
    worklist = WORKLISTS.get(uid)
    if worklist is None:
        raise CodedError(
            codes.BAD_REQUEST, "Subscriptions to the worklist can be suspended, not those to one workitem"
        )
    subscribers.suspend(archive, worklist, aetitle)
    return Answer()


def _upgrade(_request: Request) -> Answer:
    """What a client gets that does not ask for a WebSocket (RFC 9110 15.5.22)."""
    return Answer(status=426, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


def _subscription(request: Request) -> tuple[Archive, str, str]:
    arguments = request.arguments
    return request.context.archive, arguments["workitem"], subscribers.check_title(arguments["aetitle"])


def _argument(request: Request, names: tuple[str, ...]) -> str:
    """An argument that the standard writes without a name, and clients with one."""
    for name, value in parse_pairs(request.raw_query):
        if name.lower() in names:
            return value.strip()
        if not value and is_uid(name):
            return name
    return ""


def _warning(request: Request, *remarks: str) -> dict[str, str]:
    root = service_root(request)
    values = [f"299 {root}: {remark}" for remark in remarks if remark]
    return {"Warning": ", ".join(values)} if values else {}
