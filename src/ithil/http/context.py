"""What all handlers share: the archive, the settings, names of numbers, and the threads they run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ithil import metrics
from ithil.archive.archive import Archive
from ithil.archive.names import Names
from ithil.http.routing import Router, Runs
from ithil.http.turns import Turns
from ithil.metrics import Metric
from ithil.settings import Settings

T = TypeVar("T")

STREAM_THREADS = 4
"""How many streams are made at a time; the others wait, piece by piece, and handlers are not held up."""

MOST_THREADS = 16
"""More threads than this only fight for the interpreter's lock, whatever `HttpThreadsCount` says."""


@dataclass(frozen=True, slots=True)
class ServerControl:
    """How the server that the application belongs to is started anew or stopped; both return at once."""

    reset: Callable[[], None]
    shutdown: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Context:
    """Made once by `ithil.http.server.create_app`.

    `turns` are those of the kinds of handlers that do not run freely. `closing` is set when the server stops; work
    that can take minutes looks at it now and then. `control` is None where no server is around the application.
    """

    archive: Archive
    settings: Settings
    names: Names
    router: Router
    threads: ThreadPoolExecutor
    streams: ThreadPoolExecutor
    turns: Mapping[Runs, Turns] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)
    control: ServerControl | None = None

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do blocking work off the event loop."""
        with metrics.holding(Metric.BUSY_HTTP_THREADS):
            return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    async def run(self, runs: Runs, work: Callable[..., T], *arguments: object) -> T:
        """Do the work of a handler off the event loop."""
        done: Future[T] = Future()
        with metrics.holding(Metric.BUSY_HTTP_THREADS):
            self.start(runs, partial(_fulfil, done, work, arguments))
            return await asyncio.wrap_future(done)

    def start(self, runs: Runs, work: Callable[[], None]) -> None:
        """Begin the work of a handler, which must not raise. To be called in the event loop; returns at once."""
        turns = self.turns.get(runs)
        if turns is None:
            self.threads.submit(work)
        else:
            turns.take(work)

    async def in_stream_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do a piece of a long answer off the event loop, out of the way of short ones."""
        return await asyncio.get_running_loop().run_in_executor(self.streams, work, *arguments)


def _fulfil(done: Future[T], work: Callable[..., T], arguments: tuple[object, ...]) -> None:
    if not done.set_running_or_notify_cancel():
        return  # nobody waits any more
    try:
        done.set_result(work(*arguments))
    except BaseException as error:
        done.set_exception(error)
