"""Who was first with an instance that is not in the index yet.

Two senders may bring the same new instance at once, and the index cannot tell the second one that it is known until
the first one's is added. So whoever comes first claims it, and the second waits until it is decided whether the first
one's can be taken at all.
"""

from __future__ import annotations

import threading


class Claims:
    """The claims of one process. Safe to be used by many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claimed: set[str] = set()
        self._undecided: set[str] = set()

    def take(self, public_id: str) -> bool:
        """Claim an instance; False if somebody else has, and will keep it until it is in the index."""
        with self._changed:
            while public_id in self._undecided:
                self._changed.wait()
            if public_id in self._claimed:
                return False
            self._claimed.add(public_id)
            self._undecided.add(public_id)
            return True

    def keep(self, public_id: str) -> None:
        """What was claimed is taken, and will be in the index."""
        with self._changed:
            self._undecided.discard(public_id)
            self._changed.notify_all()

    def let_go(self, public_id: str) -> None:
        """The index knows by now whether it has that instance; harmless for what nobody claims."""
        with self._changed:
            self._claimed.discard(public_id)
            self._undecided.discard(public_id)
            self._changed.notify_all()
