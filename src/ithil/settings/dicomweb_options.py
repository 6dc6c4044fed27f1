"""Options of DICOMweb: section `DicomWeb`."""

from __future__ import annotations

from dataclasses import dataclass

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, ignored, integer, text, texts
from ithil.settings.remotes import Peer, dicomweb_servers

_METADATA_MODES = ("Full", "MainDicomTags", "Extrapolate")
_NEVER_GUESSED = ignored("metadata is always full, so that no tag has to be guessed")
_ONE_THREAD = ignored("metadata is kept ready; what is missing is built faster by one thread than it is read")
_OBSOLETE = ignored("it has had no effect in Orthanc for years either")


@dataclass(frozen=True)
class DicomWeb:
    """DICOMweb"""

    enable: bool = boolean("Enable", True, "Serve DICOMweb")
    root: str = text("Root", "/dicom-web/", "Path of DICOMweb")
    public_root: str | None = text(
        "PublicRoot", None, "The path that clients see behind a proxy; Root if absent"
    )
    enable_wado: bool = boolean("EnableWado", True, "Serve WADO-URI")
    wado_root: str = text("WadoRoot", "/wado", "Path of WADO-URI")
    ssl: bool = boolean("Ssl", False, "Write https in answers")
    host: str = text("Host", "", "Host to write in answers, with its port (pacs.example.org:8042)")
    qido_case_sensitive: bool | None = boolean(
        "QidoCaseSensitive", None, "Tell upper from lower case in searches"
    )
    studies_metadata: str = choice(
        "StudiesMetadata",
        "Full",
        _METADATA_MODES,
        "Where a study's metadata comes from; it is full in every mode, since the reduced ones break viewers",
    )
    series_metadata: str = choice(
        "SeriesMetadata",
        "Full",
        _METADATA_MODES,
        "Where a series' metadata comes from; it is full in every mode, since the reduced ones break viewers",
    )
    studies_metadata_extrapolated_tags: list[str] = texts(
        "StudiesMetadataExtrapolatedTags", [], "Tags guessed from a few instances", _NEVER_GUESSED
    )
    series_metadata_extrapolated_tags: list[str] = texts(
        "SeriesMetadataExtrapolatedTags", [], "Tags guessed from a few instances", _NEVER_GUESSED
    )
    enable_metadata_cache: bool = boolean(
        "EnableMetadataCache", True, "Keep the metadata of each series in the index, ready to be sent"
    )
    metadata_worker_threads_count: int = integer(
        "MetadataWorkerThreadsCount", 4, "Threads that build metadata", 1, status=_ONE_THREAD
    )
    wado_rs_loader_threads_count: int = integer(
        "WadoRsLoaderThreadsCount", 0, "Threads that transcode ahead of a client; 0 for four"
    )
    enable_performance_logs: bool = boolean(
        "EnablePerformanceLogs", False, "Log how long parts take", why.NO_DICOMWEB, harmless=(False,)
    )
    other_binary_mode: str = choice(
        "OtherBinaryMode",
        "BulkDataURI",
        ("BulkDataURI", "InlineBinary", "ArrayOfValues"),
        "How values of OB, OD, OF, OL, OV and OW are given: by URI if they have more than 1,024 bytes, or in "
        "the document up to a megabyte",
    )
    servers: dict[str, Peer] = dicomweb_servers("Servers", "Other DICOMweb servers, by symbolic name")
    servers_in_database: bool = boolean("ServersInDatabase", False, "Keep them in the database")
    stow_max_instances: int | None = integer("StowMaxInstances", None, "Obsolete", status=_OBSOLETE)
    stow_max_size: int | None = integer("StowMaxSize", None, "Obsolete", status=_OBSOLETE)
