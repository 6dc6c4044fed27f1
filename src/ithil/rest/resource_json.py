"""How a patient, study, series or instance looks in JSON: Orthanc's fields, names and formats of tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import resources as archived
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment, Resource
from ithil.archive.names import DICOM, Names
from ithil.archive.query import Part
from ithil.dicom.dictionary import format_tag, tag_name
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format, format_values
from ithil.error_codes import CodedError
from ithil.http.request import Request, words
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
    with_metadata: bool = False  # beside the default

    def shows(self, part: Content) -> bool:
        """Whether a part is to be there that belongs to the default."""
        return self.content is None or part in self.content

    def tag_names(self) -> TagNames | None:
        """What reads the main tags as they are shown, if nothing else is to be known of them."""
        return None if self.requested or self.format is Format.FULL else TagNames(self.format)

    def parts(self, level: Level) -> Part:
        """What has to be read of each resource of the level beside its own row."""
        parts = Part(0)
        if self.shows(Content.CHILDREN) and level != Level.INSTANCE:
            parts |= Part.CHILDREN
        if self.shows(Content.LABELS):
            parts |= Part.LABELS
        if self.with_metadata or (self.content is not None and Content.METADATA in self.content):
            parts |= Part.METADATA  # AnonymizedFrom and ModifiedFrom are in the row
        if self.content is not None and Content.ATTACHMENTS in self.content:
            parts |= Part.ATTACHMENTS
        return parts


def contents(words: Iterable[str]) -> frozenset[Content]:
    """The parts with these names. Raises CodedError (parameter out of range) for an unknown one."""
    try:
        return frozenset(Content(word) for word in words)
    except ValueError as error:
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE, "The parts that an answer is to have include an unknown one"
        ) from error


def view(request: Request) -> View:
    """Read the arguments `full`, `short`, `simplify`, `response-content` and `requested-tags`.

    Raises CodedError (parameter out of range) for an unknown part, (unknown DICOM tag) for an unknown tag.
    """
    content: frozenset[Content] | None = None
    if "response-content" in request.query:
        content = contents(words(request.query, "response-content"))
    names = words(request.query, "requested-tags") or words(request.query, "requestedTags")
    return View(
        tag_format(request.query, Format.SIMPLIFIED),
        content,
        RequestedTags.parse(names, request.context.archive),
    )


def render(archive: Archive, names: Names, resource: Resource, view: View) -> dict[str, Any]:
    """The JSON object of one resource."""
    return render_many(archive, names, resource.level, [resource], view)[0]


def render_many(
    archive: Archive,
    names: Names,
    level: Level,
    resources: Sequence[Resource],
    view: View,
    *,
    named: bool = False,
) -> list[dict[str, Any]]:
    """The JSON objects of resources of one level; what must be looked up is looked up for all of them.

    With `named` their main tags were made by the `TagNames` of the view already.
    """
    shape = _Shape(names, level, view, named=named)
    bodies = [shape.render(resource) for resource in resources]
    if level == Level.SERIES and view.shows(Content.STATUS):
        for body, status in zip(bodies, _statuses(archive, resources), strict=True):
            body["Status"] = status
    if view.requested and view.shows(Content.REQUESTED_TAGS):
        found = view.requested.of(level, resources, view.format)
        for body, tags in zip(bodies, found, strict=True):
            body["RequestedTags"] = tags
    return bodies


class TagNames(dict[str, str]):
    """How a list shows the main tags of thousands of resources, which share a few dozen tags.

    A function from the JSON of the index to what a client sees, for `archive.find.resources`; each name is
    looked up once.
    """

    def __init__(self, form: Format) -> None:
        super().__init__()
        self._name = format_tag if form is Format.SHORT else tag_name

    def __missing__(self, key: str) -> str:
        name = self[key] = self._name(int(key, 16))
        return name

    def __call__(self, text: str) -> dict[str, str]:
        return {self[key]: value for key, value in orjson.loads(text).items()}


class _Shape:
    """What a view shows of a level, decided once for a batch of resources."""

    def __init__(self, names: Names, level: Level, view: View, *, named: bool) -> None:
        self._names = names
        self._level = level
        self._view = view
        self._type = level.singular
        self._parent = _PARENT_FIELD[level] if view.shows(Content.PARENT) else ""
        self._children = _CHILDREN_FIELD[level] if view.shows(Content.CHILDREN) else ""
        self._main_tags = view.shows(Content.MAIN_TAGS)
        self._labels = view.shows(Content.LABELS)
        self._is_stable = view.shows(Content.IS_STABLE) and level != Level.INSTANCE
        self._named = named

    def render(self, resource: Resource) -> dict[str, Any]:
        """The fields that need nothing but the resource."""
        body: dict[str, Any] = {"ID": resource.id, "Type": self._type}
        if self._parent:
            body[self._parent] = resource.parent
        if self._children:
            body[self._children] = resource.children
        if self._main_tags:
            body["MainDicomTags"] = self._tags(resource.main_tags)
            if self._level == Level.STUDY:
                body["PatientMainDicomTags"] = self._tags(resource.patient_main_tags)
        if self._labels:
            body["Labels"] = resource.labels
        if self._is_stable:
            body["IsStable"] = resource.is_stable
        if self._view.content is None:
            _add_bookkeeping(resource, body)
        else:
            _add_on_request(self._names, resource, self._view.content, body)
        if self._view.with_metadata:
            body["Metadata"] = _metadata(self._names, resource)
        return body

    def _tags(self, tags: dict[int, str]) -> dict[Any, Any]:
        return tags if self._named else format_values(tags, self._view.format)


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
        body["Metadata"] = _metadata(names, resource)
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


def _metadata(names: Names, resource: Resource) -> dict[str, str]:
    return {names.metadata.name(number): entry.value for number, entry in resource.metadata.items()}


def _statuses(archive: Archive, series: Sequence[Resource]) -> list[str]:
    """Whether all instances are there that each series promises: Complete, Missing, Inconsistent or Unknown."""
    promised = [one.id for one in series if one.expected_instances is not None]
    indexes = archived.indexes_in_series(archive, promised) if promised else {}
    return [
        "Unknown" if one.expected_instances is None else status_of(indexes[one.id], one.expected_instances)
        for one in series
    ]


def status_of(indexes: Sequence[int | None], expected: int) -> str:
    """The status of a series, from the indexes of the instances that are there.

    Each instance should have an index of its own from 1 to the expected number.
    """
    if None in indexes:
        return "Unknown"
    seen = set(indexes)
    if len(seen) != len(indexes) or not all(0 < index <= expected for index in seen if index is not None):
        return "Inconsistent"
    return "Complete" if len(seen) == expected else "Missing"


def reference(level: Level, public_id: str) -> dict[str, str]:
    """A resource as other answers point to it."""
    return {"ID": public_id, "Path": f"/{level.plural}/{public_id}", "Type": level.singular}
