"""Options of what Orthanc adds by plugins, other than databases, DICOMweb and the web application."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, free_array, free_object, integer, path, paths, text, texts


@dataclass(frozen=True)
class Authorization:
    """Authorization by a web service"""

    web_service_root_url: str | None = text(
        "WebServiceRootUrl", None, "Start of the following URLs", why.REFUSE_AUTHORIZATION
    )
    web_service_user_profile_url: str | None = text(
        "WebServiceUserProfileUrl", None, "Permissions of users", why.REFUSE_AUTHORIZATION
    )
    web_service_token_validation_url: str | None = text(
        "WebServiceTokenValidationUrl",
        None,
        "Checks tokens of resources",
        why.REFUSE_AUTHORIZATION,
        aliases=("WebService",),
    )
    web_service_token_creation_base_url: str | None = text(
        "WebServiceTokenCreationBaseUrl", None, "Makes tokens", why.NO_AUTHORIZATION
    )
    web_service_token_decoder_url: str | None = text(
        "WebServiceTokenDecoderUrl", None, "Reads tokens", why.NO_AUTHORIZATION
    )
    web_service_settings_roles_url: str | None = text(
        "WebServiceSettingsRolesUrl", None, "Edits roles", why.NO_AUTHORIZATION
    )
    web_service_username: str | None = text(
        "WebServiceUsername", None, "User at the web service", why.NO_AUTHORIZATION
    )
    web_service_password: str | None = text(
        "WebServicePassword", None, "Password there", why.NO_AUTHORIZATION, secret=True
    )
    web_service_identifier: str | None = text(
        "WebServiceIdentifier", None, "Name of this server there", why.NO_AUTHORIZATION
    )
    token_http_headers: list[str] = texts(
        "TokenHttpHeaders", [], "HTTP headers that hold tokens", why.NO_AUTHORIZATION
    )
    token_get_arguments: list[str] = texts(
        "TokenGetArguments", [], "Arguments of a query that hold tokens", why.NO_AUTHORIZATION
    )
    standard_configurations: list[str] = texts(
        "StandardConfigurations", [], "Rules for known viewers", why.NO_AUTHORIZATION
    )
    unchecked_resources: list[str] = texts(
        "UncheckedResources", [], "Paths open to all", why.NO_AUTHORIZATION
    )
    unchecked_folders: list[str] = texts(
        "UncheckedFolders", [], "Beginnings of paths open to all", why.NO_AUTHORIZATION
    )
    checked_level: str | None = choice(
        "CheckedLevel",
        None,
        ("patients", "studies", "series", "instances"),
        "The one level that is checked",
        why.REFUSE_AUTHORIZATION,
    )
    unchecked_levels: list[str] | None = texts(
        "UncheckedLevels", None, "Levels that are not checked", why.NO_AUTHORIZATION
    )
    permissions: list[Any] | None = free_array(
        "Permissions", "Rules: [method, pattern, permissions]", why.REFUSE_AUTHORIZATION
    )
    extra_permissions: list[Any] | None = free_array(
        "ExtraPermissions", "More rules", why.REFUSE_AUTHORIZATION
    )
    enable_audit_logs: bool = boolean(
        "EnableAuditLogs", False, "Write an audit trail", why.NO_AUTHORIZATION, harmless=(False,)
    )


@dataclass(frozen=True)
class ObjectStorage:
    """Files in an object store: AwsS3Storage, AzureBlobStorage, GoogleCloudStorage"""

    bucket_name: str | None = text("BucketName", None, "Bucket (S3, Google)", why.REFUSE_OBJECT_STORAGE)
    container_name: str | None = text("ContainerName", None, "Container (Azure)", why.REFUSE_OBJECT_STORAGE)
    region: str | None = text("Region", None, "Region (S3)", why.NO_OBJECT_STORAGE)
    access_key: str | None = text(
        "AccessKey", None, "Access key (S3); the environment's if absent", why.NO_OBJECT_STORAGE, secret=True
    )
    secret_key: str | None = text("SecretKey", None, "Secret key (S3)", why.NO_OBJECT_STORAGE, secret=True)
    endpoint: str = text("Endpoint", "", "Server that speaks S3", why.NO_OBJECT_STORAGE)
    connection_timeout: int = integer(
        "ConnectionTimeout",
        30,
        "Time to connect",
        unit="s",
        status=why.NO_OBJECT_STORAGE,
        aliases=("ConnectTimeout",),
    )
    request_timeout: int = integer(
        "RequestTimeout", 1200, "Time for a transfer", unit="s", status=why.NO_OBJECT_STORAGE
    )
    max_connections: int = integer("MaxConnections", 25, "Most connections", 1, status=why.NO_OBJECT_STORAGE)
    max_retries: int = integer("MaxRetries", 10, "Attempts", status=why.NO_OBJECT_STORAGE)
    virtual_addressing: bool = boolean(
        "VirtualAddressing", True, "Bucket in the host name, not in the path", why.NO_OBJECT_STORAGE
    )
    use_transfer_manager: bool = boolean(
        "UseTransferManager", False, "Transfer in parts", why.NO_OBJECT_STORAGE
    )
    transfer_pool_size: int = integer(
        "TransferPoolSize", 10, "Parts at the same time", 1, status=why.NO_OBJECT_STORAGE
    )
    transfer_buffer_size: int = integer(
        "TransferBufferSize", 5, "Size of a part", 1, unit="MB", status=why.NO_OBJECT_STORAGE
    )
    storage_class: str | None = text("StorageClass", None, "Storage class (S3)", why.NO_OBJECT_STORAGE)
    tags: dict[str, Any] | None = free_object("Tags", "Tags of objects (S3)", why.NO_OBJECT_STORAGE)
    enable_aws_sdk_logs: bool = boolean(
        "EnableAwsSdkLogs", False, "Log transfers (S3)", why.NO_OBJECT_STORAGE
    )
    connection_string: str | None = text(
        "ConnectionString", None, "Account (Azure)", why.NO_OBJECT_STORAGE, secret=True
    )
    account_name: str | None = text("AccountName", None, "Account, older form (Azure)", why.NO_OBJECT_STORAGE)
    account_key: str | None = text(
        "AccountKey", None, "Its key, older form (Azure)", why.NO_OBJECT_STORAGE, secret=True
    )
    create_container_if_not_exists: bool = boolean(
        "CreateContainerIfNotExists", True, "Make the container (Azure)", why.NO_OBJECT_STORAGE
    )
    access_tier: str | None = choice(
        "AccessTier",
        None,
        ("Hot", "Cool", "Cold", "Archive", "Premium"),
        "Access tier (Azure)",
        why.NO_OBJECT_STORAGE,
    )
    service_account_file: Path | None = path(
        "ServiceAccountFile", None, "Credentials, JSON (Google)", why.NO_OBJECT_STORAGE
    )
    root_path: str = text("RootPath", "", "Start of all names", why.NO_OBJECT_STORAGE)
    storage_structure: str = choice(
        "StorageStructure", "flat", ("flat", "legacy"), "Names of objects", why.NO_OBJECT_STORAGE
    )
    hybrid_mode: str = choice(
        "HybridMode",
        "Disabled",
        ("Disabled", "WriteToFileSystem", "WriteToObjectStorage"),
        "Read both places, write one",
        why.NO_OBJECT_STORAGE,
    )
    migration_from_file_system_enabled: bool = boolean(
        "MigrationFromFileSystemEnabled",
        False,
        "Deprecated form of HybridMode",
        why.NO_OBJECT_STORAGE,
    )
    enable_legacy_unknown_files: bool = boolean(
        "EnableLegacyUnknownFiles", False, "Look for .unk names too", why.NO_OBJECT_STORAGE
    )
    storage_encryption: dict[str, Any] | None = free_object(
        "StorageEncryption",
        "Encryption of files: Enable, MasterKey, ...",
        why.REFUSE_OBJECT_STORAGE,
        secret=True,
    )


@dataclass(frozen=True)
class Worklists:
    """Modality worklists"""

    enable: bool = boolean("Enable", False, "Answer worklist queries")
    directory: Path | None = path("Directory", None, "Folder of worklist files", aliases=("Database",))
    save_in_orthanc_database: bool = boolean("SaveInOrthancDatabase", False, "Keep worklists in the index")
    filter_issuer_aet: bool = boolean("FilterIssuerAet", False, "Only the items of the caller")
    limit_answers: int = integer("LimitAnswers", 0, "Most answers; 0 for all")
    set_study_instance_uid_if_missing: bool = boolean(
        "SetStudyInstanceUidIfMissing", True, "Make a study's UID"
    )
    delete_worklists_on_stable_study: bool = boolean(
        "DeleteWorklistsOnStableStudy", True, "Remove items that were done"
    )
    delete_worklists_delay: int = integer(
        "DeleteWorklistsDelay", 0, "Age to remove items; 0 for never", unit="h"
    )
    housekeeping_interval: int = integer("HousekeepingInterval", 60, "Time between looks for them", unit="s")
    log_matched_worklist_ids: bool = boolean("LogMatchedWorklistIds", False, "Log which items matched")


@dataclass(frozen=True)
class Housekeeper:
    """Housekeeper"""

    enable: bool = boolean(
        "Enable", False, "Bring old studies up to date", why.NO_HOUSEKEEPER, harmless=(False,)
    )
    global_property_id: int = integer(
        "GlobalPropertyId", 1025, "Where progress is kept", 1025, status=why.NO_HOUSEKEEPER
    )
    force: bool = boolean("Force", False, "Even if nothing changed", why.NO_HOUSEKEEPER)
    force_reconstruct_files: bool = boolean(
        "ForceReconstructFiles", False, "Write files anew", why.NO_HOUSEKEEPER
    )
    throttle_delay: int = integer(
        "ThrottleDelay", 5, "Pause between studies", unit="s", status=why.NO_HOUSEKEEPER
    )
    schedule: dict[str, Any] | None = free_object("Schedule", "Hours by day of the week", why.NO_HOUSEKEEPER)
    triggers: dict[str, Any] | None = free_object("Triggers", "What to look for", why.NO_HOUSEKEEPER)
    limit_main_dicom_tags_reconstruct_level: str = choice(
        "LimitMainDicomTagsReconstructLevel",
        "All",
        ("Patient", "Study", "Series", "Instance", "All"),
        "Levels of main tags to bring up to date",
        why.NO_HOUSEKEEPER,
    )


@dataclass(frozen=True)
class DelayedDeletion:
    """Deletion in the background"""

    enable: bool = boolean(
        "Enable", True, "Delete files after the answer", why.NO_DELAYED_DELETION, harmless=(True,)
    )
    throttle_delay_ms: int = integer(
        "ThrottleDelayMs", 0, "Pause between files", unit="ms", status=why.NO_DELAYED_DELETION, harmless=(0,)
    )
    path: str | None = text("Path", None, "Database of what is to be deleted", why.NO_DELAYED_DELETION)


@dataclass(frozen=True)
class AdvancedStorage:
    """Several storages, naming schemes, the indexer"""

    enable: bool = boolean("Enable", False, "Use this section", why.NO_ADVANCED_STORAGE, harmless=(False,))
    multiple_storages: dict[str, Any] | None = free_object(
        "MultipleStorages", "Storages, CurrentWriteStorage", why.NO_ADVANCED_STORAGE
    )
    naming_scheme: str = text(
        "NamingScheme", "OrthancDefault", "Pattern of file names", why.NO_ADVANCED_STORAGE
    )
    max_path_length: int = integer(
        "MaxPathLength", 256, "Longest name before the default is used", 1, status=why.NO_ADVANCED_STORAGE
    )
    other_attachments_prefix: str = text(
        "OtherAttachmentsPrefix", "", "Folder of attachments that are not DICOM", why.NO_ADVANCED_STORAGE
    )
    indexer: dict[str, Any] | None = free_object(
        "Indexer", "Index files where they lie", why.NO_ADVANCED_STORAGE
    )
    delayed_deletion: dict[str, Any] | None = free_object(
        "DelayedDeletion", "Deletion in the background", why.NO_ADVANCED_STORAGE
    )


@dataclass(frozen=True)
class Transfers:
    """Transfers accelerator"""

    threads: int = integer("Threads", 4, "Requests at the same time", 1, 64)
    bucket_size: int = integer("BucketSize", 4096, "Size of a part", 1, 262144, unit="KB")
    cache_size: int = integer("CacheSize", 512, "Memory of the sender", unit="MB", status=why.IN_SYSTEM_CACHE)
    max_push_transactions: int = integer("MaxPushTransactions", 4, "Most transfers coming in", 1)
    max_http_retries: int = integer("MaxHttpRetries", 0, "How often a part is tried again", 0, 1000)
    peer_connectivity_timeout: int = integer("PeerConnectivityTimeout", 2, "Time to find a peer", unit="s")
    peer_commit_timeout: int = integer("PeerCommitTimeout", 600, "Time for a peer to finish", unit="s")
    commit_threads_count: int = integer("CommitThreadsCount", 1, "Threads that finish a transfer", 1, 64)


@dataclass(frozen=True)
class PythonPlugin:
    """Python plugins"""

    path: Path | None = path("Path", None, "The script", why.NO_PYTHON)
    verbose: bool = boolean("Verbose", False, "Log calls", why.NO_PYTHON, harmless=(False,))
    display_memory_usage: bool = boolean("DisplayMemoryUsage", False, "Log memory", why.NO_PYTHON)
    allow_threads: bool = boolean("AllowThreads", False, "Let scripts run at the same time", why.NO_PYTHON)


@dataclass(frozen=True)
class Gdcm:
    """GDCM's codecs"""

    enable: bool = boolean("Enable", True, "Use them", why.NO_DCMTK, harmless=(False,))
    throttling: int | None = integer("Throttling", None, "Most frames at the same time", status=why.NO_DCMTK)
    restrict_transfer_syntaxes: list[str] | None = texts(
        "RestrictTransferSyntaxes", None, "Only for these", why.NO_DCMTK
    )


@dataclass(frozen=True)
class MultitenantDicom:
    """More DICOM listeners"""

    servers: list[Any] | None = free_array(
        "Servers",
        "AET, Port, Labels, LabelsConstraint, LabelsStoreLevels each",
        why.NO_TENANTS,
        harmless=([],),
    )


@dataclass(frozen=True)
class Indexer:
    """The older indexer"""

    enable: bool = boolean(
        "Enable", False, "Index files where they lie", why.NO_ADVANCED_STORAGE, harmless=(False,)
    )
    folders: list[Path] = paths("Folders", [], "Folders", why.NO_ADVANCED_STORAGE)
    interval: int = integer("Interval", 10, "Time between looks", unit="s", status=why.NO_ADVANCED_STORAGE)
