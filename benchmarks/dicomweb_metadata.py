"""How fast the metadata of a series is, never asked before (cold) and asked again (warm).

Cold: each of some series once, one after the other, the rate of their median. `StableAge` is a
day here, so Ithil has not prepared the document of a series in the background as it does in an ordinary
installation, where a series that became stable is warm before anyone asks. The files themselves are in the
page cache, for both servers alike. Warm: eight connections go round the same series; once without
compression, and once as browsers and Python's clients ask, with gzip.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import upload
from benchmarks.datasets import SMALL_PIXELS
from benchmarks.dicomweb_answers import JSON, Client, rate, series_path
from benchmarks.figures import Figure, Target
from benchmarks.servers import Server, ServerFailed
from benchmarks.template import Address, Template

if TYPE_CHECKING:
    from benchmarks.workloads import Bench

SIZES = (50, 600, 2000)  # instances in a series
_KIND = 7
_LEAST_ELEMENTS = 60  # of each instance; the template has about 100
_FILL_RATE = 50.0  # instances a second that the slower server is expected to take at least


def figures() -> tuple[Figure, ...]:
    """The figures."""
    found = []
    for size in SIZES:
        title = f"metadata of a series of {size:,} instances"
        found += [
            Figure(f"metadata-{size}-cold", f"{title}, never asked before", "/s", Target(5)),
            Figure(f"metadata-{size}", f"{title}, asked before, 8 connections", "/s", Target(50)),
            Figure(f"metadata-{size}-gzip", f"{title}, the same with gzip", "/s", Target(50)),
        ]
    return tuple(found)


def measure(server: Server, bench: Bench, wanted: frozenset[str]) -> dict[str, float]:
    """Instances in, metadata out. Raises ServerFailed, SendFailed."""
    values: dict[str, float] = {}
    stored = 0
    for size, count in zip(SIZES, bench.metadata_series, strict=True):
        figure = f"metadata-{size}"
        if not wanted & {figure, f"{figure}-cold", f"{figure}-gzip"}:
            continue
        series = [Address(_KIND, SIZES.index(size) * 100 + number, 0, 0) for number in range(count)]
        folder = _written(bench.scratch / figure, series, size)
        upload.upload_folder(server.http_port, folder, limit=60 + size * count / _FILL_RATE)
        stored += size * count
        if server.instances() != stored:
            raise ServerFailed(f"{server.kind.title} does not hold the {stored} instances it was sent")
        server.measuring()
        taken = _cold(server, series, size)
        if f"{figure}-cold" in wanted:
            values[f"{figure}-cold"] = 1 / median(taken)
        paths = [f"{series_path(one)}/metadata" for one in series]
        for name, headers in {figure: JSON, f"{figure}-gzip": {**JSON, "Accept-Encoding": "gzip"}}.items():
            if name in wanted:
                again = Client(server).ask(paths[-1], headers)
                values[name] = rate(server, bench, paths, headers, one=again.seconds)
    return values


def _cold(server: Server, series: list[Address], size: int) -> list[float]:
    """Seconds that each series takes when it is asked for first; all are checked."""
    taken = []
    client = Client(server)
    for one in series:
        found, seconds = client.ask_json(f"{series_path(one)}/metadata")
        uids = {data_set["00080018"]["Value"][0] for data_set in found}
        if len(uids) != size or any(len(data_set) < _LEAST_ELEMENTS for data_set in found):
            raise ServerFailed(f"{server.kind.title} left something out of the metadata of a series")
        taken.append(seconds)
    return taken


def _written(folder: Path, series: list[Address], size: int) -> Path:
    """The folder with the files of these series."""
    if not folder.exists():
        template = Template(*SMALL_PIXELS)
        folder.mkdir(parents=True)
        for one in series:
            for number in range(size):
                content = template.render(Address(one.kind, one.study, one.series, number))
                (folder / f"{one.study:03d}-{number:04d}.dcm").write_bytes(content)
    return folder
