"""Options of DICOMweb: section `DicomWeb`."""

from __future__ import annotations

from dataclasses import dataclass

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, ignored, integer, text, texts
from ithil.settings.remotes import Peer, peers

_METADATA_MODES = ("Full", "MainDicomTags", "Extrapolate")
_OBSOLETE = ignored("it has had no effect in Orthanc for years either")


@dataclass(frozen=True)
class DicomWeb:
    """DICOMweb"""

    enable: bool = boolean("Enable", True, "Serve DICOMweb", why.NO_DICOMWEB, harmless=(False,))
    root: str = text("Root", "/dicom-web/", "Path of DICOMweb", why.NO_DICOMWEB)
    public_root: str | None = text(
        "PublicRoot", None, "The path that clients see behind a proxy; Root if absent", why.NO_DICOMWEB
    )
    enable_wado: bool = boolean("EnableWado", True, "Serve WADO-URI", why.NO_DICOMWEB, harmless=(False,))
    wado_root: str = text("WadoRoot", "/wado", "Path of WADO-URI", why.NO_DICOMWEB)
    ssl: bool = boolean("Ssl", False, "Write https in answers", why.NO_DICOMWEB)
    host: str = text("Host", "", "Host to write in answers", why.NO_DICOMWEB)
    qido_case_sensitive: bool | None = boolean(
        "QidoCaseSensitive", None, "Tell upper from lower case in searches", why.NO_DICOMWEB
    )
    studies_metadata: str = choice(
        "StudiesMetadata", "Full", _METADATA_MODES, "Where a study's metadata comes from", why.NO_DICOMWEB
    )
    series_metadata: str = choice(
        "SeriesMetadata", "Full", _METADATA_MODES, "Where a series' metadata comes from", why.NO_DICOMWEB
    )
    studies_metadata_extrapolated_tags: list[str] = texts(
        "StudiesMetadataExtrapolatedTags", [], "Tags guessed from a few instances", why.NO_DICOMWEB
    )
    series_metadata_extrapolated_tags: list[str] = texts(
        "SeriesMetadataExtrapolatedTags", [], "Tags guessed from a few instances", why.NO_DICOMWEB
    )
    enable_metadata_cache: bool = boolean(
        "EnableMetadataCache", True, "Keep the metadata of each series", why.NO_DICOMWEB
    )
    metadata_worker_threads_count: int = integer(
        "MetadataWorkerThreadsCount", 4, "Threads that build metadata", 1, status=why.NO_DICOMWEB
    )
    wado_rs_loader_threads_count: int = integer(
        "WadoRsLoaderThreadsCount", 0, "Threads that read ahead", status=why.NO_DICOMWEB
    )
    enable_performance_logs: bool = boolean(
        "EnablePerformanceLogs", False, "Log how long parts take", why.NO_DICOMWEB, harmless=(False,)
    )
    other_binary_mode: str = choice(
        "OtherBinaryMode",
        "BulkDataURI",
        ("BulkDataURI", "InlineBinary", "ArrayOfValues"),
        "How values of OB, OD, OF, OL, OV and OW are given",
        why.NO_DICOMWEB,
    )
    servers: dict[str, Peer] = peers(
        "Servers", "Other DICOMweb servers, by symbolic name", why.NO_DICOMWEB, harmless=({},)
    )
    servers_in_database: bool = boolean(
        "ServersInDatabase", False, "Keep them in the database", why.NO_DICOMWEB, harmless=(False,)
    )
    stow_max_instances: int | None = integer("StowMaxInstances", None, "Obsolete", status=_OBSOLETE)
    stow_max_size: int | None = integer("StowMaxSize", None, "Obsolete", status=_OBSOLETE)
