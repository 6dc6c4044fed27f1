"""What the bodies of requests and answers are, by the form of the path: for lines of the table that do not say.

Many routes come in families (of the four levels, of attachments, of jobs), and what one of them takes and
gives all of them do. What a line says itself wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ithil.http.answers import BINARY, TEXT
from ithil.http.routing import JSON, Field, Route

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
ZIP = "application/zip"
ANY = "*/*"

Body = str | tuple[Field, ...] | None

_JOB = (
    Field("Synchronous", "boolean", "Answer when the job is done"),
    Field("Asynchronous", "boolean", "Answer at once with the job's identifier"),
    Field("Priority", "integer", "Jobs of a higher one run first"),
    Field("UserData", "string|number|boolean|object|array|null", "Anything, which stays with the job"),
)
_PERMISSIVE = Field("Permissive", "boolean", "Go on where one instance fails")
_TRANSCODE = (
    Field("Transcode", "string", "The UID of the transfer syntax to give the instances"),
    Field("LossyQuality", "integer", "From 1 to 100, for lossy transfer syntaxes"),
)
_RESOURCES = Field("Resources", "array", "Public identifiers of patients, studies, series or instances")
_FORMAT = (
    Field("Full", "boolean", "Tags as gggg,eeee with name and type"),
    Field("Short", "boolean", "Tags as gggg,eeee"),
    Field("Simplify", "boolean", "Tags by name (the default)"),
)
_REPLACE = Field("Replace", "object", "New values by tag")
_REMOVE = Field("Remove", "array", "Tags to remove")
_KEEP = Field("Keep", "array", "Tags to leave as they are")
_FORCE = Field("Force", "boolean", "Allow what changes identifiers")
_KEEP_SOURCE = Field("KeepSource", "boolean", "Leave the original")
_KEEP_LABELS = Field("KeepLabels", "boolean", "Copy the labels")
_CREATOR = Field("PrivateCreator", "string", "The creator of the private tags that are named")

_MODIFY = (
    _REPLACE,
    _REMOVE,
    _KEEP,
    Field("RemovePrivateTags", "boolean", "Remove all private tags"),
    _FORCE,
    _CREATOR,
    *_TRANSCODE,
)
_ANONYMIZE = (
    _REPLACE,
    _REMOVE,
    _KEEP,
    Field("KeepPrivateTags", "boolean", "Leave private tags"),
    _FORCE,
    Field("DicomVersion", "string", "Which edition of the confidentiality profile"),
    _CREATOR,
    *_TRANSCODE,
)
_AS_JOB = (_KEEP_SOURCE, _KEEP_LABELS, _PERMISSIVE, *_JOB)
_QUERY = (
    Field("Level", "string", "Patient, Study, Series or Instance", required=True),
    Field(
        "Query", "object", "Wanted values by tag: wildcards, lists between backslashes, ranges", required=True
    ),
    Field("CaseSensitive", "boolean", "Tell capitals from small letters"),
    Field("Labels", "array", "Wanted labels"),
    Field("LabelsConstraint", "string", "All, Any or None of them"),
    Field("MetadataQuery", "object", "Wanted values by metadata"),
    Field("ParentPatient", "string", "Only below this one"),
    Field("ParentStudy", "string", "Only below this one"),
    Field("ParentSeries", "string", "Only below this one"),
)
_FIND = (
    *_QUERY,
    Field("Expand", "boolean", "Show resources instead of their identifiers"),
    Field("Since", "integer", "How many to pass over"),
    Field("Limit", "integer", "How many to show at most"),
    Field("OrderBy", "array", "How to sort: objects with Type, Key and Direction"),
    Field("RequestedTags", "array", "More tags to show"),
    Field("ResponseContent", "array", "Parts to show instead of the usual ones"),
    *_FORMAT,
)
_ARCHIVE = (*_TRANSCODE, Field("Filename", "string", "The proposed name of the file"), *_JOB)
_RECONSTRUCT = (
    Field("ReconstructFiles", "boolean", "Write the files anew as well"),
    Field("LimitToThisLevelMainDicomTags", "boolean", "Only the main tags of this level"),
)
_CREATE = (
    Field("Tags", "object", "Values by tag"),
    Field("Content", "string|array", "A data URI with an image or a document, or several"),
    Field("Parent", "string", "The public identifier of the patient, study or series to add to"),
    Field("InterpretBinaryTags", "boolean", "Read data URIs in tags as bytes"),
    _CREATOR,
    _FORCE,
    Field("Encapsulate", "boolean", "Keep a JPEG as it is"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What routes of `methods` whose whole path matches `path` take and give."""

    methods: str
    path: str
    answers: str | tuple[str, ...] = JSON
    body: Body = None
    ranges: bool = False

    def fits(self, route: Route) -> bool:
        """Whether the route is one of these."""
        return route.method in self.methods.split() and re.fullmatch(self.path, route.path) is not None


_PSS = "/(patients|studies|series)/{id}"
_ANY_LEVEL = "/(patients|studies|series|instances)/{id}"
_ATTACHMENT = _ANY_LEVEL + "/attachments/{name}"

KINDS = (
    Kind("GET", "/tools/(now|now-local|generate-uid)", TEXT),
    Kind("POST", "/tools/lookup", body=TEXT),
    Kind("POST", "/tools/find", body=_FIND),
    Kind("POST", "/tools/count-resources", body=_QUERY),
    Kind(
        "POST",
        "/tools/bulk-content",
        body=(
            _RESOURCES,
            Field("Level", "string", "Only that level"),
            Field("Metadata", "boolean", "Show it"),
            *_FORMAT,
        ),
    ),
    Kind("POST", "/tools/bulk-delete", body=(_RESOURCES,)),
    Kind("POST", "/tools/bulk-modify", body=(_RESOURCES, *_MODIFY, *_AS_JOB)),
    Kind("POST", "/tools/bulk-anonymize", body=(_RESOURCES, *_ANONYMIZE, *_AS_JOB)),
    Kind("POST", "/tools/create-dicom", body=_CREATE),
    Kind("POST", "/tools/create-.*", (ZIP, JSON), (_RESOURCES, *_ARCHIVE)),
    Kind("GET", "/tools/create-.*", ZIP),
    Kind("GET", f"{_PSS}/(archive|media)", ZIP),
    Kind("POST", f"{_PSS}/(archive|media)", (ZIP, JSON), _ARCHIVE),
    Kind("POST", "/instances/{id}/modify", DICOM, _MODIFY),
    Kind("POST", "/instances/{id}/anonymize", DICOM, _ANONYMIZE),
    Kind("POST", f"{_PSS}/modify", body=(*_MODIFY, *_AS_JOB)),
    Kind("POST", f"{_PSS}/anonymize", body=(*_ANONYMIZE, *_AS_JOB)),
    Kind(
        "POST",
        "/studies/{id}/split",
        body=(
            Field("Series", "array", "Series to move"),
            Field("Instances", "array", "Instances to move"),
            _REPLACE,
            _REMOVE,
            *_AS_JOB,
        ),
    ),
    Kind("POST", "/studies/{id}/merge", body=(_RESOURCES, *_AS_JOB)),
    Kind("POST", "(/tools|" + _ANY_LEVEL + ")/reconstruct", (TEXT, JSON), _RECONSTRUCT),
    Kind("POST", "/tools/invalidate-tags", (TEXT, JSON)),
    Kind("GET PUT", "/patients/{id}/protected", TEXT, TEXT),
    Kind("POST", "/instances", JSON, DICOM),
    Kind("GET", "/instances/{id}/file", (DICOM, DICOM_JSON, DICOM_XML)),
    Kind("GET", "/instances/{id}/content/{path:path}", (JSON, BINARY)),
    Kind("GET", f"{_ATTACHMENT}/(data|compressed-data)", ANY, ranges=True),
    Kind("GET", f"{_ATTACHMENT}/(.*size|.*md5|is-compressed|uuid)", TEXT),
    Kind("PUT", _ATTACHMENT, JSON, BINARY),
    Kind("DELETE", _ATTACHMENT, (TEXT, JSON)),
    Kind("GET PUT DELETE", _ANY_LEVEL + "/metadata/{name}", TEXT, TEXT),
    Kind("GET PUT DELETE", _ANY_LEVEL + "/labels/{label}", (TEXT, JSON), TEXT),
    Kind("DELETE", "/(changes|exports)", TEXT),
    Kind("GET", "/jobs/{id}/{key}", ANY, ranges=True),
    Kind("DELETE", "/jobs/{id}/{key}", (TEXT, JSON)),
)
"""The families; the first that fits counts."""


def kind_of(route: Route) -> Kind:
    """What the route takes and gives."""
    if route.body is not None or route.answers != JSON or route.ranges:
        return Kind(route.method, route.path, route.answers, route.body, route.ranges)
    return next((kind for kind in KINDS if kind.fits(route)), Kind(route.method, route.path))
