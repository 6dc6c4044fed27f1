"""An upload on the short way: what an ASGI request is made of otherwise, reduced to what an upload needs.

Most uploads are one DICOM file of modest size. On the way through ASGI such a request is a task, a scope, a
message for each piece of the body, three futures and two messages back, and all of that costs more than
storing the file. Here the pieces are put together as they arrive, `upload_answers` makes the complete answer
out of the body in another thread, and one call brings it back to the event loop. `protocol` drives it; what
an upload is and how it is answered is decided by its route (`Route.whole`), for both ways.

The body grows in a `BytesIO`, which gives its content away without a copy. A list of pieces to be joined
would hold the body twice for a moment, and one of tiny pieces would take many times the size of the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO

from ithil.http.admission import Budget
from ithil.http.upload_answers import Tell

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest body that is held as a whole; a larger one streams to the disk while it arrives."""

_ORDINARY = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"x-http-method-override"})
"""Headers that say something about the request which only the ordinary way knows how to take."""

AnswerBody = Callable[[bytes, Tell], None]
"""Has the answer to the body of the request made, and told. Returns at once; raises nothing."""

Done = Callable[["QuickUpload", bytes, bytes], None]


def expected_size(headers: Mapping[bytes, bytes]) -> int | None:
    """Bytes of the body of a POST that may take the short way, None for one that may not."""
    if not _ORDINARY.isdisjoint(headers):
        return None
    if b"multipart" in headers.get(b"content-type", b"").lower():
        return None
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or len(length) > len(str(LARGEST)):
        return None
    return int(length) if 0 < int(length) <= LARGEST else None


class QuickUpload:
    """One upload, from the end of its head to its answer.

    uvicorn's protocol keeps the request that it answers in `cycle`, and asks it whether the answer is out
    before it closes the connection or begins with the next request. This object stands in that place, so the
    four attributes that uvicorn looks at have its names.
    """

    response_complete = False
    disconnected = False
    keep_alive = True
    message_event = asyncio.Event()  # uvicorn sets it when the client leaves; nobody here waits for it

    def __init__(self, size: int, budget: Budget, answer: AnswerBody) -> None:
        """`size` bytes of `budget` were taken for it already."""
        self._share = size
        self._budget = budget
        self._answer = answer
        self._body = BytesIO()

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._body.write(chunk)

    def release(self) -> None:
        """Give back what was taken of the budget; harmless when called twice."""
        self._budget.give_back(self._share)
        self._share = 0

    def start(self, loop: asyncio.AbstractEventLoop, done: Done) -> None:
        """Have the body stored, and then `done` called by `loop` with head and body of the answer."""
        content = self._body.getvalue()
        self._body.close()  # this object lives until the next request, which may never come
        self._answer(content, partial(self._tell, loop, done))

    def _tell(self, loop: asyncio.AbstractEventLoop, done: Done, head: bytes, body: bytes) -> None:
        try:
            loop.call_soon_threadsafe(done, self, head, body)
        except RuntimeError:
            pass  # the server has stopped and its loop is closed: nobody waits for the answer
