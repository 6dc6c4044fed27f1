"""Answering uploads on the short way (`quick_upload`): in a worker thread each, or many small ones together.

Four clients that upload small files at the same time make four threads that fight for the interpreter over
every statement, and four transactions. One thread that stores what has arrived meanwhile in one transaction
takes a quarter less of the processor, and the more are waiting the more it saves. So a route may offer a
second function for bodies that are small (`Route.together`). What that one does not want, and what is larger
and waits for a file of its own, has a worker thread of its own as before. So has everything for some seconds
after the one thread was slow: it waits for the storage then, not for the interpreter, and many wait better.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from ithil import metrics
from ithil.http import answers, errors
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.http.sending import head_of
from ithil.metrics import Metric

SMALL = 64 * 1024
"""Bytes of the largest body that is stored together with others."""

MOST_TOGETHER = 32

SLOW = 0.005
"""Seconds for each upload, above which to store them together does not pay."""

APART_SECONDS = 5.0

Tell = Callable[[bytes, bytes], None]
"""Takes the head (without the empty line at its end) and the body of an answer, in any thread."""

_Waiting = tuple[Route, Request, bytes, Tell]


class UploadAnswers:
    """Makes the answers to uploads; `threads` are for those that go alone."""

    def __init__(self, threads: ThreadPoolExecutor, *, described: bool) -> None:
        """`described` is whether refusals have a body that describes them (`HttpDescribeErrors`)."""
        self._threads = threads
        self._described = described
        self._small: deque[_Waiting] = deque()
        self._arrived = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._apart_until = 0.0  # by the monotonic clock

    def begin(self, route: Route, request: Request, content: bytes, tell: Tell) -> None:
        """Have the body of an upload stored, and its answer told. Returns at once."""
        if route.together is None or len(content) > SMALL or monotonic() < self._apart_until:
            self._threads.submit(self._alone, route, request, content, tell)
            return
        with self._arrived:
            if self._closed:
                return
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="http-uploads", daemon=True)
                thread.start()
                self._thread = thread
            self._small.append((route, request, content, tell))
            self._arrived.notify()

    def close(self) -> None:
        """Finish what is being stored; what waits gets no answer, as its connection ends."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._arrived:
                while not self._small and not self._closed:
                    self._arrived.wait()
                if self._closed:
                    return
                route = self._small[0][0]
                taken: list[_Waiting] = []
                while self._small and len(taken) < MOST_TOGETHER and self._small[0][0] is route:
                    taken.append(self._small.popleft())
            self._together(route, taken)

    def _together(self, route: Route, taken: list[_Waiting]) -> None:
        assert route.together is not None
        began = monotonic()
        made: Sequence[Answer | BaseException | None]
        try:
            with metrics.timed(Metric.REST_API):
                made = route.together([(request, content) for _, request, content, _ in taken])
        except Exception as error:
            made = [error] * len(taken)
        now = monotonic()
        if now - began > SLOW * len(taken) or all(answer is None for answer in made):
            self._apart_until = now + APART_SECONDS
        for (_, request, content, tell), answer in zip(taken, made, strict=True):
            try:
                if answer is None:
                    self._threads.submit(self._alone, route, request, content, tell)
                else:
                    self._tell(request, answer, tell)
            except Exception as error:  # which must not leave the others without their answers
                errors.report_cut(error)

    def _alone(self, route: Route, request: Request, content: bytes, tell: Tell) -> None:
        assert route.whole is not None
        answer: Answer | BaseException
        try:
            with metrics.timed(Metric.REST_API):
                answer = route.whole(request, content)
        except Exception as error:
            answer = error
        self._tell(request, answer, tell)

    def _tell(self, request: Request, answer: Answer | BaseException, tell: Tell) -> None:
        if isinstance(answer, BaseException):
            refusal = errors.translate(answer)
            answer = answers.failure(refusal, request.method, request.path, described=self._described)
        body = answer.body
        assert isinstance(body, bytes)  # no upload is answered with a file
        tell(head_of(answer), body)
