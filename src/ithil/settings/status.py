"""Why an option is not honoured: one constant a reason.

A release that adds the part removes the constant and with it each use.

`NO_...` options are named in the start-up warning when they are set; `REFUSE_...` options stop the start.
"""

from __future__ import annotations

from ithil.settings.option import ignored, refused

NO_QUOTAS = ignored("quotas and recycling are not there yet")
NO_HTTP_DETAILS = ignored("the failures of outgoing requests are always logged")
NO_HARDWARE_KEYS = ignored("keys in hardware cannot be used for outgoing requests")
IN_STORAGE_CACHE = ignored("transcoded files share the room of MaximumStorageCacheSize")
NO_LUA = ignored("Lua scripts are not there yet")
NO_PLUGINS = ignored("plugins are not there yet; Orthanc's compiled plugins cannot be loaded")
NO_WEBDAV = ignored("WebDAV is not there yet")
NO_EXPLORER = ignored("the web application is not there yet")
BY_DICOMWEB = ignored("the viewer always reads studies by DICOMweb, whose metadata is kept ready")
NO_DICOMWEB = ignored("DICOMweb is not there yet")
NO_HTTP_COMPRESSION = ignored("answers are not compressed yet")
NO_PATIENT_LEVEL_SWITCH = ignored("the patient level cannot be switched off yet")
NO_HOUSEKEEPER = ignored("the housekeeper is not there yet")
NO_DELAYED_DELETION = ignored("files are always deleted in the background, after the answer")
NO_ADVANCED_STORAGE = ignored("several storages and naming schemes are not there yet")
IN_SYSTEM_CACHE = ignored("files that are sent are read through the cache of the operating system")
NO_TENANTS = ignored("several application entity titles are not there yet")
NO_SERVED_FOLDERS = ignored("folders are not served yet")
NO_PYTHON = ignored("Python plugins are not there yet")
NO_WARNINGS_SWITCH = ignored("these warnings do not exist here")
NO_MEMORY_SPLIT = ignored(
    "there are no caches of that kind; Ithil.MaximumInFlightMB bounds the bodies of HTTP requests"
)
NO_DCMTK = ignored("Ithil has its own dictionary and codecs, not those of DCMTK and GDCM")
NO_OPENSSL_CHOICE = ignored("TLS 1.2 or newer with the ciphers of the Python build is always used")
NO_LOG_CHOICE = ignored("logs never hold patient data")
NO_POOL_CHOICE = ignored("the connection pool grows and shrinks by itself")
ALWAYS_SAVED = ignored("jobs are always kept in the index")
ALL_CORES = ignored("a job computes on all cores, at a low priority")
NO_SERVER_LOCK = ignored("several servers may always share one database")
NO_COUNTS_CHOICE = ignored("counts are always exact")
NO_AUTHORIZATION = ignored("the authorization web service is not supported yet")
NO_OBJECT_STORAGE = ignored("object storage is not supported yet")
NO_MYSQL = ignored("MySQL and MariaDB are not supported yet")
NO_ODBC = ignored("ODBC is not supported yet")
NO_TRANSACTION_CHOICE = ignored("each statement uses the isolation it needs")

REFUSE_DATABASE = refused("this database is not supported yet; use SQLite or PostgreSQL")
REFUSE_FILES_IN_DATABASE = refused("files cannot be stored in a database; use StorageDirectory")
REFUSE_OBJECT_STORAGE = refused("object storage is not supported yet; use StorageDirectory")
REFUSE_AUTHORIZATION = refused("the authorization web service is not supported yet")
