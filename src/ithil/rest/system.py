"""`/system`: what clients look at first to learn which features this server has."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import uuid
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from typing import Any

from ithil import __version__
from ithil.archive.archive import Archive
from ithil.dicom.dictionary import format_tag
from ithil.dicom.level import Level
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route, Runs
from ithil.rest.tree import total_statistics
from ithil.settings import Settings

ORTHANC_VERSION = "1.13.0"
"""The version of Orthanc whose REST API is spoken here. Clients compare it with the version they need."""

API_VERSION = 31
DATABASE_VERSION = 6
"""What Orthanc has said for many years; the schema of this server's own index is another thing."""

_LIBRARIES = (
    *("httptools", "imagecodecs", "numpy", "orjson", "pillow", "psycopg", "pydicom", "python-gdcm"),
    *("sqlalchemy", "uvicorn", "uvloop"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("GET", "/system", get_system, "Version, settings and capabilities", cacheable=True),
        Route(
            "GET",
            "/statistics",
            total_statistics,
            "Counts and sizes of the whole archive",
            cacheable=True,
            runs=Runs.IN_TURN,
        ),
    ]


def get_system(request: Request) -> Answer:
    """`GET /system`."""
    return answers.json(request, system(request.context.archive))


def system(archive: Archive) -> dict[str, Any]:
    """The fields of Orthanc's answer, and `IthilVersion`. A capability is only told if it is there."""
    settings = archive.settings
    return {
        "ApiVersion": API_VERSION,
        "Capabilities": {
            "HasExtendedChanges": True,
            "HasExtendedFind": True,
            "HasKeyValueStores": True,
            "HasQueues": True,
            "HasReserveQueueValue": True,
        },
        "CheckRevisions": settings.check_revisions,
        "DatabaseBackendPlugin": None,
        "DatabaseServerIdentifier": settings.database_server_identifier or derived_identifier(settings),
        "DatabaseVersion": DATABASE_VERSION,
        "DicomAet": settings.dicom_aet,
        "DicomDefaultRetrieveMethod": settings.dicom_default_retrieve_method,
        "DicomPort": settings.dicom_port,
        "HasLabels": True,
        "HttpPort": settings.http_port,
        "IngestTranscoding": settings.ingest_transcoding or "",
        "IsHttpServerSecure": not settings.insecure,
        "IthilVersion": __version__,
        "MainDicomTags": {level.singular: _tags(archive.tags_of.main[level]) for level in Level},
        "MaximumPatientCount": settings.maximum_patient_count,
        "MaximumStorageMode": settings.maximum_storage_mode,
        "MaximumStorageSize": settings.maximum_storage_size,
        "Name": settings.name,
        "OverwriteInstances": settings.overwrite_instances != "Never",
        "OverwriteInstancesMode": settings.overwrite_instances,
        "PatientLevelEnabled": True,
        "Performance": _performance(archive),
        "PluginsEnabled": False,
        "ReadOnly": settings.read_only,
        "StorageAreaPlugin": None,
        "StorageCompression": settings.storage_compression,
        "StoreMD5ForAttachments": settings.store_md5_for_attachments,
        "ThirdPartyPatches": [],
        "ThirdPartyVersions": third_party_versions(),
        "UserMetadata": dict(settings.user_metadata),
        "Version": ORTHANC_VERSION,
    }


def derived_identifier(settings: Settings) -> str:
    """Tells this server from others that share its database: a hash of host, title and ports, as Orthanc's."""
    place = (f"{uuid.getnode():012x}", settings.dicom_aet, str(settings.http_port), str(settings.dicom_port))
    return hashlib.sha1("|".join(place).encode(), usedforsecurity=False).hexdigest()


def _performance(archive: Archive) -> dict[str, int | None]:
    settings = archive.settings
    return {
        "ConcurrentJobs": settings.concurrent_jobs,
        "DicomParserCacheSize": settings.dicom_parser_cache_size,
        "DicomParserMemoryCapacity": settings.dicom_parser_memory_capacity,
        "DicomParserThreadsCount": settings.dicom_parser_threads_count,
        "DicomThreadsCount": settings.dicom_threads_count,
        "HttpThreadsCount": settings.http_threads_count,
        "MaximumStorageCacheSize": settings.maximum_storage_cache_size,
        "SequentialDicomReaderThreadsCount": settings.sequential_dicom_reader_threads_count,
        "StorageLoaderThreadsCount": settings.storage_loader_threads_count,
        "StorageMemoryCapacity": settings.storage_memory_capacity,
        "TranscoderCacheSize": settings.transcoder_cache_size,
        "TranscoderMemoryCapacity": settings.transcoder_memory_capacity,
        "TranscoderThreadsCount": settings.transcoder_threads_count,
    }


def _tags(tags: Iterable[int]) -> str:
    return ";".join(format_tag(tag) for tag in sorted(tags))


@lru_cache(maxsize=1)
def third_party_versions() -> dict[str, str]:
    """Versions of what the server is built on, as far as it is installed."""
    versions = {"python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
