"""Options of the archive itself: its name, where it keeps files and index, and what ingest does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ithil.dicom.level import Level
from ithil.settings import status as why
from ithil.settings.option import boolean, choice, ignored, integer, path, text
from ithil.settings.tags import (
    ContentType,
    CustomTag,
    content_types,
    dictionary,
    main_tags,
    metadata_names,
    overwrite,
)


@dataclass(frozen=True)
class ArchiveOptions:
    """The archive: storage, index, ingest"""

    name: str = text("Name", "MyOrthanc", "Display name, also in /system")
    storage_directory: Path = path("StorageDirectory", "OrthancStorage", "Folder of the stored files")
    index_directory: Path = path(
        "IndexDirectory", None, "Folder of the SQLite index; StorageDirectory if absent"
    )
    storage_compression: bool = boolean("StorageCompression", False, "Compress stored files with zlib")
    maximum_storage_size: int = integer(
        "MaximumStorageSize",
        0,
        "Quota of the storage; 0 for none",
        status=why.NO_QUOTAS,
        unit="MB",
        harmless=(0,),
    )
    maximum_patient_count: int = integer(
        "MaximumPatientCount", 0, "Quota of patients; 0 for none", status=why.NO_QUOTAS, harmless=(0,)
    )
    maximum_storage_mode: str = choice(
        "MaximumStorageMode",
        "Recycle",
        ("Recycle", "Reject"),
        "At a quota, remove the oldest patients or refuse new instances",
        why.NO_QUOTAS,
        harmless=("Recycle",),
    )
    maximum_storage_cache_size: int = integer(
        "MaximumStorageCacheSize", 128, "Memory for files read lately; 0 for none", unit="MB"
    )
    storage_loader_threads_count: int = integer(
        "StorageLoaderThreadsCount", 4, "Threads that read ahead in the storage", 1
    )
    storage_memory_capacity: int = integer(
        "StorageMemoryCapacity", 512, "Memory of reading ahead, of all archives together", 1, unit="MB"
    )
    sync_storage_area: bool = boolean(
        "SyncStorageArea", True, "Force each file to the disk before it is acknowledged"
    )
    store_md5_for_attachments: bool = boolean(
        "StoreMD5ForAttachments", True, "Compute the MD5 of each stored file"
    )
    store_dicom: bool = boolean(
        "StoreDicom",
        True,
        "Store the files, not only the index",
        ignored("files are always stored"),
        harmless=(True,),
    )
    overwrite_instances: str = overwrite(
        "OverwriteInstances", "Never", "When an instance that is already stored arrives again"
    )
    stable_age: int = integer(
        "StableAge", 60, "Quiet time until a resource counts as stable; below 1 means 60", 0, unit="s"
    )
    read_only: bool = boolean("ReadOnly", False, "Write neither to the index nor to the storage")
    check_revisions: bool = boolean(
        "CheckRevisions", False, "Ask for the current ETag in changes of metadata and attachments"
    )
    patient_level_enabled: bool = boolean(
        "PatientLevelEnabled", True, "Serve the patient level", why.NO_PATIENT_LEVEL_SWITCH, harmless=(True,)
    )
    database_server_identifier: str | None = text(
        "DatabaseServerIdentifier", None, "Name of this server in a shared database; derived if absent"
    )
    default_encoding: str = choice(
        "DefaultEncoding",
        "Latin1",
        (
            "Ascii",
            "Utf8",
            "Latin1",
            "Latin2",
            "Latin3",
            "Latin4",
            "Latin5",
            "Cyrillic",
            "Windows1251",
            "Arabic",
            "Greek",
            "Hebrew",
            "Thai",
            "Japanese",
            "Chinese",
            "JapaneseKanji",
            "Korean",
            "SimplifiedChinese",
        ),
        "Character set of data sets without SpecificCharacterSet (0008,0005)",
    )
    extra_main_dicom_tags: dict[Level, list[int]] = main_tags(
        "ExtraMainDicomTags", "More tags to index, by Patient, Study, Series and Instance"
    )
    dictionary: list[CustomTag] = dictionary(
        "Dictionary", 'Private or unusual tags: "gggg,eeee": [VR, name, minimum, maximum, private creator]'
    )
    load_private_dictionary: bool = boolean(
        "LoadPrivateDictionary", True, "Know the private tags of the common makers"
    )
    default_private_creator: str = text("DefaultPrivateCreator", "", "Private creator where none is given")
    user_metadata: dict[str, int] = metadata_names(
        "UserMetadata", "Names of metadata of one's own, 1024 to 65535"
    )
    user_content_type: dict[str, ContentType] = content_types(
        "UserContentType", "Names of attachments of one's own, 1024 to 65535, or [number, MIME type]"
    )
    temporary_directory: Path | None = path(
        "TemporaryDirectory", None, "Folder of large temporary files; it must exist. The system's if absent"
    )
