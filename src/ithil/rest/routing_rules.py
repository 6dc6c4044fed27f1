"""`/ithil/routing`: rules that send stable studies on by themselves, and the queue of what they send."""

from __future__ import annotations

import time
from typing import Any

from ithil import error_codes as codes
from ithil.archive import routing
from ithil.archive.routing import Delivery
from ithil.http import answers, json_body
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean, unsigned
from ithil.http.routing import Field, Parameter, Route
from ithil.settings.routing_rules import rule_json

_MOST = 1000  # deliveries in one answer

_RULE = (
    Field("Query", "object", "Texts by tag that the study must match, as in /tools/find"),
    Field("Labels", "array", "Labels that the study must have"),
    Field("Modality", "string", "The modality to send to; this or Peer is required"),
    Field("Peer", "string", "The peer to send to"),
    Field("Transcode", "string", "The transfer syntax to send to a peer in"),
    Field("Compress", "boolean", "Compress what is sent to a peer by gzip"),
    Field("Retries", "integer", "How often to try again after a failure; 30 if absent"),
    Field(
        "FirstDelay",
        "integer",
        "Seconds until the first of them; 30 if absent. Each next one waits twice as long",
    ),
    Field("LongestDelay", "integer", "Seconds between two tries at most; 3600 if absent"),
    Field("Enabled", "boolean", "Whether the rule counts; true if absent"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    rule, delivery = "/ithil/routing/rules/{rule}", "/ithil/routing/queue/{delivery}"
    return [
        Route(
            "GET",
            "/ithil/routing/rules",
            list_rules,
            "The names of the routing rules",
            (Parameter("expand", "Show the rules by name"),),
        ),
        Route("GET", rule, get_rule, "A routing rule"),
        Route("PUT", rule, put_rule, "Make or change a routing rule", body=_RULE, writes=True, fails=(403,)),
        Route("DELETE", rule, delete_rule, "Remove a routing rule", writes=True, fails=(403,)),
        Route(
            "GET",
            "/ithil/routing/queue",
            get_queue,
            "What is on its way by routing rules, or has failed",
            (
                Parameter("after", "The ID of the delivery after which to begin"),
                Parameter("limit", f"Most deliveries to show, {_MOST} at most and if absent"),
            ),
        ),
        Route("GET", delivery, get_delivery, "One delivery"),
        Route(
            "POST",
            f"{delivery}/retry",
            post_retry,
            "Try a delivery now that waits or has failed",
            writes=True,
        ),
        Route(
            "DELETE", delivery, delete_delivery, "Give up a delivery that waits or has failed", writes=True
        ),
    ]


def list_rules(request: Request) -> Answer:
    """`GET /ithil/routing/rules`."""
    found = routing.rules(request.context.archive)
    if boolean(request.query, "expand"):
        return answers.json(request, {name: rule_json(rule) for name, rule in found.items()})
    return answers.json(request, list(found))


def get_rule(request: Request) -> Answer:
    """`GET /ithil/routing/rules/{rule}`."""
    found = routing.rules(request.context.archive).get(request.arguments["rule"])
    return answers.missing() if found is None else answers.json(request, rule_json(found))


def put_rule(request: Request) -> Answer:
    """`PUT /ithil/routing/rules/{rule}`."""
    value = json_body.parse(request.body, codes.BAD_FILE_FORMAT)
    routing.put_rule(request.context.archive, request.arguments["rule"], value)
    return answers.done()


def delete_rule(request: Request) -> Answer:
    """`DELETE /ithil/routing/rules/{rule}`."""
    removed = routing.remove_rule(request.context.archive, request.arguments["rule"])
    return answers.done() if removed else answers.missing()


def get_queue(request: Request) -> Answer:
    """`GET /ithil/routing/queue`: how many deliveries are in each state, and a page of them."""
    archive = request.context.archive
    limit = min(unsigned(request.query, "limit", _MOST) or _MOST, _MOST)
    after = request.query.get("after", "")[:200]
    found = routing.page(archive, after, limit)
    shown = {"Counts": routing.counts(archive), "Deliveries": [_shown(one) for one in found]}
    return answers.json(request, shown)


def get_delivery(request: Request) -> Answer:
    """`GET /ithil/routing/queue/{delivery}`."""
    found = routing.get(request.context.archive, request.arguments["delivery"])
    return answers.missing() if found is None else answers.json(request, _shown(found))


def post_retry(request: Request) -> Answer:
    """`POST /ithil/routing/queue/{delivery}/retry`."""
    done = routing.retry(request.context.archive, request.arguments["delivery"])
    return answers.done() if done else answers.missing()


def delete_delivery(request: Request) -> Answer:
    """`DELETE /ithil/routing/queue/{delivery}`."""
    done = routing.remove(request.context.archive, request.arguments["delivery"])
    return answers.done() if done else answers.missing()


def _shown(delivery: Delivery) -> dict[str, Any]:
    shown = {
        "ID": delivery.id,
        "Rule": delivery.rule,
        "Study": delivery.study,
        "State": delivery.state.value,
        "Attempts": delivery.attempts,
        "CreationTime": _text(delivery.created),
        "Job": delivery.job or None,
        "ErrorCode": delivery.error_code,
        "ErrorDetails": delivery.error,
    }
    if delivery.state == routing.DeliveryState.WAITING:
        shown["NextAttempt"] = _text(delivery.due)
    destination = "Modality" if delivery.how.get("Modality") else "Peer"
    return {**shown, destination: delivery.how[destination]}


def _text(seconds: float) -> str:
    """A moment as Orthanc writes it, in UTC."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
