"""``python -m benchmarks.profile FIGURE``: where Ithil spends its time in one workload.

The server runs as in the benchmark, but inside ``benchmarks.sampling``. The rate under the sampler is printed
with the tables; it is a few percent below the true one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import servers, wrk
from benchmarks.servers import Kind, Ports, Server
from benchmarks.sizes import QUICK, USUAL, write_sets
from benchmarks.workloads import Bench, Workload, fill, get_paths, workloads

_RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Profile one figure's workload and print what was found."""
    options = _options()
    sizes = QUICK if options.quick else USUAL
    levels = list(sizes.levels)
    chosen = workloads(levels, list(sizes.searched))
    known = {figure.name: workload for workload in chosen for figure in workload.figures}
    if options.figure not in known:
        sys.exit("no such figure; there are: " + ", ".join(known))
    _RESULTS.mkdir(exist_ok=True)
    results = _RESULTS / f"profile-{options.figure}"
    command = [sys.executable, "-m", "benchmarks.sampling", str(results), "serve"]
    kind = Kind("ithil", "Ithil", lambda config: [*command, str(config)])
    servers.end_on_sigterm()
    root = Path(tempfile.mkdtemp(prefix="ithil-profile-", dir=options.directory))
    try:
        sets = write_sets(root / "data", sizes, levels)
        bench = Bench(sets, root, options.seconds, levels, sizes.metadata_series, sizes.load_seconds)
        workload = known[options.figure]
        with servers.running(
            kind,
            root / "server",
            Ports(options.ports),
            nodelay=workload.nodelay,
            politely=True,
            dicomweb=workload.dicomweb,
        ) as server:
            rate = _measure(server, bench, workload, options.figure)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(results.with_suffix(".txt").read_text(encoding="utf-8"))
    print(f"\n{options.figure}: {rate:,.1f} under the sampler")
    print(f"for flame graph tools: {results.relative_to(_RESULTS.parent.parent)}.collapsed")


def _measure(server: Server, bench: Bench, workload: Workload, figure: str) -> float:
    paths = get_paths(bench.sets).get(figure)
    if paths is not None:
        fill(server, bench.sets)
    server.measuring = partial(os.kill, server.process.pid, signal.SIGUSR2)
    server.measuring()
    if paths is not None:
        return wrk.rate(server, paths, seconds=bench.get_seconds, scratch=bench.scratch)
    return workload.measure(server, bench, frozenset({figure}))[figure]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description="Where Ithil spends its time in one workload."
    )
    parser.add_argument("figure", help="a figure's name, as python -m benchmarks --list gives it")
    parser.add_argument("--quick", action="store_true", help="small data")
    parser.add_argument("--seconds", type=int, default=5, help="how long a GET workload runs")
    parser.add_argument("--directory", type=Path, help="where to store, on the disk to be measured")
    parser.add_argument("--ports", type=int, default=15500, help="the first of a hundred ports to use")
    return parser.parse_args()


if __name__ == "__main__":
    main()
