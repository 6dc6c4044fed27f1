"""The workloads: what is sent to a fresh server, and which figures come out of it.

A workload is a function of a running, empty server. Every one that stores ends by asking the server how many
instances it holds: a rate of instances that are not there would be worth nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import (
    anonymise,
    archives,
    dicomweb_frames,
    dicomweb_metadata,
    dicomweb_qido,
    dicomweb_stow,
    retrieving,
    searches,
    upload,
    wrk,
)
from benchmarks.datasets import PARTS, InstanceSet
from benchmarks.figures import Figure, Target
from benchmarks.servers import Ports, Server, ServerFailed, running
from benchmarks.storescu import send

_MEGABYTE = 1e6
_SETTLE_SECONDS = 3.0
_SEND_LIMIT = 180.0  # seconds for one workload's sending
_BATCHES = 5  # at each level of the growth workload; the rate is their median


@dataclass(frozen=True, slots=True)
class Sets:
    """The instances of this run."""

    small: InstanceSet
    large: InstanceSet
    studies: InstanceSet
    # What Orthanc gets where it takes some eleven instances a second: enough to measure it by.
    small_few: InstanceSet
    large_few: InstanceSet
    batches: list[InstanceSet]


@dataclass(slots=True)
class Bench:
    """What a workload needs besides the server."""

    sets: Sets
    scratch: Path
    get_seconds: int
    levels: list[int]
    metadata_series: tuple[int, int, int]  # how many series of each of the sizes of dicomweb_metadata
    load_seconds: float  # a server that has not reached a level of stored instances by then is measured there
    notes: list[str] = field(default_factory=list)


Values = dict[str, float]
Measure = Callable[[Server, Bench, frozenset[str]], Values]


@dataclass(frozen=True, slots=True)
class Workload:
    """A measurement on one fresh server.

    ``nodelay`` is whether the server gets ``TCP_NODELAY=1``; ``once`` is for those too long to repeat; with
    ``dicomweb`` Orthanc loads its plugin.
    """

    name: str
    figures: tuple[Figure, ...]
    measure: Measure
    nodelay: bool = True
    once: bool = False
    dicomweb: bool = False


def workloads(levels: list[int], searched: list[int]) -> list[Workload]:
    """All workloads, in the order of the table.

    ``levels`` are numbers of stored instances to ingest at, ``searched`` numbers of studies to search among.
    """
    return [
        Workload("start", (Figure("start", "Start, until /system answers", "s"),), _start),
        _stores("store-small-nagle", "small", 1, nodelay=False, target=Target(50)),
        _stores("store-small-nagle", "small", 4, nodelay=False),
        _stores("store-large-nagle", "large", 1, nodelay=False),
        _stores("store-large-nagle", "large", 4, nodelay=False),
        _stores("store-small", "small", 1, nodelay=True, target=Target(2)),
        _stores("store-small", "small", 4, nodelay=True, target=Target(3)),
        _stores("store-large", "large", 1, nodelay=True, target=Target(2)),
        _stores("store-large", "large", 4, nodelay=True),
        _stores("store-studies", "studies", 1, nodelay=True),
        _uploads("upload-small", "small"),
        _uploads("upload-large", "large"),
        Workload("serving", _SERVING, _serve),
        Workload("archive", _ARCHIVES, _archive),
        Workload("anonymise", _ANONYMISATION, _anonymise),
        *(_searches(studies) for studies in searched),
        _retrieves(nodelay=False),
        _retrieves(nodelay=True),
        *(_qido(studies) for studies in searched),
        Workload(
            "metadata", dicomweb_metadata.figures(), dicomweb_metadata.measure, once=True, dicomweb=True
        ),
        Workload("frames", dicomweb_frames.figures(), dicomweb_frames.measure, dicomweb=True),
        Workload("stow", dicomweb_stow.figures(), dicomweb_stow.measure, dicomweb=True),
        Workload("growth", _growth_figures(levels), _grow, once=True),
    ]


def _start(server: Server, _bench: Bench, _wanted: frozenset[str]) -> Values:
    return {"start": server.start_seconds}


_SET_TITLES = {
    "small": "small (10 KB)",
    "large": "large (525 KB)",
    "studies": "studies of one small instance",
}


def _stores(
    name: str, set_name: str, senders: int, *, nodelay: bool, target: Target | None = None
) -> Workload:
    name = f"{name}-{senders}"
    how = "TCP_NODELAY=1" if nodelay else "unmodified"
    associations = "one association" if senders == 1 else f"{senders} associations"
    title = f"C-STORE {_SET_TITLES[set_name]}, {how}, {associations}"
    measure = partial(_store, name=name, set_name=set_name, senders=senders, nodelay=nodelay)
    return Workload(name, (Figure(name, title, "/s", target),), measure, nodelay=nodelay)


def _store(
    server: Server,
    bench: Bench,
    _wanted: frozenset[str],
    *,
    name: str,
    set_name: str,
    senders: int,
    nodelay: bool,
) -> Values:
    if not nodelay and server.kind.name == "orthanc":
        set_name += "_few"
    instances: InstanceSet = getattr(bench.sets, set_name)
    folders = [instances.folder] if senders == 1 else instances.parts
    taken = send(server, folders, nodelay=nodelay, limit=_SEND_LIMIT)
    _expect(server, instances.count)
    return {name: instances.count / taken}


def _uploads(name: str, set_name: str) -> Workload:
    title = f"REST upload {_SET_TITLES[set_name]}, {upload.CONNECTIONS} connections"
    measure = partial(_upload, name=name, set_name=set_name)
    return Workload(name, (Figure(name, title, "/s", Target(2)),), measure)


def _upload(server: Server, bench: Bench, _wanted: frozenset[str], *, name: str, set_name: str) -> Values:
    instances: InstanceSet = getattr(bench.sets, set_name)
    done = upload.upload_folder(server.http_port, instances.folder, limit=_SEND_LIMIT)
    _expect(server, instances.count)
    return {name: done.rate}


_GETS = (
    Figure("get-study", "GET /studies/{id}", "/s", Target(1)),
    Figure("get-instance", "GET /instances/{id}", "/s"),
    Figure("get-simplified-tags", "GET /instances/{id}/simplified-tags", "/s"),
    Figure("get-tags", "GET /instances/{id}/tags of 1,000 instances in turn", "/s"),
    Figure("new-tags", "GET /instances/{id}/tags of 1,000 instances, never asked before", "/s"),
    Figure("get-file", "GET /instances/{id}/file, large (525 KB)", "/s", Target(1)),
    Figure("get-preview", "GET /instances/{id}/preview, 512 x 512, asked before", "/s"),
    Figure("new-preview", "GET /instances/{id}/preview, 512 x 512, never asked before", "/s", Target(2)),
)
_SERVING = (
    *_GETS,
    Figure("memory-rss", "Memory after storing and serving (RSS)", "MB", Target(1, at_most=True)),
    Figure("memory-pss", "Memory after storing and serving (PSS)", "MB", Target(1, at_most=True)),
)


_NEW_URLS = 50_000  # more than any server answers while it is measured


_ARCHIVE_PATHS = {"archive": "/tools/create-archive", "media": "/tools/create-media"}
_ARCHIVES = (
    Figure("archive", "ZIP of all large instances (525 KB)", "MB/s", Target(1)),
    Figure("media", "ZIP with DICOMDIR of all large instances (525 KB)", "MB/s", Target(1)),
)


def _archive(server: Server, bench: Bench, wanted: frozenset[str]) -> Values:
    """Store the large instances, and draw ZIPs of them."""
    instances = bench.sets.large
    send(server, instances.parts, nodelay=True, limit=_SEND_LIMIT)
    _expect(server, instances.count)
    return {
        name: archives.rate(server, instances, path)
        for name, path in _ARCHIVE_PATHS.items()
        if name in wanted
    }


_ANONYMISATION = (Figure("anonymise", "Anonymise all large instances (525 KB) in one job", "/s", Target(1)),)


def _anonymise(server: Server, bench: Bench, _wanted: frozenset[str]) -> Values:
    """Store the large instances, and have them anonymised."""
    instances = bench.sets.large
    send(server, instances.parts, nodelay=True, limit=_SEND_LIMIT)
    _expect(server, instances.count)
    return {"anonymise": anonymise.rate(server, instances)}


_MANY_STUDIES = 20_000  # from here on a search must not feel how many there are


def _searches(studies: int) -> Workload:
    target = Target(5) if studies >= _MANY_STUDIES else None
    return Workload(
        f"find-{studies}",
        searches.figures(studies, target),
        partial(searches.measure, studies=studies),
        once=True,
    )


def _qido(studies: int) -> Workload:
    return Workload(
        f"qido-{studies}",
        dicomweb_qido.figures(studies),
        partial(dicomweb_qido.measure, studies=studies),
        once=True,
        dicomweb=True,
    )


def _retrieves(*, nodelay: bool) -> Workload:
    def measure(server: Server, bench: Bench, wanted: frozenset[str]) -> Values:
        return retrieving.measure(server, bench.scratch, wanted, nodelay=nodelay)

    name = "retrieve" if nodelay else "retrieve-nagle"
    return Workload(name, retrieving.figures(nodelay=nodelay), measure, nodelay=nodelay)


def _serve(server: Server, bench: Bench, wanted: frozenset[str]) -> Values:
    """Fill the server by both doors, read from it, and weigh it after all that."""
    fill(server, bench.sets)
    weigh = bool(wanted & {"memory-rss", "memory-pss"})
    values = {
        name: wrk.rate(server, listed, seconds=bench.get_seconds, scratch=bench.scratch)
        for name, listed in get_paths(bench.sets).items()
        if weigh or name in wanted
    }
    if weigh:
        memory = server.memory()
        values["memory-rss"] = memory.rss / _MEGABYTE
        values["memory-pss"] = memory.pss / _MEGABYTE
    return values


def fill(server: Server, sets: Sets) -> None:
    """Store all there is: the small and large by four associations, the studies by REST upload."""
    for instances in (sets.small, sets.large):
        send(server, instances.parts, nodelay=True, limit=_SEND_LIMIT)
    upload.upload_folder(server.http_port, sets.studies.folder, limit=_SEND_LIMIT)
    _expect(server, sets.small.count + sets.large.count + sets.studies.count)


def get_paths(sets: Sets) -> dict[str, list[str]]:
    """For each GET figure the paths that are asked for in turn.

    `new-...` have a URL that is new each time, so that no server can answer from memory.
    """
    small, large = sets.small.instance_ids(200), sets.large.instance_ids(100)
    thousand = sets.small.instance_ids(1000)
    return {
        "get-study": [f"/studies/{study}" for study in sets.small.study_ids()],
        "get-instance": [f"/instances/{instance}" for instance in small],
        "get-simplified-tags": [f"/instances/{instance}/simplified-tags" for instance in small],
        "get-tags": [f"/instances/{instance}/tags" for instance in thousand],
        "new-tags": [f"/instances/{thousand[n % len(thousand)]}/tags?n={n}" for n in range(_NEW_URLS)],
        "get-file": [f"/instances/{instance}/file" for instance in large],
        "get-preview": [f"/instances/{instance}/preview" for instance in large],
        "new-preview": [f"/instances/{large[n % len(large)]}/preview?n={n}" for n in range(_NEW_URLS)],
    }


def _growth_figures(levels: list[int]) -> tuple[Figure, ...]:
    figures = [Figure("stored-0", "C-STORE small, one association, 0 stored", "/s")]
    for level in levels:
        figures.append(Figure(f"stored-{level}", f"The same, {level:,} stored", "/s"))
        title = f"Rate at {level:,} stored / rate of an empty one by turns"
        figures.append(Figure(f"stored-{level}-flat", title, "", Target(0.9, alone=True)))
    return tuple(figures)


def _grow(server: Server, bench: Bench, _wanted: frozenset[str]) -> Values:
    """Measure the ingest rate on an empty archive, fill it to each level, and measure again.

    There it takes turns with an empty server of its kind: on a shared machine the minutes that filling takes can
    change the rate by more than what was stored.
    """
    batches = iter(bench.sets.batches)
    stored = 0

    def rates(servers: list[Server]) -> list[float]:
        nonlocal stored
        # What filling left to the disk must not be measured: let it be written, and the server end its sweeps.
        time.sleep(_SETTLE_SECONDS)
        os.sync()
        found: list[list[float]] = [[] for _ in servers]
        for number in range(_BATCHES):
            batch = next(batches)
            turns = list(zip(servers, found, strict=True))
            for each, of_each in turns if number % 2 else reversed(turns):
                taken = send(each, [batch.folder], nodelay=True, limit=_SEND_LIMIT)
                of_each.append(batch.count / taken)
            stored += batch.count
        _expect(server, stored)
        return list(map(median, found))

    (at_first,) = rates([server])
    values = {"stored-0": at_first}
    loaded = 0
    for level in bench.levels:
        missing = level - stored
        if missing > 0:
            done = upload.upload_bulk(server.http_port, loaded, missing, seconds=bench.load_seconds)
            loaded += missing  # the numbers of an early stop are left unused: no instance is sent twice
            stored += done.count
            _expect(server, stored)
        if stored < level:
            bench.notes.append(
                f"{server.kind.title} had stored {stored:,} instances instead of {level:,} when the "
                f"{bench.load_seconds:.0f} s for filling it were over; its figures are from there."
            )
        folder = bench.scratch / f"{server.kind.title}-empty-{level}"
        with running(server.kind, folder, Ports(server.http_port), nodelay=True) as empty:
            values[f"stored-{level}"], of_empty = rates([server, empty])
        values[f"stored-{level}-flat"] = values[f"stored-{level}"] / of_empty
    return values


def batches_needed(levels: list[int]) -> int:
    """How many batches of instances the growth workload sends for these levels."""
    return _BATCHES * (1 + len(levels))


def _expect(server: Server, count: int) -> None:
    held = server.instances()
    if held != count:
        raise ServerFailed(f"{server.kind.title} acknowledged {count} instances and holds {held}")


assert PARTS == upload.CONNECTIONS, "the tables speak of four associations and of four connections"
