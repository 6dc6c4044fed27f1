"""One thread that receives for all associations that send small instances.

With a thread for each, these threads would take turns at the interpreter a dozen times for one instance: at every
read and at every wait for the disk. This one reads whatever has come on any of them, then has all instances that are
complete stored together, with one wait for the disk, and answers them. So many senders at once cost less for each,
and those that say nothing cost no thread.

An association comes here after its first small instance. Whatever else it wants, and that is its end as well, is not
for this thread: it gives the association back (`Step.OTHER`), to a thread of its own that goes on where this one has
stopped and that keeps it. Large instances are among that: they spend their time on copying and on the disk, where
several threads are of use. So are those that have to wait for a transaction, which may take long.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ithil.network.conversation import Conversation, Step
from ithil.network.errors import AssociationLost, AssociationTimeout
from ithil.network.handler import FinishAll
from ithil.network.receiving import describe_fault, finish_stores

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # at most, between two looks at who has been silent for too long
_PAUSE_SECONDS = 0.1  # after a fault, which may be there again at once


@dataclass(slots=True, eq=False)
class _Member:
    """An association of which this thread reads."""

    fd: int
    conversation: Conversation
    give_back: Callable[[], None]
    heard: float
    """When it last had something to say, or an answer of ours."""
    waits: bool = False
    """Whether it has a complete instance, and gets an answer before anything else of it is read."""


class StoreLoop:
    """The thread, and the associations that share it."""

    def __init__(self, finish_all: FinishAll, *, timeout: float) -> None:
        """`timeout` is how many seconds an association may be silent, 0 for ever."""
        self._finish_all = finish_all
        self._timeout = timeout
        self._look = min(_LOOK_SECONDS, timeout / 4) if timeout else None
        self._members: dict[int, _Member] = {}
        self._epoll = select.epoll()
        self._stopping = False
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._epoll.register(self._wake_receiver, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="dicom-stores", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, deadline: float) -> bool:
        """End the thread and the associations that it still has; whether that is over within `deadline` seconds.

        If it waits for a disk that does not answer, it ends whenever that does.
        """
        self._stopping = True
        with suppress(OSError):
            self._wake_sender.send(b"\0")
        if self._thread.ident is not None:
            self._thread.join(deadline)
        if self._thread.is_alive():
            return False
        self._epoll.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        return True

    def take(self, conversation: Conversation, give_back: Callable[[], None]) -> bool:
        """Read for an association from now on; False if it has to go on in its own thread.

        `give_back` is called, once and from this thread, when it needs one again.
        """
        if conversation.has_arrived():
            return False  # what is read already would not be heard of
        fd = conversation.fileno()
        self._members[fd] = _Member(fd, conversation, give_back, time.monotonic())
        try:
            self._epoll.register(fd, select.EPOLLIN)
        except (OSError, ValueError):  # the system watches no more, or this has ended
            return self._members.pop(fd, None) is None
        # If it ends just now, either this or its thread gets hold of the member.
        return not self._stopping or self._members.pop(fd, None) is None

    def _run(self) -> None:
        looked = time.monotonic()
        complete: list[_Member] = []
        while not self._stopping:
            try:
                # Between two rounds everybody is read, so that who sends without waiting delays others by one round.
                complete += self._read(0 if complete else self._look)
                if complete:
                    complete += self._read(0)  # what has come meanwhile shares the wait for the disk
                    finishing, complete = complete, []
                    complete = self._finish(finishing)
                if self._look is not None and time.monotonic() - looked >= self._look:
                    looked = time.monotonic()
                    self._part_with_silent()
            except BaseException as error:  # whatever it is, the others go on
                logger.error("receiving from several associations failed: %s", describe_fault(error))
                complete = []
                self._part_with_waiting()
                time.sleep(_PAUSE_SECONDS)
        for member in list(self._members.values()):
            self._end(member, AssociationLost("stopped by this side"))

    def _read(self, seconds: float | None) -> list[_Member]:
        """Read what has come, after up to so many seconds; gives those whose instance is complete with it."""
        complete: list[_Member] = []
        ready = self._epoll.poll(seconds)
        now = time.monotonic()
        for fd, _ in ready:
            member = self._members.get(fd)  # None for the socket that wakes this thread
            if member is not None and not member.waits:
                member.heard = now
                self._go_on(member, member.conversation.read, complete)
        return complete

    def _finish(self, members: Sequence[_Member]) -> list[_Member]:
        """Store instances together and answer; gives those who had sent a whole next one already."""
        finish_stores([each.conversation.complete_store() for each in members], self._finish_all)
        complete: list[_Member] = []
        now = time.monotonic()
        for member in members:
            member.waits = False
            member.heard = now
            self._go_on(member, member.conversation.answer, complete)
        return complete

    def _go_on(self, member: _Member, go: Callable[[], Step], complete: list[_Member]) -> None:
        try:
            step = go()
        except Exception as error:
            member.conversation.end_with(error)
            step = Step.OTHER
        if step is Step.COMPLETE:
            member.waits = True
            complete.append(member)
        elif step is Step.OTHER:
            self._part_with(member)

    def _part_with_silent(self) -> None:
        now = time.monotonic()
        for fd, _ in self._epoll.poll(0):  # who has said something while this thread was busy is not silent
            if fd in self._members:
                self._members[fd].heard = now
        for member in list(self._members.values()):
            if not member.waits and member.heard < now - self._timeout:
                self._end(member, AssociationTimeout("the peer said nothing for too long"))

    def _part_with_waiting(self) -> None:
        """End those that nobody knows the answer for any more; their peers send again."""
        for member in list(self._members.values()):
            if member.waits:
                self._end(member, AssociationLost("a fault of this side"))

    def _end(self, member: _Member, fault: Exception) -> None:
        member.conversation.end_with(fault)
        self._part_with(member)

    def _part_with(self, member: _Member) -> None:
        if self._members.get(member.fd) is not member or self._members.pop(member.fd, None) is None:
            return  # it is here no more
        with suppress(OSError):
            self._epoll.unregister(member.fd)
        try:
            member.give_back()
        except Exception as error:
            logger.error("an association could not be given back: %s", describe_fault(error))
