"""Options of the databases that may hold the index instead of SQLite."""

from __future__ import annotations

from dataclasses import dataclass

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, ignored, integer, text


@dataclass(frozen=True)
class PostgreSql:
    """Index in PostgreSQL"""

    enable_index: bool = boolean("EnableIndex", False, "Keep the index in PostgreSQL")
    enable_storage: bool = boolean(
        "EnableStorage", False, "Keep files as large objects", why.REFUSE_FILES_IN_DATABASE, harmless=(False,)
    )
    connection_uri: str | None = text(
        "ConnectionUri", None, "libpq's connection URI, instead of Host to EnableSsl", secret=True
    )
    host: str = text("Host", "localhost", "Host, or folder of the Unix socket")
    port: int = integer("Port", 5432, "Port", 1, 65535)
    database: str = text("Database", "", "Database")
    username: str = text("Username", "", "User")
    password: str = text("Password", "", "Password", secret=True)
    enable_ssl: bool = boolean("EnableSsl", False, "Require TLS")
    lock: bool = boolean("Lock", True, "Refuse a second server", why.NO_SERVER_LOCK, harmless=(False,))
    maximum_connection_retries: int = integer(
        "MaximumConnectionRetries", 10, "Attempts to connect, and to repeat a transaction"
    )
    connection_retry_interval: int = integer(
        "ConnectionRetryInterval", 5, "Time between attempts to connect", unit="s"
    )
    index_connections_count: int = integer("IndexConnectionsCount", 50, "Most connections of a process", 1)
    use_dynamic_connection_pool: bool = boolean(
        "UseDynamicConnectionPool", False, "Open connections on demand", why.NO_POOL_CHOICE, harmless=(True,)
    )
    transaction_mode: str = choice(
        "TransactionMode",
        "ReadCommitted",
        ("ReadCommitted", "Serializable"),
        "Isolation of transactions",
        why.NO_TRANSACTION_CHOICE,
        harmless=("ReadCommitted",),
    )
    enable_verbose_logs: bool = boolean(
        "EnableVerboseLogs", False, "Log statements", ignored("statements are not logged"), harmless=(False,)
    )
    housekeeping_interval: int = integer(
        "HousekeepingInterval",
        1,
        "Time between refreshes of the counts",
        unit="s",
        status=why.NO_COUNTS_CHOICE,
    )
    allow_inconsistent_child_counts: bool = boolean(
        "AllowInconsistentChildCounts",
        False,
        "Let counts be late for a moment",
        why.NO_COUNTS_CHOICE,
        harmless=(False,),
    )
    schema: str = text("Schema", "public", "Schema of the tables; it must exist")
    application_name: str = text("ApplicationName", "", "Name of this client in the database's views")


@dataclass(frozen=True)
class MySql:
    """Index in MySQL or MariaDB"""

    enable_index: bool = boolean(
        "EnableIndex", False, "Keep the index in MySQL", why.REFUSE_DATABASE, harmless=(False,)
    )
    enable_storage: bool = boolean(
        "EnableStorage", False, "Keep files in MySQL", why.REFUSE_FILES_IN_DATABASE, harmless=(False,)
    )
    host: str = text("Host", "localhost", "Host", why.NO_MYSQL)
    port: int = integer("Port", 3306, "Port", 1, 65535, why.NO_MYSQL)
    unix_socket: str = text("UnixSocket", "", "Unix socket", why.NO_MYSQL)
    database: str = text("Database", "", "Database", why.NO_MYSQL)
    username: str = text("Username", "", "User", why.NO_MYSQL)
    password: str = text("Password", "", "Password", why.NO_MYSQL, secret=True)
    lock: bool = boolean("Lock", True, "Refuse a second server", why.NO_MYSQL)
    enable_ssl: bool = boolean("EnableSsl", False, "Require TLS", why.NO_MYSQL)
    ssl_verify_server_certificates: bool = boolean(
        "SslVerifyServerCertificates", True, "Check the server's certificate", why.NO_MYSQL
    )
    ssl_ca_certificates: str | None = text(
        "SslCACertificates", None, "Trusted authorities; HttpsCACertificates if absent", why.NO_MYSQL
    )
    maximum_connection_retries: int = integer(
        "MaximumConnectionRetries", 10, "Attempts to connect", status=why.NO_MYSQL
    )
    connection_retry_interval: int = integer(
        "ConnectionRetryInterval", 5, "Time between them", unit="s", status=why.NO_MYSQL
    )
    index_connections_count: int = integer(
        "IndexConnectionsCount", 1, "Most connections", 1, status=why.NO_MYSQL
    )


@dataclass(frozen=True)
class Odbc:
    """Index in a database behind ODBC"""

    enable_index: bool = boolean(
        "EnableIndex", False, "Keep the index behind ODBC", why.REFUSE_DATABASE, harmless=(False,)
    )
    enable_storage: bool = boolean(
        "EnableStorage", False, "Keep files behind ODBC", why.REFUSE_FILES_IN_DATABASE, harmless=(False,)
    )
    index_connection_string: str = text(
        "IndexConnectionString", "", "Connection string of the index", why.NO_ODBC, secret=True
    )
    storage_connection_string: str = text(
        "StorageConnectionString", "", "Connection string of the storage", why.NO_ODBC, secret=True
    )
    index_connections_count: int = integer(
        "IndexConnectionsCount", 1, "Most connections", 1, status=why.NO_ODBC
    )
    maximum_connection_retries: int = integer(
        "MaximumConnectionRetries", 10, "Attempts to connect", status=why.NO_ODBC
    )
    maximum_storage_connection_retries: int = integer(
        "MaxConnectionRetries", 10, "The same for the storage", status=why.NO_ODBC
    )
    connection_retry_interval: int = integer(
        "ConnectionRetryInterval", 5, "Time between them", unit="s", status=why.NO_ODBC
    )
