"""What a process of the pool does: compute one item after the other, and end with the server.

It is left alone by the signals that end a server, since a service manager sends them to all processes at once
and the job's item would be lost: the server ends it when its jobs have come to rest. Should the server die, the
process notices and ends itself.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from ithil import error_codes as codes
from ithil.dicom.dictionary import Entry, configured
from ithil.error_codes import CodedError
from ithil.jobs import places
from ithil.settings import Settings

NICENESS = 10  # below the server, so that requests do not wait for jobs


def configure_dictionary(settings: Settings) -> None:
    """Have this process know the data elements that the configuration adds to the dictionary."""
    configured.use_private = settings.load_private_dictionary
    for tag in settings.dictionary:
        entry = Entry(tag.vr, tag.name, tag.minimum, tag.maximum, tag.private_creator)
        configured.register(tag.tag, entry)


def run(connection: Connection[Any, Any], settings: Settings) -> None:
    """Answer each message (a pickled function and its item) with the pickled pair of result and exception."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_dictionary(settings)
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        answer = _answer(message)
        del message
        connection.send_bytes(answer)
        del answer


def _answer(message: bytes) -> bytes:
    try:
        work: Callable[[Any], Any]
        work, item = pickle.loads(message)
        return pickle.dumps((work(item), None), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:
        return _refusal(error)


def _refusal(error: BaseException) -> bytes:
    """The exception as it can be sent; one that cannot be is told by its type, for its text may quote data."""
    with suppress(AttributeError):
        error.place = places.place(error)  # type: ignore[attr-defined]  # its traceback is not sent
    try:
        message = pickle.dumps((None, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(message)
    except Exception:
        name = type(error).__name__
        stand_in = CodedError(codes.INTERNAL_ERROR, f"{name} in a process that computes for jobs")
        return pickle.dumps((None, stand_in), pickle.HIGHEST_PROTOCOL)
    return message


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
