"""A search, as C-FIND, QIDO-RS, `/tools/find` and the lists of the REST API put it to the archive.

It is plain data: the skins translate their requests into a `Query`, `archive.find` answers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, StrEnum, auto

from ithil.archive.matching import Match, Question, Range
from ithil.dicom.level import Level

MOST_CONSTRAINTS = 100  # of each kind in one query; SQL has limits too
MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a tag must be like.

    A tag of a level above the searched one is that of the resource above; one of a level below must match in
    some resource below, the same one for all such constraints. Tags that follow from what is stored
    (`ModalitiesInStudy`, `NumberOfStudyRelatedInstances` and their like) can be asked for as any other.
    A tag that no level remembers is looked up in the file of one instance, and so are the items of a sequence.
    """

    tag: int
    match: Question
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A range of moments that two tags tell together: date and time of a study, a series or an instance.

    Combined date-time matching (PS3.4 C.2.2.2.5.3): from the first time on the first day until the last time
    on the last day. Both tags are main tags of one level.
    """

    date: int
    time: int
    dates: Range
    times: Range


@dataclass(frozen=True, slots=True)
class MetadataConstraint:
    """What a resource's metadata of that number must be like; without it the resource does not match."""

    number: int
    match: Match
    case_sensitive: bool = False


class LabelsConstraint(StrEnum):
    """Which of the labels of a query a resource must have."""

    ALL = "All"
    ANY = "Any"
    NONE = "None"


class OrderKind(Enum):
    """By what kind of value to sort, and how to read it."""

    TAG = "DicomTag"
    TAG_AS_INT = "DicomTagAsInt"
    TAG_AS_FLOAT = "DicomTagAsFloat"
    METADATA = "Metadata"
    METADATA_AS_INT = "MetadataAsInt"
    METADATA_AS_FLOAT = "MetadataAsFloat"


@dataclass(frozen=True, slots=True)
class Order:
    """One key to sort by: a tag at the searched level or above, or a number of metadata.

    Resources without a value come last in either direction.
    """

    kind: OrderKind
    key: int
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which resources of a level, in what order, and which part of them.

    Without `labels`, `NONE` asks for resources that have no label at all, if `labelled` says that labels are
    asked for; the other two ask for nothing then. `parents` are public ids of resources above. Resources come
    in order of arrival, or with `newest_first` in the opposite one, unless `order` says otherwise. `limit` 0 means
    all.

    `open_files` lets the search read stored files for tags that the index does not know; without it such a
    constraint matches nothing.
    """

    level: Level
    constraints: tuple[Constraint, ...] = ()
    moments: tuple[Moment, ...] = ()
    metadata: tuple[MetadataConstraint, ...] = ()
    labels: tuple[str, ...] = ()
    labels_constraint: LabelsConstraint = LabelsConstraint.ALL
    labelled: bool = False
    parents: tuple[tuple[Level, str], ...] = ()
    order: tuple[Order, ...] = ()
    since: int = 0
    limit: int = 0
    open_files: bool = True
    newest_first: bool = False


class Part(Flag):
    """What hangs on a resource beside its own row, each a statement of its own."""

    CHILDREN = auto()
    ATTACHMENTS = auto()
    METADATA = auto()  # that can change; what ingest knew for good is in the row itself
    LABELS = auto()


EVERYTHING = Part.CHILDREN | Part.ATTACHMENTS | Part.METADATA | Part.LABELS


class BadQuery(ValueError):
    """A query that cannot be asked; the message says why and quotes no value."""
