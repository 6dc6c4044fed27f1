"""Which resources an archive holds: the ids that a client named, as a tree.

A client may name resources of all levels in one list, and the same one twice, directly or by its parents.
The tree has each resource once; whoever is named whole swallows what is named below it. Only rows of named
resources are in memory, what lies below a whole one is read while the archive is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.dicom.level import Level
from ithil.error_codes import CodedError


@dataclass(slots=True)
class Node:
    """A resource that is in the archive, whole or with those of its children that `below` has.

    `id` is the one of the index, and children are in the order in which they were named.
    """

    level: Level
    id: int
    public_id: str
    whole: bool = False
    below: dict[int, Node] = field(default_factory=dict)


Selection = dict[int, Node]
"""Patients by their id in the index."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much a selection is: instances, and the bytes of their files before any compression."""

    instances: int = 0
    size: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.instances + other.instances, self.size + other.size)


def _chain(level: Level) -> Statement:
    """The ids of a resource and of all above it, from the patient down."""
    source: Any = t.BY_LEVEL[level]
    for number in range(level, 0, -1):
        table, above = t.BY_LEVEL[number], t.BY_LEVEL[number - 1]
        source = sa.join(source, above, table.c[t.PARENT_COLUMN[number]] == above.c.id)
    columns: list[Any] = []
    for number in range(level + 1):
        columns += [t.BY_LEVEL[number].c.id, t.BY_LEVEL[number].c.public_id]
    return Statement(
        sa.select(*columns)
        .select_from(source)
        .where(t.BY_LEVEL[level].c.public_id == sa.bindparam("public_id"))
    )


def _totals(level: Level) -> Statement:
    """Number and size of the instances below a resource."""
    i = t.instances.c
    source: Any = t.instances
    for number in range(Level.INSTANCE, level + 1, -1):
        table, above = t.BY_LEVEL[number], t.BY_LEVEL[number - 1]
        source = sa.join(source, above, table.c[t.PARENT_COLUMN[number]] == above.c.id)
    key = i.id if level == Level.INSTANCE else t.BY_LEVEL[level + 1].c[t.PARENT_COLUMN[level + 1]]
    size = sa.cast(sa.func.coalesce(sa.func.sum(i.file_size), 0), sa.BigInteger)
    return Statement(sa.select(sa.func.count(), size).select_from(source).where(key == sa.bindparam("id")))


_CHAINS = tuple(_chain(level) for level in Level)
_TOTALS = tuple(_totals(level) for level in Level)


def select(
    archive: Archive, public_ids: Sequence[str], *, level: Level | None = None, lenient: bool = False
) -> Selection:
    """The tree of the resources with these public ids; with `level` they must be of that level.

    Raises CodedError (unknown resource) for one that is not there; `lenient` passes over it instead.
    """
    selection: Selection = {}
    with archive.index.read() as session:
        for public_id in public_ids:
            chain = _find(session, public_id, (level,) if level is not None else tuple(Level))
            if chain is not None:
                _add(selection, chain)
            elif not lenient:
                raise CodedError(codes.UNKNOWN_RESOURCE)
    return selection


def _find(session: Session, public_id: str, levels: Sequence[Level]) -> tuple[Any, ...] | None:
    if "\0" in public_id:
        return None
    for level in levels:
        row = session.one(_CHAINS[level], {"public_id": public_id})
        if row is not None:
            return tuple(row)
    return None


def _add(selection: Selection, chain: tuple[Any, ...]) -> None:
    nodes = selection
    last = len(chain) // 2 - 1
    for number in range(last + 1):
        key, public_id = chain[2 * number], chain[2 * number + 1]
        node = nodes.get(key)
        if node is None:
            node = nodes[key] = Node(Level(number), key, public_id)
        if node.whole:
            return
        if number == last:
            node.whole = True
            node.below = {}
        nodes = node.below


def totals(archive: Archive, selection: Selection) -> Totals:
    """How much a selection is at this moment."""
    result = Totals()
    with archive.index.read() as session:
        waiting = list(selection.values())
        while waiting:
            node = waiting.pop()
            if node.whole:
                row = session.one(_TOTALS[node.level], {"id": node.id})
                assert row is not None
                result += Totals(*row)
            else:
                waiting += node.below.values()
    return result
