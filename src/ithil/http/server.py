"""The ASGI application: from a request of the HTTP server to the handler of a route, and back.

The order of things, for each request: who is it (`access`), is the answer known already (`known_answers`),
which route (`routing`), then the handler, in a worker thread since it may wait for disk or database. Uploads
alone stay on the event loop while their bytes arrive, and visit a thread to store them. Whatever a handler
raises becomes one of Orthanc's errors; the connection and the server go on.

A WebSocket begins as a request and is let in as one; then the channel of its route has it.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import unquote

from ithil import error_codes as codes
from ithil import metrics
from ithil.archive.archive import Archive
from ithil.archive.names import Names
from ithil.error_codes import CodedError
from ithil.http import answers, errors
from ithil.http.access import CHALLENGE, AccessControl, Visitor
from ithil.http.admission import RETRY_AFTER, Budget, Busy, share_of
from ithil.http.answers import Answer
from ithil.http.body import Body, ClientGone, Receive, whole
from ithil.http.context import MOST_THREADS, STREAM_THREADS, Context, ServerControl
from ithil.http.cross_origin import CrossOrigin
from ithil.http.handshake import channel_at, open_socket
from ithil.http.known_answers import Buffer, KnownAnswers, key_of
from ithil.http.lookups import MADE, Lookups, Made, Told
from ithil.http.multipart import MultipartReader, boundary_of
from ithil.http.quick_upload import QuickUpload, expected_size
from ithil.http.request import Request, parse_query
from ithil.http.routing import METHODS, Route, Router, Runs, split
from ithil.http.sending import Send, first_piece, send_answer
from ithil.http.turns import Turns
from ithil.http.upload_answers import UploadAnswers
from ithil.http.web_socket import WebSocket
from ithil.jobs.pool import cores
from ithil.metrics import Metric
from ithil.settings import Settings

Scope = Mapping[str, Any]

LONG_LOOK, LONG_PICTURE = 0.02, 0.3
"""Seconds after which nobody waits any more for a look into the index, or for a picture, to be done."""

_OVERRIDES = ("PUT", "DELETE")

# Browsers say with each request from where it was caused (Fetch Metadata). Nobody signs in at a server that
# is open to its own host, so any page that its user visits could otherwise change or delete what is there.
FETCH_SITE, CROSS_SITE = "sec-fetch-site", "cross-site"
_WITH_BODY = ("POST", "PUT")


class HttpApp:
    """The application. `create_app` makes it; `close` ends its threads."""

    def __init__(self, context: Context, access: AccessControl) -> None:
        self.context = context
        self._access = access
        self._origins = CrossOrigin(context.settings.ithil.allowed_origins)
        self._answers = KnownAnswers(context.archive)
        self._described = context.settings.http_describe_errors
        self._budget = Budget(context.settings.ithil.maximum_in_flight_mb * 1024 * 1024)
        self._body_limit = context.settings.maximum_request_body_size_mb * 1024 * 1024
        self._lookups = Lookups(context, self._answers, described=self._described)
        self._upload_answers = UploadAnswers(context.threads, described=self._described)
        self._uploads = {
            route.path.encode(): route for route in context.router.routes if route.whole is not None
        }

    @property
    def router(self) -> Router:
        """The table of routes."""
        return self.context.router

    def close(self) -> None:
        """Wait for running handlers, which stop early where they can, and end the worker threads."""
        self.context.closing.set()
        self._upload_answers.close()
        self.context.threads.shutdown(wait=True, cancel_futures=True)
        for turns in self.context.turns.values():
            turns.close()
        self.context.streams.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await open_socket(self.context, self._access, self._origins, scope, WebSocket(receive, send))
            return
        if scope["type"] != "http":
            await _live(scope, receive, send)
            return
        raw_headers = dict(scope["headers"])
        if self._origins:
            # Before anybody is let in: a browser asks without the credentials that it will send.
            if scope["method"] == "OPTIONS":
                preflight = self._origins.preflight(raw_headers)
                if preflight is not None:
                    await send({"type": "http.response.start", "status": 204, "headers": preflight})
                    await send({"type": "http.response.body", "body": b""})
                    return
            send = self._origins.adding(send, raw_headers.get(b"origin"))
        visitor = self._access.admit(scope, raw_headers)
        if visitor is None:
            refusal = Answer(status=401, headers={"WWW-Authenticate": CHALLENGE})
            await send_answer(self.context, receive, send, refusal, b"")
            return
        key = version = None
        if scope["method"] == "GET":
            query = scope["query_string"]
            url = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
            key = key_of(url, raw_headers)
        if key is not None:
            version = self._answers.version()
            known = self._answers.find(key, version)
            if known is not None:
                answer, buffers = known
                await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
                await send({"type": "http.response.body", "body": b"".join(buffers)})
                return
        await self._serve(scope, raw_headers, visitor, receive, send, key, version)

    def quick_lookup(self, scope: Scope, loop: AbstractEventLoop, tell: Callable[[Told], None]) -> bool:
        """Begin to answer a GET on the short way and have `loop` call `tell`; False if that is not its way.

        For `protocol`. What is told is with the headers for pages of other origins.
        """
        headers = dict(scope["headers"])
        visitor = self._access.admit(scope, headers, quiet=True)
        if visitor is None:
            return False
        lookup = self._lookups.find(scope, headers, visitor.address, visitor.user)
        if lookup is None:
            return False
        lines = self._origins.lines(headers.get(b"origin"))

        def tell_with_lines(told: Told) -> None:
            tell(told if isinstance(told, Made) else (told[0] + lines, told[1]))

        self._lookups.start(lookup, loop, tell_with_lines if lines else tell)
        return True

    def quick_answer(
        self, url: bytes, headers: Mapping[bytes, bytes], client: tuple[str, int] | None
    ) -> tuple[bytes, list[Buffer]] | None:
        """Head and body of the answer to a GET as they go over the wire, if it is known already.

        For `protocol`, which asks before it makes an ASGI request. Everything that is decided for an
        ASGI request is decided here as well; None means that it takes one.
        """
        key = key_of(url, headers)
        if key is None or self._access.admit({"client": client}, headers, quiet=True) is None:
            return None
        known = self._answers.find(key, self._answers.version())
        if known is None:
            return None
        head = known[0].head
        if self._origins:
            head = head[:-2] + self._origins.lines(headers.get(b"origin")) + b"\r\n"
        return head, known[1]

    def takes_channel(self, url: bytes) -> bool:
        """Whether a GET of this request target may become a WebSocket; `protocol` asks."""
        return channel_at(self.context, unquote(url.partition(b"?")[0].decode("latin-1"))) is not None

    def quick_upload(
        self, url: bytes, headers: Mapping[bytes, bytes], client: tuple[str, int] | None
    ) -> QuickUpload | None:
        """The upload that a POST begins, if it may take the short way; `protocol` asks as above.

        What is refused before the body is read, and what this server is too busy for, is answered on the
        ordinary way.
        """
        route = self._uploads.get(url)
        size = expected_size(headers) if route is not None else None
        if route is None or size is None or (self._body_limit and size > self._body_limit):
            return None
        if headers.get(FETCH_SITE.encode()) == CROSS_SITE.encode() or (
            self._origins and b"origin" in headers
        ):
            return None
        visitor = self._access.admit({"client": client}, headers, quiet=True)
        if visitor is None or not self._budget.take(size):
            return None
        request = Request(
            self.context,
            "POST",
            route.path,
            _text_headers(headers),
            client=visitor.address,
            user=visitor.user,
        )
        return QuickUpload(size, self._budget, partial(self._upload_answers.begin, route, request))

    async def _serve(
        self,
        scope: Scope,
        raw_headers: Mapping[bytes, bytes],
        visitor: Visitor,
        receive: Receive,
        send: Send,
        key: bytes | None,
        version: object | None,
    ) -> None:
        segments = split(scope["path"])
        path = "/" + "/".join(segments)
        method = scope["method"]
        cacheable = False
        try:
            headers = _text_headers(raw_headers)
            query = parse_query(scope["query_string"])
            method = _effective_method(method, headers, query)
            request = Request(
                self.context,
                method,
                path,
                headers,
                query,
                raw_query=scope["query_string"],
                client=visitor.address,
                user=visitor.user,
            )
            body = Body(receive, headers, self._body_limit)
            made: Made | None = scope.get(MADE)
            if made is not None:
                answer = made.answer if isinstance(made.answer, Answer) else await made.answer
                cacheable = True
            else:
                with metrics.holding(Metric.ACTIVE_REQUESTS), metrics.timed(Metric.REST_API):
                    answer, cacheable = await self._answer(request, segments, body)
            first = await first_piece(self.context, answer)
        except ClientGone:
            return
        except Busy:
            answer, first = Answer(status=503, headers={"Retry-After": str(RETRY_AFTER)}), b""
        except _EarlyAnswer as early:
            answer, first = early.answer, b""
        except Exception as error:
            answer = answers.failure(errors.translate(error), method, path, described=self._described)
            first = await first_piece(self.context, answer)
        if key is not None and cacheable and answer.status == 200:
            self._answers.keep(key, version, answer)
        await send_answer(self.context, receive, send, answer, first, head_only=scope["method"] == "HEAD")

    async def _answer(self, request: Request, segments: list[str], body: Body) -> tuple[Answer, bool]:
        """The answer, and whether it may be cached."""
        found = self.router.match(segments)
        # No name has a NUL, and PostgreSQL does not take one in a question.
        if found is None or "\0" in request.path:
            if request.method == "OPTIONS":
                return answers.missing(), False
            raise CodedError(codes.UNKNOWN_RESOURCE)
        if request.method == "OPTIONS":
            if found.node.options is None:
                return answers.missing(), False
            request.arguments = found.arguments
            return await self._run(request, found.node.options, body.chunks()), False
        if request.method != "GET" and self._is_foreign(request):
            raise CodedError(codes.FORBIDDEN_ACCESS, "A page of another site may not change anything here")
        request.arguments = found.arguments
        route = found.node.routes.get(request.method)
        if route is None:
            if request.method == "GET" and not found.node.routes:
                return answers.json(request, found.node.child_names), True
            return Answer(status=405, headers={"Allow": found.node.allowed}), False
        if request.method not in _WITH_BODY:
            return await self._run(request, route, body.chunks()), route.cacheable
        with self._budget.share(share_of(body, route.held)):
            boundary = boundary_of(request.headers.get("content-type", ""))
            if boundary is not None and request.method == "POST":
                return await self._replay(request, route, body, boundary), False
            return await self._run(request, route, body.chunks()), False

    def _is_foreign(self, request: Request) -> bool:
        """Whether a page of another site sends this behind the back of its user."""
        if request.headers.get(FETCH_SITE) != CROSS_SITE:
            return False
        return not self._origins.trusts(request.headers.get("origin", "").encode("latin-1"))

    async def _run(self, request: Request, route: Route, chunks: AsyncIterator[bytes]) -> Answer:
        if route.streaming:
            streamed: Answer = await route.handler(request, chunks)
            return streamed
        request.body = await whole(chunks) if request.method in _WITH_BODY else b""
        answer: Answer | Awaitable[Answer] = await self.context.run(route.runs, route.handler, request)
        return answer if isinstance(answer, Answer) else await answer

    async def _replay(self, request: Request, route: Route, body: Body, boundary: bytes) -> Answer:
        """Each part of a form as a request of its own; the first that fails ends it."""
        async for part in MultipartReader(body.chunks(), boundary).parts():
            answer = await self._run(request, route, part)
            if answer.status >= 400:
                return answer
        return Answer()


class _EarlyAnswer(Exception):
    """Carries an answer that is due before a route is looked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _effective_method(method: str, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The method after overrides. Raises _EarlyAnswer for methods that no route has."""
    if method == "HEAD":
        return "GET"
    if method == "OPTIONS":
        return method
    if method not in METHODS:
        raise _EarlyAnswer(Answer(status=400))
    override = headers.get("x-http-method-override")
    if override is None and method == "GET":
        override = query.get("_method")
    if override is None:
        return method
    if override.upper() not in _OVERRIDES:
        raise _EarlyAnswer(Answer(status=400))
    return override.upper()


def _text_headers(raw_headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers.items()}


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the events of a server's life; nothing else is known."""
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def create_app(
    archive: Archive, settings: Settings, routes: Iterable[Route], control: ServerControl | None = None
) -> HttpApp:
    """The application for an open archive; `control` is that of the server around it.

    Routes that write are left out if the archive is read-only.
    """
    types = settings.user_content_type
    most = min(MOST_THREADS, settings.http_threads_count)
    turns = {Runs.BY_CORE: Turns("pictures", leaders=cores(), long=LONG_PICTURE, most=most)}
    if (
        archive.index.dialect == "sqlite"
    ):  # in other databases they wait for the other side, and do so together
        turns[Runs.IN_TURN] = Turns("look-ups", leaders=1, long=LONG_LOOK, most=most)
    context = Context(
        archive=archive,
        settings=settings,
        names=Names(
            settings.user_metadata,
            {name: kind.number for name, kind in types.items()},
            {kind.number: kind.mime for kind in types.values()},
        ),
        router=Router(route for route in routes if not (settings.read_only and route.writes)),
        threads=ThreadPoolExecutor(max_workers=most, thread_name_prefix="http"),
        streams=ThreadPoolExecutor(max_workers=STREAM_THREADS, thread_name_prefix="stream"),
        turns=turns,
        control=control,
    )
    access = AccessControl(
        remote_access_allowed=settings.remote_access_allowed,
        authentication_enabled=settings.authentication_enabled,
        users=settings.registered_users or {},
        trusted_proxies=settings.ithil.trusted_proxies,
    )
    return HttpApp(context, access)
