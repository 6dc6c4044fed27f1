"""Which modalities could not be reached a moment ago, so that not everybody who has something for them waits.

To connect to a host that is off takes as long as the timeout allows. What is not urgent looks here first, and
leaves such a host alone for a while. This is known to one process only and nothing depends on it: another
process tries for itself, and so does this one after `SECONDS`.
"""

from __future__ import annotations

import threading
import time

from ithil.settings import Modality

SECONDS = 30.0
"""How long a modality is left alone."""

_MOST = 1000

_lock = threading.Lock()
_until: dict[tuple[str, int, str], float] = {}  # by destination, the oldest failure first


def note(modality: Modality) -> None:
    """It could not be reached."""
    key = _key(modality)
    with _lock:
        _until.pop(key, None)
        _until[key] = time.monotonic() + SECONDS
        if len(_until) > _MOST:
            del _until[next(iter(_until))]


def forget(modality: Modality) -> None:
    """It was reached."""
    with _lock:
        _until.pop(_key(modality), None)


def is_noted(modality: Modality) -> bool:
    """Whether it could not be reached within the last `SECONDS`."""
    with _lock:
        return time.monotonic() < _until.get(_key(modality), 0.0)


def _key(modality: Modality) -> tuple[str, int, str]:
    return modality.host, modality.port, modality.aet
