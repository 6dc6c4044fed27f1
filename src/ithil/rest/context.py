"""What all handlers share: the archive, the settings, names of numbers, and the threads they run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from ithil.archive.archive import Archive
from ithil.rest.names import Names
from ithil.rest.routing import Router
from ithil.settings import Settings

T = TypeVar("T")

MOST_THREADS = 16
"""More threads than this only fight for the interpreter's lock, whatever `HttpThreadsCount` says."""


@dataclass(frozen=True, slots=True)
class Context:
    """Made once by `ithil.rest.server.create_app`.

    `closing` is set when the server stops; work that can take minutes looks at it now and then.
    """

    archive: Archive
    settings: Settings
    names: Names
    router: Router
    threads: ThreadPoolExecutor
    closing: threading.Event = field(default_factory=threading.Event)

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do blocking work off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)
