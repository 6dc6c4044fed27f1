"""`/tools/metrics-prometheus`: numbers for whoever watches the server, in Prometheus' text format.

Each line is a name, a value and a time in milliseconds, without comments: programs written for Orthanc split
lines at blanks into these three. What processes count is told for all processes of this host together, what
the index knows for the whole archive.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from ithil import metrics
from ithil.archive import changes, resources
from ithil.http.answers import Answer
from ithil.http.context import MOST_THREADS, Context
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.jobs import queue
from ithil.jobs.model import State
from ithil.metrics import Metric
from ithil.rest.runtime import metrics_shown

MEDIA_TYPE = "text/plain; version=0.0.4"
_MEGABYTE = 1024 * 1024

Line = tuple[str, float]


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/tools/metrics-prometheus",
            get_metrics,
            "Numbers about the server in Prometheus' text format",
            answers=MEDIA_TYPE,
        )
    ]


def get_metrics(request: Request) -> Answer:
    """`GET /tools/metrics-prometheus`: nothing if metrics are switched off."""
    if not metrics_shown(request):
        return Answer(b"", MEDIA_TYPE)
    now = time.time_ns() // 1_000_000
    lines = sorted((*_archive(request.context), *_processes(request.context)))
    return Answer(
        "".join(f"orthanc_{name} {value:.10g} {now}\n" for name, value in lines).encode(), MEDIA_TYPE
    )


def _archive(context: Context) -> Iterator[Line]:
    """What the index knows."""
    counts = resources.statistics(context.archive)
    if counts is not None:
        yield "count_patients", counts.patients
        yield "count_studies", counts.studies
        yield "count_series", counts.series
        yield "count_instances", counts.instances
        yield "disk_size_mb", counts.disk_size / _MEGABYTE
        yield "uncompressed_size_mb", counts.uncompressed_size / _MEGABYTE
    yield "last_change", changes.page(context.archive, last=True).last
    jobs = queue.counts(context.archive)
    success, failure = jobs[State.SUCCESS], jobs[State.FAILURE]
    yield "jobs_pending", jobs[State.PENDING] + jobs[State.RETRY]
    yield "jobs_running", jobs[State.RUNNING]
    yield "jobs_total_completed", success + failure
    yield "jobs_total_success", success
    yield "jobs_total_failed", failure


def _processes(context: Context) -> Iterator[Line]:
    """What the processes of this host count and hold."""
    settings = context.settings
    found = metrics.totals()
    processes = max(1, int(found[Metric.SERVING]))
    threads = processes * min(MOST_THREADS, settings.http_threads_count)
    associations = processes * settings.ithil.maximum_associations
    yield "available_http_threads_count", max(0, threads - found[Metric.BUSY_HTTP_THREADS])
    yield "available_dicom_threads", max(0, associations - found[Metric.ASSOCIATIONS])
    yield "storage_cache_size_mb", found[Metric.CACHED_BYTES] / _MEGABYTE
    yield "storage_memory_capacity_mb", processes * settings.maximum_storage_cache_size
    yield "up_time_s", metrics.up_time()
    hidden = {Metric.SERVING, Metric.BUSY_HTTP_THREADS, Metric.ASSOCIATIONS, Metric.CACHED_BYTES}
    for metric, value in found.items():
        if metric not in hidden:
            yield metric.value, value
