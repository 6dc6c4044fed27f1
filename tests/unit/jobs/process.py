"""A process of its own with an engine over a test's archive, which the test can kill."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from multiprocessing.process import BaseProcess
from typing import Any

from tests.unit.archive.places import Place
from tests.unit.jobs.kinds import Deadly, kinds

from ithil.archive.archive import Archive
from ithil.jobs.engine import Engine
from ithil.settings import Settings


def start(place: Place, **settings: Any) -> BaseProcess:
    """Start a process that runs the jobs of the archive at `place` until it is told to end or killed."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(place.options(**settings),))
    process.start()
    return process


def serve(options: dict[str, Any]) -> None:
    """What the process does; SIGTERM ends it in order."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    archive = Archive.open(Settings(**options))
    engine = Engine(archive, kinds(Deadly()))
    engine.start()
    stopping.wait()
    engine.stop(10)
    archive.close()
