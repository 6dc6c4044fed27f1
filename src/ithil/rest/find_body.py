"""The body of `/tools/find` and `/tools/count-resources` as a `Query`.

Orthanc names the field in its refusals of these routes and answers a wrong type as a bad request, unlike
elsewhere; its clients know both from there.
"""

from __future__ import annotations

from typing import Any

from ithil import error_codes as codes
from ithil.archive.matching import BadMatch, parse, parse_text
from ithil.archive.names import Names
from ithil.archive.query import (
    MOST_CONSTRAINTS,
    Constraint,
    LabelsConstraint,
    MetadataConstraint,
    Order,
    OrderKind,
    Query,
)
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

Body = dict[str, Any]

_LEVELS = {
    "PATIENT": Level.PATIENT,
    "PATIENTS": Level.PATIENT,
    "STUDY": Level.STUDY,
    "STUDIES": Level.STUDY,
    "SERIES": Level.SERIES,
    "INSTANCE": Level.INSTANCE,
    "INSTANCES": Level.INSTANCE,
    "IMAGE": Level.INSTANCE,
    "IMAGES": Level.INSTANCE,
}
_PARENTS = (
    ("ParentPatient", Level.PATIENT),
    ("ParentStudy", Level.STUDY),
    ("ParentSeries", Level.SERIES),
)
_ORDER_FIELDS = ("Type", "Key", "Direction")
_DIRECTIONS = {"ASC": False, "DESC": True}
_LARGEST = 2**63 - 1


def query_of(body: Body, names: Names, *, open_files: bool) -> Query:
    """The query in a body.

    Raises CodedError: bad request for fields of a wrong type, parameter out of range for values that cannot be,
    unknown DICOM tag.
    """
    case_sensitive = _boolean(body, "CaseSensitive")
    return Query(
        level=level_of(body),
        constraints=_constraints(_object(body, "Query"), case_sensitive),
        metadata=_metadata(body, names, case_sensitive),
        labels=tuple(texts(body, "Labels")),
        labels_constraint=_labels_constraint(body),
        labelled="Labels" in body or "LabelsConstraint" in body,
        parents=tuple((level, text(body, field)) for field, level in _PARENTS if field in body),
        order=_order(body, names),
        since=_count(body, "Since"),
        limit=_count(body, "Limit"),
        open_files=open_files,
    )


def level_of(body: Body) -> Level:
    """The field `Level`. Raises CodedError."""
    level = _LEVELS.get(text(body, "Level").upper())
    if level is None:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'Field "Level" is no level of resources')
    return level


def _constraints(asked: Body, case_sensitive: bool) -> tuple[Constraint, ...]:
    if len(asked) > MOST_CONSTRAINTS:
        raise _out_of_range(f"A search can have {MOST_CONSTRAINTS} constraints")
    found = []
    for name, value in asked.items():
        tag = _tag(name)
        match = _match(lambda value, tag=tag: parse(tag, value), value, "A tag")
        if match is not None:
            found.append(Constraint(tag, match, case_sensitive))
    return tuple(found)


def _metadata(body: Body, names: Names, case_sensitive: bool) -> tuple[MetadataConstraint, ...]:
    asked = {**_object(body, "QueryMetadata"), **_object(body, "MetadataQuery")}
    if len(asked) > MOST_CONSTRAINTS:
        raise _out_of_range(f"A search can have {MOST_CONSTRAINTS} constraints")
    found = []
    for name, value in asked.items():
        number = _metadata_number(name, names)
        match = _match(lambda value: parse_text(value) if value.strip(" \0") else None, value, "Metadata")
        if match is not None:
            found.append(MetadataConstraint(number, match, case_sensitive))
    return tuple(found)


def _match(read: Any, value: Any, what: str) -> Any:
    if not isinstance(value, str):
        raise _bad_request(f"{what} should be associated with a string")
    try:
        return read(value)
    except BadMatch as error:
        raise _out_of_range(str(error)) from error


def _labels_constraint(body: Body) -> LabelsConstraint:
    if "LabelsConstraint" not in body:
        return LabelsConstraint.ALL
    try:
        return LabelsConstraint(text(body, "LabelsConstraint"))
    except ValueError as error:
        raise _out_of_range('Field "LabelsConstraint" should be All, Any or None') from error


def _order(body: Body, names: Names) -> tuple[Order, ...]:
    asked = body.get("OrderBy", [])
    if not isinstance(asked, list):
        raise _bad_request('Field "OrderBy" should be an array')
    return tuple(_order_key(each, names) for each in asked)


def _order_key(asked: Any, names: Names) -> Order:
    if not isinstance(asked, dict) or not all(isinstance(asked.get(field), str) for field in _ORDER_FIELDS):
        raise _bad_request('The items of "OrderBy" should have the strings Type, Key and Direction')
    descending = _DIRECTIONS.get(asked["Direction"].upper())
    if descending is None:
        raise _out_of_range("A direction of sorting is ASC or DESC")
    try:
        kind = OrderKind(asked["Type"])
    except ValueError as error:
        raise _out_of_range("An unknown type of sorting") from error
    by_tag = kind in (OrderKind.TAG, OrderKind.TAG_AS_INT, OrderKind.TAG_AS_FLOAT)
    key = _tag(asked["Key"]) if by_tag else _metadata_number(asked["Key"], names)
    return Order(kind, key, descending)


def _tag(name: str) -> int:
    try:
        return parse_tag(name)
    except ValueError as error:
        raise codes.unknown_tag(name) from error


def _metadata_number(name: str, names: Names) -> int:
    try:
        return names.metadata.number(name)
    except CodedError as error:
        raise _out_of_range("A name of metadata is unknown") from error


# -- fields --------------------------------------------------------------------------------------------------


def text(body: Body, name: str) -> str:
    """A field that is a string without NUL. Raises CodedError (bad request) if it is missing or another."""
    value = body.get(name)
    if not isinstance(value, str):
        raise _bad_request(f'Field "{name}" is missing, or should be a string')
    return value.replace("\0", "")


def texts(body: Body, name: str) -> list[str]:
    """A field that is an array of strings, [] if it is absent. Raises CodedError (bad request)."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _bad_request(f'Field "{name}" should be an array of strings')
    return [item.replace("\0", "") for item in value]


def _boolean(body: Body, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _bad_request(f'Field "{name}" should be a Boolean')
    return value


def _object(body: Body, name: str) -> Body:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise _bad_request(f'Field "{name}" should be a JSON object')
    return value


def _count(body: Body, name: str) -> int:
    value = body.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value > _LARGEST:
        raise _bad_request(f'Field "{name}" should be an integer')
    if value < 0:
        raise _out_of_range(f'Field "{name}" should be a positive integer')
    return value


def _bad_request(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)


def _out_of_range(details: str) -> CodedError:
    return CodedError(codes.PARAMETER_OUT_OF_RANGE, details)
