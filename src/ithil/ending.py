"""How a process of the server learns that it is to stop, and whether it is to start anew.

SIGTERM and SIGINT stop it. SIGHUP, which `/tools/reset` sends, stops it as well, and then it starts again with
the configuration as it is now. A process that has a parent leaves the latter to it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

_LAST = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """The end of a process, as far as it has come."""

    def __init__(self, *, may_reset: bool) -> None:
        self._may_reset = may_reset
        self._reset = False
        self._stop = False

    @property
    def again(self) -> bool:
        """Whether to start anew. A signal to stop wins, whichever came first."""
        return self._reset and not self._stop

    def listen(self, stop: Handler) -> None:
        """Call `stop` at each signal that ends this process. For the main thread."""

        def hear(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGHUP:
                self._reset = True
            else:
                self._stop = True
            stop(number, frame)

        for number in _LAST:
            signal.signal(number, hear)
        signal.signal(signal.SIGHUP, hear if self._may_reset else signal.SIG_IGN)

    def wait(self) -> None:
        """Return when a signal has come. For the main thread."""
        stopping = threading.Event()
        self.listen(lambda number, frame: stopping.set())
        stopping.wait()
