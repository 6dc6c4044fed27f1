"""Key-value stores, in which plugins and jobs keep what is theirs beyond a restart and for all processes.

A store comes into being with its first key. There are no routes to it: what is in it belongs to whoever named it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import key_values as rows
from ithil.error_codes import CodedError

LARGEST_VALUE = 256 * 1024 * 1024
"""Bytes of the largest value; it is held in memory as a whole."""

LONGEST_NAME = 1024
"""Characters of the longest name of a store and of the longest key (PostgreSQL indexes 2,700 bytes)."""


def put(archive: Archive, store: str, key: str, value: bytes) -> None:
    """Set the value of a key, durably.

    Raises CodedError (parameter out of range) for an empty or too large value or a name that cannot be
    stored; ReadOnly.
    """
    check_name(store)
    check_name(key)
    check_value(value)
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    archive.index.write(lambda session: rows.put(session, store, key, value))


def get(archive: Archive, store: str, key: str) -> bytes | None:
    """The value of a key, or None."""
    if not (_is_name(store) and _is_name(key)):
        return None
    with archive.index.read() as session:
        return rows.get(session, store, key)


def delete(archive: Archive, store: str, key: str) -> None:
    """Forget a key; one that is not there is no error. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    if _is_name(store) and _is_name(key):
        archive.index.write(lambda session: rows.delete(session, store, key))


def items(archive: Archive, store: str) -> Iterator[tuple[str, bytes]]:
    """All keys and values of a store, in an order of the database's.

    One at a time is in memory. The store may change meanwhile: what is there all the time is given once.
    """
    if not _is_name(store):
        return
    at: str | None = None
    while True:
        with archive.index.read() as session:
            entry = rows.following(session, store, at)
        if entry is None:
            return
        yield entry
        at = entry[0]


def check_name(name: str) -> None:
    """Raises CodedError (parameter out of range) for a name that cannot be stored."""
    if not _is_name(name):
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE,
            f"A name has 1 to {LONGEST_NAME} characters, none of which is NUL",
        )


def check_value(value: bytes) -> None:
    """Raises CodedError (parameter out of range) for a value that cannot be stored."""
    if not value:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "An empty value cannot be stored")
    if len(value) > LARGEST_VALUE:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The value is too large to be stored")


def _is_name(name: str) -> bool:
    if not 0 < len(name) <= LONGEST_NAME or "\0" in name:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in name)  # no text in UTF-8
