"""Options that Orthanc does not have: section `Ithil`, or `ITHIL__...` in the environment."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from ithil.settings.option import choice, integer, path, seconds, texts
from ithil.settings.routing_rules import RoutingRule, routing_rules


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return "an array of IP addresses or networks"
    return ""


_ORIGIN = re.compile(r"https?://(?:[a-z0-9._~-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


def _origin(value: str) -> str:
    if value == "*" or _ORIGIN.match(value):
        return ""
    return (
        "an array of origins (scheme, host in lower case, and port if it has one, without a slash at the end)"
    )


@dataclass(frozen=True)
class IthilSettings:
    """What is ours: processes, limits, logs"""

    workers: int = integer("Workers", 1, "Processes that `ithil serve` starts", 1, 256)
    maximum_associations: int = integer(
        "MaximumAssociations", 100, "Incoming associations at the same time, in each process", 1, 10000
    )
    maximum_associations_per_host: int = integer(
        "MaximumAssociationsPerHost", 50, "The same from one address", 1, 10000
    )
    maximum_elements: int = integer(
        "MaximumElements", 500000, "Most elements of a data set", 100, 100_000_000
    )
    maximum_sequence_depth: int = integer(
        "MaximumSequenceDepth", 64, "Most sequences inside each other", 1, 1000
    )
    maximum_instance_size_mb: int = integer(
        "MaximumInstanceSizeMB", 0, "Largest instance; 0 for no limit", unit="MB"
    )
    maximum_in_flight_mb: int = integer(
        "MaximumInFlightMB",
        512,
        "Memory for the bodies of HTTP requests; beyond it senders are asked to come back",
        16,
        unit="MB",
    )
    stability_sweep_seconds: float = seconds(
        "StabilitySweepSeconds", 1.0, "Time between looks for resources that became stable", 0.05, 3600
    )
    routing_rules: dict[str, RoutingRule] = routing_rules(
        "RoutingRules", "Rules that send stable studies on, by name: see the guide on routing"
    )
    trusted_proxies: list[str] = texts(
        "TrustedProxies", [], "Addresses or networks whose Forwarded headers are believed", check=_network
    )
    ohif_directory: Path | None = path(
        "OhifDirectory",
        None,
        "Folder of the OHIF viewer; one below the Python environment if absent",
    )
    allowed_origins: list[str] = texts(
        "AllowedOrigins",
        [],
        "Web sites whose pages may use this server, such as https://viewer.example.org; * lets all of them read",
        check=_origin,
    )
    workitem_retention_days: int = integer(
        "WorkitemRetentionDays",
        30,
        "Days that workitems (UPS-RS) stay after they were completed or canceled; 0 for no limit",
        0,
        36500,
        unit="days",
    )
    log_format: str = choice("LogFormat", "text", ("text", "json"), "Form of the log lines")
    sqlite_synchronous: str = choice(
        "SqliteSynchronous",
        "Auto",
        ("Full", "Normal", "Auto"),
        "Whether acknowledgements wait for SQLite's log (Full) or not; Auto is Full with SyncStorageArea",
    )
