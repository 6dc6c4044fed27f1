"""Log lines on standard error: text for people, or JSON for machines. None of them has patient data."""

from __future__ import annotations

import json
import logging
import sys
import time

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


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


def configure(form: str, verbosity: int) -> None:
    """Send log lines of the form `text` or `json` to standard error; `verbosity` 0 to 2 says how many."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(handlers=[handler], level=_LEVELS[verbosity], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
