"""The values that cross the archive's boundary: what comes in with an instance and what goes out of the index.

Plain data without behaviour, so that REST, DICOMweb, DIMSE services and plugins share one vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ithil.dicom.level import Level


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an instance came from; ends up in the instance's metadata under Orthanc's names."""

    kind: str = "Unknown"  # Unknown, DicomProtocol, RestApi, Plugins, Lua or WebDav
    remote_ip: str = ""
    remote_aet: str = ""
    called_aet: str = ""
    http_username: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which resources of the archive an instance was made from.

    It becomes metadata (number 5 ModifiedFrom or 6 AnonymizedFrom) of the new instance and of those of its
    parents that come into being with it; `sources` is indexed by `Level`, "" where there is no single source.
    """

    metadata: int
    sources: tuple[str, str, str, str]


MODIFIED_FROM = 5
ANONYMIZED_FROM = 6
"""Numbers of the metadata that a `Provenance` becomes."""


class StoreStatus(StrEnum):
    """What became of an instance that was offered to the archive (Orthanc's words in answers to uploads)."""

    SUCCESS = "Success"
    ALREADY_STORED = "AlreadyStored"
    FILTERED_OUT = "FilteredOut"
    FAILURE = "Failure"


@dataclass(frozen=True, slots=True)
class StoreResult:
    """The answer of ingest for one instance: the public ids of the four levels and what was done."""

    status: StoreStatus
    patient: str
    study: str
    series: str
    instance: str
    reason: str = ""  # why it was filtered out or failed; never contains patient data


DICOM_FILE = 1
"""The content type of an instance's own file."""

FIRST_OF_USERS = 1024
"""The smallest number of metadata and content types that belong to users; smaller ones are the system's.

Only what happens to those of users is a change that the log tells.
"""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One stored file of a resource. Sizes are in bytes; MD5s are lower-case hex, "" if not computed."""

    content_type: int  # 1 = dicom; 1024 and above are user-defined
    uuid: str
    compression: int  # 1 = none, 2 = zlib with an 8-byte little-endian size prefix
    compressed_size: int
    compressed_md5: str
    uncompressed_size: int
    uncompressed_md5: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class MetadataValue:
    """One metadata entry and its revision, which grows by one with each change (optimistic locking)."""

    value: str
    revision: int = 0


@dataclass(slots=True)
class Resource:
    """A patient, study, series or instance as the index knows it.

    `main_tags` maps tags as integers (0xGGGGEEEE) to UTF-8 text, in no particular order. `children` holds
    the public ids of the level below, sorted. `patient_main_tags` is only filled for studies.
    """

    level: Level
    id: str
    parent: str | None
    main_tags: dict[int, str]
    patient_main_tags: dict[int, str] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    metadata: dict[int, MetadataValue] = field(default_factory=dict)
    attachments: dict[int, Attachment] = field(default_factory=dict)
    is_stable: bool = True
    is_protected: bool = False
    last_update: str = ""  # YYYYMMDDTHHMMSS, UTC
    expected_instances: int | None = None  # series
    index_in_series: int | None = None  # instances


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts and sizes (in bytes) below a resource, or of the whole archive."""

    patients: int
    studies: int
    series: int
    instances: int
    disk_size: int
    uncompressed_size: int
    dicom_disk_size: int = 0
    dicom_uncompressed_size: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change log. `kind` is Orthanc's name, such as `NewInstance` or `StableStudy`."""

    seq: int
    kind: str
    level: Level
    id: str
    date: str  # YYYYMMDDTHHMMSS, UTC


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the change log; `done` tells that no newer entry exists."""

    changes: list[Change]
    done: bool
    last: int
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """One entry of the log of exports; identifiers of levels below that of the resource are ""."""

    seq: int
    level: Level
    id: str
    remote_modality: str
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    date: str  # YYYYMMDDTHHMMSS, UTC


@dataclass(frozen=True, slots=True)
class Exports:
    """A page of the log of exports; `done` tells that no newer entry exists."""

    exports: list[Export]
    done: bool
    last: int
