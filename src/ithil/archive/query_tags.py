"""Query tags: tags that an operator makes searchable while the server runs, private ones and those in sequences too.

`ExtraMainDicomTags` does something like it in the configuration: it adds to what resources show. A declared tag is
shown nowhere, but found by an index of its own. Its values go into a table (`index/query_tags.py`), for new
instances in the transaction that adds them, for those that are stored by a job. Until that job is done the tag has
the status `Adding`, and searches look for it in files, as for any tag that nobody declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from ithil import error_codes as codes
from ithil.archive import headers, query_tag_values
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.index import jobs
from ithil.archive.index import query_tags as rows
from ithil.archive.index.database import Database
from ithil.archive.index.find_columns import place_of
from ithil.archive.index.ingest import NewInstance
from ithil.archive.index.query_tags import ADDING, QueryTag, Value, path_name
from ithil.archive.index.statement import Row, Session
from ithil.archive.model import Attachment
from ithil.archive.tag_values import COMPUTED
from ithil.dicom.dictionary import is_private, is_private_creator, may_be_signed, parse_tag, tag_vr
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

MOST_TAGS = 128
"""Declared tags of an archive."""

MOST_STEPS = 5
"""Tags in a path: the sequences and what lies in them."""

LEVELS = {level.singular: level for level in (Level.STUDY, Level.SERIES, Level.INSTANCE)}
"""The levels that a tag can be declared for, by their names."""

_LONGEST_CREATOR = 64
_LONGEST_PATH = 256


@dataclass(frozen=True, slots=True)
class Declared:
    """What was declared at some moment, and what ingest therefore looks for in a header.

    The scanner finds plain tags on its way; for others it takes a second, slower look at the header.
    """

    version: str | None  # None: nothing ever was
    tags: tuple[QueryTag, ...]
    scanned: tuple[QueryTag, ...]
    parsed: tuple[QueryTag, ...]
    instance: frozenset[int]  # what the scanner looks for if the series is known
    all: frozenset[int]  # if it is new


_known: WeakKeyDictionary[Database, Declared] = WeakKeyDictionary()


def known(archive: Archive) -> Declared:
    """What this process knows to be declared. It may be old; who relies on it says so to the index."""
    return _known.get(archive.index) or refresh(archive)


def refresh(archive: Archive) -> Declared:
    """What is declared now."""
    with archive.index.read() as session:
        # First the version: it may be older than the tags, and is found to be so, but not the other way round.
        version = rows.version(session)
        tags = tuple(rows.all_tags(session)) if version is not None else ()
    scanned = tuple(tag for tag in tags if query_tag_values.is_scanned(tag))
    parsed = tuple(tag for tag in tags if not query_tag_values.is_scanned(tag))
    plain, main = {tag.path[0] for tag in scanned}, archive.tags_of
    found = Declared(version, tags, scanned, parsed, main.instance | plain, main.all | plain)
    _known[archive.index] = found
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """A declared tag, and how many instances have an unfit value in it."""

    tag: QueryTag
    errors: int


def all_tags(archive: Archive) -> list[Shown]:
    """All declared tags in the order of their declaration."""
    with archive.index.read() as session:
        counts = rows.error_counts(session)
        return [Shown(tag, counts.get(tag.key, 0)) for tag in rows.all_tags(session)]


def find(archive: Archive, path: str) -> Shown:
    """The declared tag with that path (see `parse_path`). Raises CodedError (bad request, unknown resource)."""
    name = path_name(parse_path(path))
    for shown in all_tags(archive):
        if shown.tag.name == name:
            return shown
    raise CodedError(codes.UNKNOWN_RESOURCE, "This tag is not declared as a query tag")


def errors(archive: Archive, tag: QueryTag, offset: int, limit: int) -> list[Row]:
    """(study, series and instance UID, reason, seconds since 1970) of instances with an unfit value."""
    with archive.index.read() as session:
        return rows.errors(session, tag.key, offset, limit)


def parse_path(text: str) -> tuple[int, ...]:
    """The tags of a path: `00101010`, `PatientAge`, `00101002.00100024`. Raises CodedError (bad request)."""
    steps = text.split(".") if len(text) <= _LONGEST_PATH else []
    if not 1 <= len(steps) <= MOST_STEPS:
        raise CodedError(codes.BAD_REQUEST, f"The path of a tag has between 1 and {MOST_STEPS} tags")
    try:
        return tuple(parse_tag(step) for step in steps)
    except ValueError:
        raise CodedError(
            codes.BAD_REQUEST,
            "The path of a tag must be eight hexadecimal digits or a keyword, with dots between several",
        ) from None


def declaration(archive: Archive, path: str, vr: str, level: str, private_creator: str) -> QueryTag:
    """A declaration that makes sense; `vr` may be "" for a tag of the standard.

    Raises CodedError: bad request, or duplicate for what can be searched anyway.
    """
    tags = parse_path(path)
    name = path_name(tags)
    if level not in LEVELS:
        raise CodedError(codes.BAD_REQUEST, f"The level of {name} must be Study, Series or Instance")
    if any(tag >> 16 in (0x0000, 0x0002, 0xFFFE) or tag & 0xFFFF == 0 for tag in tags):
        raise CodedError(codes.BAD_REQUEST, f"{name} is no attribute of a data set")
    if len(private_creator) > _LONGEST_CREATOR or not private_creator.isprintable():
        raise CodedError(codes.BAD_REQUEST, f"The private creator of {name} has at most 64 characters")
    private = [tag for tag in tags if is_private(tag) and not is_private_creator(tag)]
    if private and not private_creator.strip():
        raise CodedError(codes.BAD_REQUEST, f"{name} is private, so it needs its privateCreator")
    if private_creator and not private:
        raise CodedError(codes.BAD_REQUEST, f"{name} is not private, so it has no privateCreator")
    for sequence in tags[:-1]:
        if tag_vr(sequence, private_creator if is_private(sequence) else "") not in ("SQ", "UN"):
            raise CodedError(codes.BAD_REQUEST, f"{sequence:08X} in {name} is no sequence")
    last = tags[-1]
    if len(tags) == 1 and (
        last in COMPUTED or place_of(last, LEVELS[level], archive.tags_of.main) is not None
    ):
        raise CodedError(codes.DUPLICATE_RESOURCE, f"{name} can be searched already")
    return QueryTag(
        0,
        tags,
        private_creator.strip(),
        _checked_vr(name, last, vr, private_creator),
        LEVELS[level],
        ADDING,
        "",
    )


def _checked_vr(name: str, tag: int, vr: str, private_creator: str) -> str:
    standard = tag_vr(tag, private_creator if is_private(tag) and not is_private_creator(tag) else "")
    vr = vr or ("" if standard == "UN" else standard)
    if not vr:
        raise CodedError(codes.BAD_REQUEST, f"{name} is in no dictionary, so it needs its vr")
    is_choice = may_be_signed(tag) and vr in ("US", "SS")
    if standard not in ("UN", vr) and not is_choice and not is_private(tag):
        raise CodedError(codes.BAD_REQUEST, f"The VR of {name} is {standard}")
    if vr not in query_tag_values.VRS:
        allowed = ", ".join(sorted(query_tag_values.VRS))
        raise CodedError(codes.BAD_REQUEST, f"{name} cannot be a query tag; VRs that can are {allowed}")
    return vr


def declare(session: Session, tags: Sequence[QueryTag], now: float) -> None:
    """Write declarations, in a transaction of the caller's. Raises CodedError (duplicate, bad request).

    A tag may be declared again, in the same way, if the job has ended that should have made it ready.
    """
    there = {tag.name: tag for tag in rows.all_tags(session)}
    new = []
    for tag in tags:
        known = there.get(tag.name)
        if known is None:
            new.append(tag)
        elif _is_left_behind(session, known) and replace(known, key=0, operation=tag.operation) == tag:
            rows.set_operation(session, known.key, tag.operation)
        else:
            raise CodedError(codes.DUPLICATE_RESOURCE, f"{tag.name} is a query tag already")
        there[tag.name] = tag
    if len(there) > MOST_TAGS:
        raise CodedError(codes.BAD_REQUEST, f"An archive can have {MOST_TAGS} query tags")
    rows.add(session, new, now)


def _is_left_behind(session: Session, tag: QueryTag) -> bool:
    """Whether a stored declaration waits for a job that failed, was cancelled, or is forgotten."""
    if not tag.key or tag.status != ADDING:
        return False
    state = jobs.state(session, tag.operation)
    return state is None or state[0] in jobs.ENDED


def catch_up(archive: Archive, new: NewInstance, file: Attachment) -> None:
    """Look for the values of all declared tags in an instance that is about to be added; `file` is the stored one.

    Raises StorageUnavailable, IndexUnavailable.
    """
    declared = refresh(archive)
    new.query_values = of_stored(archive, file, new.instance["pixel_data_offset"], declared.tags)
    new.query_version = declared.version


def of_stored(
    archive: Archive, file: Attachment, pixel_data_offset: int | None, tags: Sequence[QueryTag]
) -> tuple[Value, ...]:
    """What a stored file has in the tags; for a file that is damaged or lost, that it cannot be read.

    Raises StorageUnavailable.
    """
    try:
        return query_tag_values.of_dataset(headers.read(archive, file, pixel_data_offset), tags)
    except (DicomError, FileMissing, FileCorrupted):
        return query_tag_values.unreadable(tags)
