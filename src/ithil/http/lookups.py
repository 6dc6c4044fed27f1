"""GETs on the short way: what an ASGI request is made of otherwise, reduced to what a look into the archive needs.

Most searches and look-ups take less time than the task, the futures and the messages of the request around
them. Here one call in a worker thread makes the complete answer, and one call brings it back to the event
loop. `protocol` drives it. It takes the routes whose answers may be kept, since these depend on nothing but
the archive and the head of the request. An answer that turns out to be a stream or a large file has been made
by then, and goes the ordinary way from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ithil import metrics
from ithil.http import answers, errors
from ithil.http.answers import Answer
from ithil.http.context import Context
from ithil.http.known_answers import KnownAnswers, key_of
from ithil.http.request import Request, parse_query
from ithil.http.routing import Route, split
from ithil.http.sending import head_of, small_body
from ithil.metrics import Metric

MADE = "ithil.made"
"""Under which an ASGI scope has the answer that was made for it on the short way."""

_WITH_BODY = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that a handler has given and that has yet to be sent; it may be kept."""

    answer: Answer | Awaitable[Answer]


Told = tuple[bytes, bytes] | Made
"""Head (without the empty line at its end) and body of an answer; or one that the ordinary way has to send."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A GET that may take the short way: its route, and under what its answer is kept."""

    request: Request
    route: Route
    key: bytes
    version: object | None


class Lookups:
    """Answers such GETs; `described` is whether refusals have a body (`HttpDescribeErrors`)."""

    def __init__(self, context: Context, known: KnownAnswers, *, described: bool) -> None:
        self._context = context
        self._known = known
        self._described = described

    def find(
        self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], client: str, user: str
    ) -> Lookup | None:
        """The look-up that a request is, for a client that has been let in; None if it is none."""
        query = scope["query_string"]
        key = key_of(scope["raw_path"] + b"?" + query if query else scope["raw_path"], headers)
        if key is None or not _WITH_BODY.isdisjoint(headers):
            return None
        segments = split(scope["path"])
        found = self._context.router.match(segments)
        route = None if found is None else found.node.routes.get("GET")
        if found is None or route is None or not route.cacheable or route.streaming or route.channel:
            return None
        path = "/" + "/".join(segments)
        arguments = parse_query(query)
        if "\0" in path or "_method" in arguments:
            return None
        request = Request(
            self._context,
            "GET",
            path,
            {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()},
            arguments,
            raw_query=query,
            arguments=found.arguments,
            client=client,
            user=user,
        )
        return Lookup(request, route, key, self._known.version())

    def start(self, lookup: Lookup, loop: asyncio.AbstractEventLoop, tell: Callable[[Told], None]) -> None:
        """Have `loop` call `tell` with the answer. Returns at once."""
        self._context.start(lookup.route.runs, partial(self._run, lookup, loop, tell))

    def _run(self, lookup: Lookup, loop: asyncio.AbstractEventLoop, tell: Callable[[Told], None]) -> None:
        answer: Answer | Awaitable[Answer]
        body: bytes | None = None
        try:
            with (
                metrics.holding(Metric.ACTIVE_REQUESTS),
                metrics.holding(Metric.BUSY_HTTP_THREADS),
                metrics.timed(Metric.REST_API),
            ):
                answer = lookup.route.handler(lookup.request)
                if isinstance(answer, Answer):
                    body = small_body(self._context, answer)
        except Exception as error:
            request = lookup.request
            answer = answers.failure(
                errors.translate(error), request.method, request.path, described=self._described
            )
            body = small_body(self._context, answer)
        try:
            loop.call_soon_threadsafe(self._tell, lookup, answer, body, tell)
        except RuntimeError:
            pass  # the server has stopped and its loop is closed: nobody waits for the answer

    def _tell(
        self,
        lookup: Lookup,
        answer: Answer | Awaitable[Answer],
        body: bytes | None,
        tell: Callable[[Told], None],
    ) -> None:
        if body is None or not isinstance(answer, Answer):
            tell(Made(answer))
            return
        if answer.status == 200:
            self._known.keep(lookup.key, lookup.version, answer)
        tell((head_of(answer), body))
