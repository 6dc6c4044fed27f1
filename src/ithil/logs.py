"""Log lines on standard error: text for people, or JSON for machines. None of them has patient data.

How much is said can be changed while the server runs, for all of it or for one of Orthanc's categories. Each
process then follows the values of its host (`follow`).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ithil import metrics
from ithil.metrics import Metric

LEVELS = {"default": logging.WARNING, "verbose": logging.INFO, "trace": logging.DEBUG}
"""Orthanc's names of the levels of detail, least first."""

CATEGORIES: dict[str, tuple[str, ...]] = {
    "generic": ("",),
    "plugins": ("ithil.plugins",),
    "http": ("ithil.http", "ithil.rest", "ithil.dicomweb", "uvicorn"),
    "sqlite": ("ithil.archive.index",),
    "dicom": ("ithil.network", "ithil.services"),
    "jobs": ("ithil.jobs",),
    "lua": ("ithil.plugins.lua",),
}
"""The loggers of each of Orthanc's categories; `generic` is what no other category has."""

LOOK_SECONDS = 0.5
"""Time between two looks whether another process has changed the levels."""

_NAMES = tuple(LEVELS)


class _Text(logging.Formatter):
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")


class _Json(_Text):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object a line; line breaks in a message cannot forge another line."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Counter(logging.Handler):
    """Counts warnings and errors for the metrics."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line more, of whichever kind it is."""
        metrics.add(Metric.ERRORS if record.levelno >= logging.ERROR else Metric.WARNINGS)


def configure(form: str, verbosity: int) -> None:
    """Send log lines of the form `text` or `json` to standard error; `verbosity` 0 to 2 says how many."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(handlers=[handler, _Counter(logging.WARNING)], force=True)
    apply(dict.fromkeys(CATEGORIES, _NAMES[verbosity]))


def apply(levels: Mapping[str, str]) -> None:
    """Set the levels of these categories in this process."""
    for category, level in levels.items():
        for name in CATEGORIES[category]:
            logger = logging.getLogger(name or None)
            # uvicorn repeats at `verbose` what this server logs itself.
            quiet = name == "uvicorn" and level != "trace"
            logger.setLevel(logging.WARNING if quiet else LEVELS[level])


def current() -> dict[str, str]:
    """The level of each category in this process."""
    return {category: _name_of(logging.getLogger(names[0] or None)) for category, names in CATEGORIES.items()}


def most_detailed(levels: Mapping[str, str]) -> str:
    """The level that stands for all: the one of the category that says most."""
    return max((levels[category] for category in levels), key=_NAMES.index, default="default")


def _name_of(logger: logging.Logger) -> str:
    level = logger.getEffectiveLevel()
    return next((name for name in reversed(_NAMES) if LEVELS[name] >= level), "default")


@contextmanager
def following(levels: Callable[[], Mapping[str, str]]) -> Iterator[None]:
    """Within the block, keep this process at the levels that another process may have set."""
    stopping = threading.Event()
    original = current()

    def follow() -> None:
        applied: Mapping[str, str] = {}
        while not stopping.wait(LOOK_SECONDS):
            wanted = levels()
            if wanted != applied:
                apply({**original, **wanted})
                applied = dict(wanted)

    thread = threading.Thread(target=follow, name="log levels", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
