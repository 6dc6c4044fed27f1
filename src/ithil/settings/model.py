"""All settings in one typed, immutable object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ithil.settings import status as why
from ithil.settings.archive_options import ArchiveOptions
from ithil.settings.database_options import MySql, Odbc, PostgreSql
from ithil.settings.dicom_options import DicomOptions
from ithil.settings.dicomweb_options import DicomWeb
from ithil.settings.explorer_options import Explorer, Ohif
from ithil.settings.http_options import HttpOptions
from ithil.settings.ithil_options import IthilSettings
from ithil.settings.job_options import JobOptions
from ithil.settings.option import boolean, free_object, path, section
from ithil.settings.plugin_options import (
    AdvancedStorage,
    Authorization,
    DelayedDeletion,
    Gdcm,
    Housekeeper,
    Indexer,
    MultitenantDicom,
    ObjectStorage,
    PythonPlugin,
    Transfers,
    Worklists,
)

DEFAULT_STABLE_AGE = 60


@dataclass(frozen=True)
class Settings(JobOptions, HttpOptions, DicomOptions, ArchiveOptions):
    """What the server runs with.

    `ithil.settings.load` makes it from files and the environment. `Settings()` gives the defaults, with
    relative paths below the current folder.
    """

    ithil: IthilSettings = section("Ithil", IthilSettings)
    postgresql: PostgreSql = section("PostgreSQL", PostgreSql)
    mysql: MySql = section("MySQL", MySql)
    odbc: Odbc = section("Odbc", Odbc)
    dicom_web: DicomWeb = section("DicomWeb", DicomWeb)
    authorization: Authorization = section("Authorization", Authorization)
    aws_s3_storage: ObjectStorage = section("AwsS3Storage", ObjectStorage)
    azure_blob_storage: ObjectStorage = section("AzureBlobStorage", ObjectStorage)
    google_cloud_storage: ObjectStorage = section("GoogleCloudStorage", ObjectStorage)
    worklists: Worklists = section("Worklists", Worklists)
    housekeeper: Housekeeper = section("Housekeeper", Housekeeper)
    delayed_deletion: DelayedDeletion = section("DelayedDeletion", DelayedDeletion)
    advanced_storage: AdvancedStorage = section("AdvancedStorage", AdvancedStorage)
    indexer: Indexer = section("Indexer", Indexer)
    transfers: Transfers = section("Transfers", Transfers)
    python: PythonPlugin = section("Python", PythonPlugin)
    gdcm: Gdcm = section("Gdcm", Gdcm)
    multitenant_dicom: MultitenantDicom = section("MultitenantDicom", MultitenantDicom)
    explorer: Explorer = section("OrthancExplorer2", Explorer)
    ohif: Ohif = section("OHIF", Ohif)
    serve_folders: dict[str, Any] | None = free_object(
        "ServeFolders", "Folders served over HTTP, by path", why.NO_SERVED_FOLDERS, harmless=({},)
    )
    connectivity_checks: dict[str, Any] | None = free_object(
        "ConnectivityChecks",
        "The page that tries modalities; it has no options",
        why.NO_EXPLORER,
        harmless=({},),
    )
    python_script: Path | None = path("PythonScript", None, "As Python.Path", why.NO_PYTHON)
    python_verbose: bool = boolean(
        "PythonVerbose", False, "As Python.Verbose", why.NO_PYTHON, harmless=(False,)
    )

    warnings: tuple[str, ...] = ()
    """What the start has to say, insecure settings included."""
    insecure: tuple[str, ...] = ()
    """The settings that the web application warns of."""
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where each option that was set came from, by dotted name."""
    configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The merged configuration as it was written, for plugins. It holds secrets."""

    def __post_init__(self) -> None:
        if self.index_directory is None:
            object.__setattr__(self, "index_directory", self.storage_directory)
        if self.authentication_enabled is None:
            object.__setattr__(self, "authentication_enabled", self.remote_access_allowed)
        if self.stable_age < 1:
            object.__setattr__(self, "stable_age", DEFAULT_STABLE_AGE)
