"""The change feed, `/changefeed` and `/changefeed/latest`, as the second version of Microsoft's DICOM service has it.

What is ours is `since`: a reader gives the number of the last entry it has seen, and goes on behind it however
many entries were added or forgotten meanwhile. An offset counts from the beginning each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from ithil import error_codes as codes
from ithil.archive import change_feed, headers
from ithil.archive.archive import Archive
from ithil.archive.bulk_data import bulk_data_uris, instance_path
from ithil.archive.change_feed import ACTIONS, Entry, State
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.dicom.errors import DicomError
from ithil.dicom.json_model import to_object
from ithil.dicomweb.links import service_root
from ithil.error_codes import CodedError
from ithil.http.answers import JSON, Answer, Stream
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route

DEFAULT_LIMIT = 100
MOST_WITH_METADATA = 200
MOST_ENTRIES = 10_000

_INCLUDE_METADATA = Parameter(
    "includeMetadata", "Whether entries of stored instances have the DICOM JSON of it, true by default"
)
_TYPE = Parameter("type", "Only these actions, with commas between them: create, update, delete")


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/changefeed",
            get_feed,
            "What happened to instances, in order",
            (
                Parameter("since", "The sequence number of the last entry that is known already"),
                Parameter(
                    "startTime", "Only entries of this time or later (ISO 8601, UTC if it has no zone)"
                ),
                Parameter("endTime", "Only entries of times before this"),
                Parameter(
                    "limit", "How many entries, 100 by default; 200 at most, or 10000 without metadata"
                ),
                Parameter("offset", "How many entries to leave out"),
                _TYPE,
                _INCLUDE_METADATA,
            ),
            cacheable=True,
        ),
        Route(
            "GET",
            "/changefeed/latest",
            get_latest,
            "What happened last; 204 if nothing ever did",
            (_TYPE, _INCLUDE_METADATA),
            cacheable=True,
        ),
    ]


def get_feed(request: Request) -> Answer:
    """`GET /changefeed`. Raises CodedError (bad request) for arguments that say nothing."""
    query = {name.lower(): value for name, value in request.query.items()}
    metadata = _boolean(query, "includeMetadata", True)
    limit = _integer(query, "limit", DEFAULT_LIMIT)
    most = MOST_WITH_METADATA if metadata else MOST_ENTRIES
    if not 1 <= limit <= most:
        raise CodedError(codes.BAD_REQUEST, f'The argument "limit" must be between 1 and {most}')
    found = change_feed.page(
        request.context.archive,
        since=_integer(query, "since", 0),
        offset=_integer(query, "offset", 0),
        limit=limit,
        start=_moment(query, "startTime"),
        end=_moment(query, "endTime"),
        actions=_actions(query),
    )
    root = service_root(request)
    pieces = _array(request.context.archive, root, found, metadata)
    # Without metadata it is small, and then it is kept for all who poll.
    answer = Answer(Stream(pieces) if metadata else b"".join(pieces), JSON)
    if len(found) == limit:
        following = {name: value for name, value in request.query.items() if name.lower() not in _PASSED}
        following["since"] = str(found[-1].sequence)
        answer.headers["Link"] = f'<{root}/changefeed?{urlencode(following)}>; rel="next"'
    return answer


_PASSED = ("since", "offset")


def get_latest(request: Request) -> Answer:
    """`GET /changefeed/latest`."""
    query = {name.lower(): value for name, value in request.query.items()}
    metadata = _boolean(query, "includeMetadata", True)
    found = change_feed.latest(request.context.archive, _actions(query))
    if found is None:
        return Answer(status=204)
    return Answer(_json(request.context.archive, service_root(request), found, metadata), JSON)


def _array(archive: Archive, root: str, entries: list[Entry], metadata: bool) -> Iterator[bytes]:
    separator = b"["
    for entry in entries:
        yield separator + _json(archive, root, entry, metadata)
        separator = b",\n"
    yield b"]" if entries else b"[]"


def _json(archive: Archive, root: str, entry: Entry, metadata: bool) -> bytes:
    shown: dict[str, Any] = {
        "sequence": entry.sequence,
        "studyInstanceUid": entry.study,
        "seriesInstanceUid": entry.series,
        "sopInstanceUid": entry.instance,
        "action": entry.action,
        "timestamp": entry.timestamp,
        "state": entry.state.value,
    }
    if metadata and entry.state is State.CURRENT:
        found = _metadata(archive, root, entry)
        if found is not None:
            shown["metadata"] = found
    return orjson.dumps(shown)


def _metadata(archive: Archive, root: str, entry: Entry) -> dict[str, Any] | None:
    """The header of a stored instance in DICOM JSON; None if it was deleted just now, is lost or damaged.

    One such file must not keep a reader from ever getting past its entry. Raises StorageUnavailable: what can be
    read again soon must not be missed for ever.
    """
    address = root + instance_path(entry.study, entry.series, entry.instance)
    uris = bulk_data_uris(address, archive.settings.dicom_web.other_binary_mode)
    try:
        for _, dataset in headers.read_many(archive, [entry.instance_id]):
            return to_object(dataset, uris)
    except (FileMissing, FileCorrupted, DicomError):
        return None
    return None


def _boolean(query: dict[str, str], name: str, default: bool) -> bool:
    text = query.get(name.lower(), "").lower()
    if text in ("", "true", "1", "false", "0"):
        return default if not text else text in ("true", "1")
    raise CodedError(codes.BAD_REQUEST, f'The argument "{name}" must be true or false')


def _integer(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise CodedError(codes.BAD_REQUEST, f'The argument "{name}" must be a number that is not negative')
    return int(text)


def _moment(query: dict[str, str], name: str) -> datetime | None:
    text = query.get(name.lower(), "").strip()
    if not text:
        return None
    try:
        # A plus sign that was not escaped has become a blank.
        return datetime.fromisoformat(text[:11] + text[11:].replace(" ", "+"))
    except ValueError:
        raise CodedError(
            codes.BAD_REQUEST, f'The argument "{name}" must be a time such as 2026-11-22T08:44:00Z'
        ) from None


def _actions(query: dict[str, str]) -> list[str]:
    wanted = [word for word in query.get("type", "").lower().replace(";", ",").split(",") if word]
    if not all(word in ACTIONS for word in wanted):
        raise CodedError(codes.BAD_REQUEST, 'The argument "type" must name create, update or delete')
    return wanted or list(ACTIONS)
