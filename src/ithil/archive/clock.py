"""The archive's time: seconds for machines, Orthanc's text for people."""

from __future__ import annotations

import time

_last: tuple[int, str] = (0, "19700101T000000")


def now() -> tuple[float, str]:
    """Seconds since 1970, and the same moment as `YYYYMMDDTHHMMSS` in UTC."""
    global _last
    seconds = time.time()
    whole = int(seconds)
    if _last[0] != whole:
        _last = (whole, time.strftime("%Y%m%dT%H%M%S", time.gmtime(whole)))
    return seconds, _last[1]
