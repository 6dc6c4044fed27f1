"""Options of jobs, transcoding, caches, scripts, plugins and everything else that is not listed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, free_object, ignored, integer, paths, section, text


@dataclass(frozen=True)
class WarningOptions:
    """Warnings that can be switched off"""

    tags_being_read_from_storage: bool = boolean(
        "W001_TagsBeingReadFromStorage", True, "Tags read from a file", why.NO_WARNINGS_SWITCH
    )
    inconsistent_dicom_tags_in_db: bool = boolean(
        "W002_InconsistentDicomTagsInDb", True, "Main tags of older rules", why.NO_WARNINGS_SWITCH
    )
    decoder_failure: bool = boolean(
        "W003_DecoderFailure", True, "A frame that cannot be decoded", why.NO_WARNINGS_SWITCH
    )
    no_main_dicom_tags_signature: bool = boolean(
        "W004_NoMainDicomTagsSignature", True, "Unknown rules of main tags", why.NO_WARNINGS_SWITCH
    )
    requesting_tag_from_lower_resource_level: bool = boolean(
        "W005_RequestingTagFromLowerResourceLevel", True, "A tag of a lower level", why.NO_WARNINGS_SWITCH
    )
    requesting_tag_from_meta_header: bool = boolean(
        "W006_RequestingTagFromMetaHeader", True, "A tag of the meta header", why.NO_WARNINGS_SWITCH
    )
    missing_requested_tags_not_read_from_disk: bool = boolean(
        "W007_MissingRequestedTagsNotReadFromDisk", True, "Tags that stay missing", why.NO_WARNINGS_SWITCH
    )


@dataclass(frozen=True)
class JobOptions:
    """Jobs, pixels, scripts and plugins"""

    concurrent_jobs: int = integer(
        "ConcurrentJobs", 2, "Jobs that each process runs at the same time; 0 for one a core"
    )
    jobs_history_size: int = integer("JobsHistorySize", 10, "Finished jobs kept")
    save_jobs: bool = boolean(
        "SaveJobs", True, "Keep jobs over a restart", why.ALWAYS_SAVED, harmless=(True,)
    )
    jobs_engine_threads_count: dict[str, Any] | None = free_object(
        "JobsEngineThreadsCount", "Threads of a job, by kind of job", why.ALL_CORES
    )
    log_exported_resources: bool = boolean(
        "LogExportedResources",
        False,
        "Record what is sent out, in /exports",
        harmless=(False,),
    )
    media_archive_size: int = integer(
        "MediaArchiveSize", 1, "Archives and media of asynchronous jobs that are kept", 0
    )
    synchronous_zip_stream: bool = boolean(
        "SynchronousZipStream", True, "Stream archives instead of writing a file first"
    )
    zip_use_utf8: bool = boolean(
        "ZipUseUtf8", False, "Names in archives keep the letters of all scripts, as UTF-8"
    )
    loader_threads: int | None = integer(
        "LoaderThreads", None, "Of Orthanc before 1.13: default of SequentialDicomReaderThreadsCount", 0
    )
    zip_loader_threads: int | None = integer(
        "ZipLoaderThreads", None, "Of Orthanc before 1.13: default of SequentialDicomReaderThreadsCount", 0
    )
    transcode_dicom_protocol: bool = boolean(
        "TranscodeDicomProtocol", True, "Transcode when the other side asks for it"
    )
    builtin_decoder_transcoder_order: str = choice(
        "BuiltinDecoderTranscoderOrder",
        "After",
        ("Before", "After", "Disabled"),
        "Own codecs before or after those of plugins",
        why.NO_PLUGINS,
    )
    ingest_transcoding: str | None = text(
        "IngestTranscoding",
        None,
        "UID of the transfer syntax to store everything in; what cannot be transcoded is stored as it is",
    )
    ingest_transcoding_of_uncompressed: bool = boolean(
        "IngestTranscodingOfUncompressed", True, "Do so for native pixel data"
    )
    ingest_transcoding_of_compressed: bool = boolean(
        "IngestTranscodingOfCompressed", True, "Do so for compressed pixel data"
    )
    dicom_lossy_transcoding_quality: int = integer(
        "DicomLossyTranscodingQuality", 90, "Quality of compression with loss", 1, 100
    )
    maximum_concurrent_dcmtk_transcoders: int = integer(
        "MaximumConcurrentDcmtkTranscoders", 0, "Transcoders at the same time", status=why.NO_DCMTK
    )
    transcoder_threads_count: int = integer(
        "TranscoderThreadsCount", 4, "Threads that transcode", 1, status=why.NO_MEMORY_SPLIT
    )
    transcoder_memory_capacity: int = integer(
        "TranscoderMemoryCapacity", 256, "Memory of transcoding", unit="MB", status=why.NO_MEMORY_SPLIT
    )
    transcoder_cache_size: int = integer(
        "TranscoderCacheSize", 256, "Memory for transcoded files", unit="MB", status=why.IN_STORAGE_CACHE
    )
    dicom_parser_threads_count: int = integer(
        "DicomParserThreadsCount", 2, "Threads that parse files", 1, status=why.NO_MEMORY_SPLIT
    )
    dicom_parser_memory_capacity: int = integer(
        "DicomParserMemoryCapacity", 256, "Memory of all frames that are being decoded", unit="MB"
    )
    dicom_parser_cache_size: int = integer(
        "DicomParserCacheSize", 256, "Memory for headers and frames decoded lately; 0 for none", unit="MB"
    )
    sequential_dicom_reader_threads_count: int | None = integer(
        "SequentialDicomReaderThreadsCount",
        None,
        "Threads that read ahead and compress for archives, at most one a core; absent means as many as "
        "StorageLoaderThreadsCount",
        1,
    )
    sequential_dicom_reader_window_size: int = integer(
        "SequentialDicomReaderWindowSize", 4, "Files, or batches of small ones, read ahead for an archive", 1
    )
    sequential_dicom_reader_window_capacity: int = integer(
        "SequentialDicomReaderWindowCapacity", 128, "Memory of reading ahead for an archive", 1, unit="MB"
    )
    malloc_arena_max: int = integer(
        "MallocArenaMax",
        5,
        "Arenas of glibc; 0 to leave them",
        status=ignored("set MALLOC_ARENA_MAX instead"),
    )
    metrics_enabled: bool = boolean("MetricsEnabled", True, "Show metrics")
    lua_scripts: list[Path] = paths("LuaScripts", [], "Lua scripts, in order", why.NO_LUA, harmless=([],))
    lua_heart_beat_period: int = integer(
        "LuaHeartBeatPeriod",
        0,
        "Time between calls of OnHeartBeat; 0 for none",
        unit="s",
        status=why.NO_LUA,
        harmless=(0,),
    )
    execute_lua_enabled: bool = boolean(
        "ExecuteLuaEnabled", False, "Allow /tools/execute-script", why.NO_LUA, harmless=(False,)
    )
    plugins: list[Path] = paths("Plugins", [], "Plugins, or folders of them", why.NO_PLUGINS, harmless=([],))
    warnings_enabled: WarningOptions = section("Warnings", WarningOptions)
