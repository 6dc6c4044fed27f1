"""Queues of values, through which plugins and jobs of all processes hand each other work.

There are two ways to take a value. `dequeue` forgets it as it is taken: whoever dies then has lost it.
`reserve` hides it from others for a while, and `acknowledge` forgets it; if that does not come in time the
value is there again for the next. So each reserved value is worked on at least once, and twice at worst.
"""

from __future__ import annotations

from dataclasses import dataclass

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import queues as rows
from ithil.archive.index.statement import Session
from ithil.archive.key_values import check_name, check_value

LONGEST_RESERVATION = 10 * 365 * 86400.0  # seconds


@dataclass(frozen=True, slots=True)
class Reserved:
    """A value that was taken and is to be acknowledged under its number."""

    number: int
    value: bytes


def enqueue(archive: Archive, queue: str, value: bytes) -> None:
    """Append a value, durably. A queue comes into being with its first value.

    Raises CodedError (parameter out of range) for an empty or too large value or a name that cannot be
    stored; ReadOnly.
    """
    check_name(queue)
    check_value(value)
    _refuse_if_read_only(archive)
    archive.index.write(lambda session: rows.put(session, queue, value))


def dequeue(archive: Archive, queue: str, *, back: bool = False) -> bytes | None:
    """Take the oldest value (the newest with `back`) that nobody has reserved; None if there is none.

    Raises CodedError (parameter out of range) for what is no name; ReadOnly.
    """
    check_name(queue)
    _refuse_if_read_only(archive)
    now, _ = clock.now()

    def work(session: Session) -> bytes | None:
        found = rows.following(session, queue, now, back=back)
        if found is None:
            return None
        rows.remove(session, queue, found[0])
        return found[1]

    return archive.index.write(work)


def reserve(archive: Archive, queue: str, timeout: float, *, back: bool = False) -> Reserved | None:
    """Take the oldest value (the newest with `back`) for `timeout` seconds; None if there is none.

    Raises as `dequeue` does.
    """
    check_name(queue)
    _refuse_if_read_only(archive)
    now, _ = clock.now()
    until = now + min(max(0.0, timeout), LONGEST_RESERVATION)

    def work(session: Session) -> Reserved | None:
        found = rows.following(session, queue, now, back=back)
        if found is None:
            return None
        rows.reserve(session, found[0], until)
        return Reserved(*found)

    return archive.index.write(work)


def acknowledge(archive: Archive, queue: str, number: int) -> bool:
    """Forget a value that was reserved; False if it has gone already. Raises as `dequeue` does."""
    check_name(queue)
    _refuse_if_read_only(archive)
    return archive.index.write(lambda session: rows.remove(session, queue, number))


def size(archive: Archive, queue: str) -> int:
    """How many values wait, those that are reserved and not yet acknowledged included.

    Raises CodedError (parameter out of range) for what is no name.
    """
    check_name(queue)
    with archive.index.read() as session:
        return rows.size(session, queue)


def _refuse_if_read_only(archive: Archive) -> None:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
