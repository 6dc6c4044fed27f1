"""The ways of C-FIND that keep nothing: `/modalities/{id}/find-worklist`, and the old `find`, `find-patient` etc.

The old ones ask for all main tags of their level that belong to its module. `find` goes down from the patients
to their series with a query each, so it is only fit for few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ithil import error_codes as codes
from ithil.archive import headers
from ithil.archive.archive import Archive
from ithil.dicom import dataset, modules
from ithil.dicom.dataset import Dataset
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.dicom.main_tags import MAIN_TAGS, PATIENT_ID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.dicom.tags_format import Format, format_dataset
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Field, Route
from ithil.rest import modality_body as read
from ithil.rest.find import body_format
from ithil.rest.listing import listed
from ithil.rest.modalities import modality_of
from ithil.services.query_keys import MOST_KEYS, UNIQUE_KEYS, query_keys
from ithil.services.query_user import find, find_worklist
from ithil.settings import Modality

MOST_NESTED = 10_000
"""Answers of one query of `find`, which is in memory while the next ones are asked."""

_BATCH = 100
_FORMAT_FIELDS = ("Full", "Short", "Simplify")
_FORMATS = (
    Field("Full", "boolean", "Show tags with their names and types"),
    Field("Short", "boolean", "Show tags as gggg,eeee"),
    Field("Simplify", "boolean", "Show tags by name; so if none of these is there"),
)
_NEEDED = {
    Level.PATIENT: (),
    Level.STUDY: (PATIENT_ID,),
    Level.SERIES: (PATIENT_ID, STUDY_INSTANCE_UID),
    Level.INSTANCE: (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
}
_BELOW = {Level.PATIENT: (Level.STUDY, "Studies"), Level.STUDY: (Level.SERIES, "Series")}


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/modalities/{id}"
    old = "application/json"
    table = [
        Route(
            "POST",
            f"{one}/find-worklist",
            post_worklist,
            "Send C-FIND to the worklist of the modality; the body may also be the query itself",
            body=(Field("Query", "object", "Values by tag; arrays of objects for sequences"), *_FORMATS),
        ),
        Route("POST", f"{one}/find", post_find, "Patients of the modality with studies and series", body=old),
    ]
    table += [
        Route(
            "POST",
            f"{one}/find-{level.singular.lower()}",
            finder(level),
            f"What the modality has at the {level.singular.lower()} level; better use /query",
            body=old,
        )
        for level in Level
    ]
    return table


def post_worklist(request: Request) -> Answer:
    """`POST /modalities/{id}/find-worklist`."""
    modality = modality_of(request)
    body = read.json_object(request)
    form = Format.SIMPLIFIED
    asked: Any = body
    if "Query" in body:
        form = body_format(body)
        asked = body["Query"]
    elif any(name in body for name in _FORMAT_FIELDS):
        form = body_format(body)
        asked = {name: value for name, value in body.items() if name not in _FORMAT_FIELDS}
    if not isinstance(asked, dict) or len(asked) > MOST_KEYS:
        raise read.bad("The query must be a JSON object of DICOM tags")
    keys = {read.tag(name): value for name, value in asked.items()}
    archive = request.context.archive
    found = find_worklist(archive, modality, keys)
    shown = (shown_answer(archive, syntax, content, form) for syntax, content in found)
    return listed(request, _batches(shown))


def finder(level: Level) -> Callable[[Request], Answer]:
    """`POST /modalities/{id}/find-{level}`: 400 without a body unless all keys of the levels above are there."""

    def handle(request: Request) -> Answer:
        modality = modality_of(request)
        keys = _keys(request)
        if keys is None or any(not keys.get(tag) for tag in _NEEDED[level]):
            return Answer(status=400)
        return listed(request, _batches(_found(request.context.archive, modality, level, keys)))

    return handle


def post_find(request: Request) -> Answer:
    """`POST /modalities/{id}/find`."""
    modality = modality_of(request)
    keys = _keys(request)
    if keys is None:
        return Answer(status=400)
    archive = request.context.archive
    return answers.json(request, list(_nested(archive, modality, Level.PATIENT, keys)))


def _keys(request: Request) -> dict[int, str] | None:
    """The body, None if it is no JSON object. Raises CodedError (unknown DICOM tag)."""
    try:
        body = read.json_object(request)
    except CodedError:
        return None
    return read.keys(body, codes.UNKNOWN_DICOM_TAG)


def _nested(
    archive: Archive, modality: Modality, level: Level, keys: dict[int, str]
) -> Iterator[dict[str, Any]]:
    below = _BELOW.get(level)
    # All at once: a modality that waits until others are asked may give up.
    for answer in list(_found(archive, modality, level, keys, MOST_NESTED)):
        if below is not None:
            next_level, name = below
            above = {**{tag: keys[tag] for tag in _NEEDED[level]}, UNIQUE_KEYS[level]: _value(answer, level)}
            if all(above.values()):
                answer[name] = list(_nested(archive, modality, next_level, above))
        yield answer


def _value(answer: dict[str, Any], level: Level) -> str:
    name = "PatientID" if level == Level.PATIENT else "StudyInstanceUID"
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _found(
    archive: Archive,
    modality: Modality,
    level: Level,
    keys: dict[int, str],
    most: int | None = None,
) -> Iterator[dict[str, Any]]:
    every = {tag: "" for tag in MAIN_TAGS[level] if tag in modules.OF_LEVEL[level]}
    sent = query_keys(level, {**every, **keys}, modality, normalise=True)
    found = (
        find(archive, modality, level, sent)
        if most is None
        else find(archive, modality, level, sent, most=most)
    )
    for syntax, content in found:
        yield shown_answer(archive, syntax, content, Format.SIMPLIFIED)


def parsed_answer(archive: Archive, syntax: str, content: bytes) -> Dataset:
    """The data set of an answer. Raises CodedError (network protocol) for what is none."""
    try:
        return dataset.parse(
            content,
            stop_at_pixel_data=False,
            limits=headers.limits(archive),
            transfer_syntax=syntax,
            default_encoding=archive.default_encoding,
        )
    except DicomError as error:
        raise CodedError(
            codes.NETWORK_PROTOCOL, "The modality has sent an answer that is no data set"
        ) from error


def shown_answer(archive: Archive, syntax: str, content: bytes, form: Format) -> dict[str, Any]:
    """An answer as clients see it. Raises CodedError (network protocol)."""
    return format_dataset(parsed_answer(archive, syntax, content), form, maximum_length=None)


def _batches(items: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for item in items:
        batch.append(item)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
