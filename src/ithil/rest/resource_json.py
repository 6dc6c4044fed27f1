"""How a patient, study, series or instance looks in JSON: Orthanc's fields, names and formats of tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ithil import error_codes as codes
from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment, Resource
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format, format_values
from ithil.error_codes import CodedError
from ithil.rest.names import DICOM, Names
from ithil.rest.request import RestRequest, words
from ithil.rest.requested_tags import RequestedTags

_MODIFIED_FROM = 5
_ANONYMIZED_FROM = 6

_PARENT_FIELD = ("", "ParentPatient", "ParentStudy", "ParentSeries")
_CHILDREN_FIELD = ("Studies", "Series", "Instances", "")


_FORMATS = (("simplify", Format.SIMPLIFIED), ("short", Format.SHORT), ("full", Format.FULL))


def tag_format(query: Mapping[str, str], default: Format) -> Format:
    """The format that the arguments ask for; the mere presence of one counts, the first of them wins."""
    for name, form in _FORMATS:
        if name in query:
            return form
    return default


class Content(Enum):
    """What the argument `response-content` can select beside `ID` and `Type`."""

    MAIN_TAGS = "MainDicomTags"
    REQUESTED_TAGS = "RequestedTags"
    METADATA = "Metadata"
    STATUS = "Status"
    PARENT = "Parent"
    CHILDREN = "Children"
    LABELS = "Labels"
    ATTACHMENTS = "Attachments"
    IS_STABLE = "IsStable"
    IS_PROTECTED = "IsProtected"


@dataclass(frozen=True, slots=True)
class View:
    """How resources are to be shown; made from the arguments of a request by `view`.

    `content` None means everything that Orthanc shows by default.
    """

    format: Format
    content: frozenset[Content] | None
    requested: RequestedTags

    def shows(self, part: Content) -> bool:
        """Whether a part is to be there that belongs to the default."""
        return self.content is None or part in self.content


def view(request: RestRequest) -> View:
    """Read the arguments `full`, `short`, `simplify`, `response-content` and `requested-tags`.

    Raises CodedError (parameter out of range) for an unknown part, (unknown DICOM tag) for an unknown tag.
    """
    content: frozenset[Content] | None = None
    if "response-content" in request.query:
        try:
            content = frozenset(Content(word) for word in words(request.query, "response-content"))
        except ValueError as error:
            raise CodedError(
                codes.PARAMETER_OUT_OF_RANGE, 'The argument "response-content" has an unknown item'
            ) from error
    names = words(request.query, "requested-tags") or words(request.query, "requestedTags")
    return View(
        tag_format(request.query, Format.SIMPLIFIED),
        content,
        RequestedTags.parse(names, request.context.archive),
    )


def render(archive: Archive, names: Names, resource: Resource, view: View) -> dict[str, Any]:
    """The JSON object of one resource."""
    level = resource.level
    body: dict[str, Any] = {"ID": resource.id, "Type": level.singular}
    if view.shows(Content.PARENT) and level != Level.PATIENT:
        body[_PARENT_FIELD[level]] = resource.parent
    if view.shows(Content.CHILDREN) and level != Level.INSTANCE:
        body[_CHILDREN_FIELD[level]] = resource.children
    if view.shows(Content.MAIN_TAGS):
        body["MainDicomTags"] = format_values(resource.main_tags, view.format)
        if level == Level.STUDY:
            body["PatientMainDicomTags"] = format_values(resource.patient_main_tags, view.format)
    if view.shows(Content.LABELS):
        body["Labels"] = resource.labels
    if view.shows(Content.IS_STABLE) and level != Level.INSTANCE:
        body["IsStable"] = resource.is_stable
    if view.shows(Content.STATUS) and level == Level.SERIES:
        body["Status"] = series_status(archive, resource)
    if view.content is None:
        _add_bookkeeping(resource, body)
    else:
        _add_on_request(names, resource, view.content, body)
    if view.requested and view.shows(Content.REQUESTED_TAGS):
        body["RequestedTags"] = view.requested.of(resource, view.format)
    return body


def _add_bookkeeping(resource: Resource, body: dict[str, Any]) -> None:
    """Fields that repeat metadata and attachments; shown unless `response-content` is used."""
    level = resource.level
    if level != Level.INSTANCE:
        body["LastUpdate"] = resource.last_update
    for number, field in ((_ANONYMIZED_FROM, "AnonymizedFrom"), (_MODIFIED_FROM, "ModifiedFrom")):
        origin = resource.metadata.get(number)
        if origin is not None:
            body[field] = origin.value
    if level == Level.SERIES:
        body["ExpectedNumberOfInstances"] = resource.expected_instances
    if level == Level.INSTANCE:
        file = resource.attachments.get(DICOM)
        if file is not None:
            body["FileSize"] = file.uncompressed_size
            body["FileUuid"] = file.uuid
        body["IndexInSeries"] = resource.index_in_series


def _add_on_request(
    names: Names, resource: Resource, content: frozenset[Content], body: dict[str, Any]
) -> None:
    """Parts that only `response-content` brings."""
    if Content.METADATA in content:
        body["Metadata"] = {
            names.metadata.name(number): entry.value for number, entry in resource.metadata.items()
        }
    if Content.ATTACHMENTS in content:
        body["Attachments"] = [
            attachment_json(resource.attachments[number]) for number in sorted(resource.attachments)
        ]
    if Content.IS_PROTECTED in content and resource.level == Level.PATIENT:
        body["IsProtected"] = resource.is_protected


def attachment_json(attachment: Attachment) -> dict[str, Any]:
    """What is known of a stored file."""
    return {
        "CompressedMD5": attachment.compressed_md5,
        "CompressedSize": attachment.compressed_size,
        "ContentType": attachment.content_type,
        "UncompressedMD5": attachment.uncompressed_md5,
        "UncompressedSize": attachment.uncompressed_size,
        "Uuid": attachment.uuid,
    }


def series_status(archive: Archive, series: Resource) -> str:
    """Whether all instances are there that the series promises: Complete, Missing, Inconsistent or Unknown.

    Each instance should have an index of its own from 1 to the expected number.
    """
    if series.expected_instances is None:
        return "Unknown"
    instances = resources.read_many(archive, Level.INSTANCE, series.children)
    return status_of([instance.index_in_series for instance in instances], series.expected_instances)


def status_of(indexes: Sequence[int | None], expected: int) -> str:
    """The status that follows from the indexes of the instances that are there."""
    if None in indexes:
        return "Unknown"
    seen = set(indexes)
    if len(seen) != len(indexes) or not all(0 < index <= expected for index in seen if index is not None):
        return "Inconsistent"
    return "Complete" if len(seen) == expected else "Missing"


def reference(level: Level, public_id: str) -> dict[str, str]:
    """A resource as other answers point to it."""
    return {"ID": public_id, "Path": f"/{level.plural}/{public_id}", "Type": level.singular}
