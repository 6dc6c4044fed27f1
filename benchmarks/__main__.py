"""``python -m benchmarks``: run the workloads on both servers in turn and print the table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, report, servers
from benchmarks.figures import Line
from benchmarks.servers import Kind, Ports, ServerFailed
from benchmarks.sink import upload_ceiling
from benchmarks.sizes import QUICK, USUAL, Sizes, write_sets
from benchmarks.storescu import SendFailed
from benchmarks.workloads import Bench, Workload, workloads

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parent / "docs" / "performance.md"
_FULL_LEVELS = [50_000, 200_000]
_FULL_SEARCHED = [3_000, 100_000]
_FULL_LOAD_SECONDS = 600.0

# values[figure][server] are the values of all rounds
Measured = dict[str, dict[str, list[float]]]


def main() -> int:
    """Run the benchmarks; the exit status is 1 if a workload failed, whatever the rates."""
    options = _options()
    sizes = QUICK if options.quick else USUAL
    levels = _levels(options, sizes)
    chosen = workloads(levels, _searched(options, sizes))
    if options.list:
        for workload in chosen:
            for figure in workload.figures:
                print(f"{figure.name:24} {figure.title}")
        return 0
    wanted = _wanted(chosen, options.only)
    chosen = [workload for workload in chosen if any(figure.name in wanted for figure in workload.figures)]
    kinds = [kind for kind in _kinds(options.ithil_option) if kind.name in options.servers.split(",")]
    if options.write_docs and (options.only or options.quick or len(kinds) < 2):
        sys.exit("--write-docs is for whole runs of both servers, without --quick and --only")
    servers.end_on_sigterm()
    root = _root(options.directory)
    try:
        about = [f"Command: `python -m benchmarks{_arguments()}`", *machine.describe(root)]
        print("\n".join(about), flush=True)
        print("writing the instances ...", flush=True)
        bench = Bench(
            sets=write_sets(root / "data", sizes, levels),
            scratch=root,
            get_seconds=sizes.get_seconds,
            levels=levels,
            metadata_series=sizes.metadata_series,
            load_seconds=_FULL_LOAD_SECONDS if options.full else sizes.load_seconds,
        )
        ceiling = upload_ceiling(bench.sets.small.folder)
        bench.notes.append(
            f"The upload client alone, to a server that only answers: {ceiling.rate:,.0f} small instances/s."
        )
        budget = float("inf") if options.full else sizes.budget_seconds
        rounds = _Rounds(bench, kinds, wanted, Ports(options.ports), root, options.keep)
        measured = rounds.run(chosen, options.rounds or sizes.rounds, budget)
    finally:
        if options.keep:
            print(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    lines = [
        Line(figure, measured[figure.name]["orthanc"], measured[figure.name]["ithil"])
        for workload in chosen
        for figure in workload.figures
        if figure.name in wanted
    ]
    print("\n" + report.table(lines) + "\n")
    print("\n".join(bench.notes))
    report.write_json(_HERE / "results" / "last.json", lines, about, bench.notes)
    if options.write_docs and not rounds.failures:
        report.write_page(_PAGE, report.page(lines, about, bench.notes))
    return 1 if rounds.failures else 0


class _Rounds:
    """Runs the workloads round after round: in each, every workload on one server and then on the other."""

    def __init__(
        self,
        bench: Bench,
        kinds: Sequence[Kind],
        wanted: frozenset[str],
        ports: Ports,
        root: Path,
        keep: bool,
    ) -> None:
        self._bench = bench
        self._kinds = kinds
        self._wanted = wanted
        self._ports = ports
        self._root = root
        self._keep = keep
        self.failures: list[str] = []
        self.measured: Measured = defaultdict(lambda: defaultdict(list))

    def run(self, chosen: Sequence[Workload], rounds: int, budget: float) -> Measured:
        """Do up to ``rounds``, and none that would end later than ``budget`` seconds from now."""
        started = time.monotonic()
        done = 0
        longest = 0.0
        while done < rounds:
            round_started = time.monotonic()
            if done and round_started - started + longest > budget:
                break
            once_took = 0.0
            for workload in chosen:
                if workload.once and done:
                    continue
                workload_started = time.monotonic()
                # Who goes first changes with the round: a drift of the machine favours neither.
                for kind in self._kinds if done % 2 == 0 else self._kinds[::-1]:
                    self._measure(workload, kind, done + 1)
                if workload.once:
                    once_took = time.monotonic() - workload_started
            longest = max(longest, time.monotonic() - round_started - once_took)
            done += 1
        how_many = "one run" if done == 1 else f"the median of {done} runs"
        once = [workload.name for workload in chosen if workload.once and done > 1]
        self._bench.notes.insert(
            0, f"Each figure is {how_many}" + (f"; {', '.join(once)}: one run." if once else ".")
        )
        self._bench.notes.extend(self.failures)
        return self.measured

    def _measure(self, workload: Workload, kind: Kind, number: int) -> None:
        directory = self._root / f"{number}-{workload.name}-{kind.name}"
        started = time.monotonic()
        try:
            with servers.running(
                kind, directory, self._ports, nodelay=workload.nodelay, dicomweb=workload.dicomweb
            ) as server:
                values = workload.measure(server, self._bench, self._wanted)
        except (ServerFailed, SendFailed, OSError) as error:
            failure = f"{workload.name} failed on {kind.title}: {error}"
            self.failures.append(failure)
            print(failure, file=sys.stderr, flush=True)
            return
        # What was stored stays until the end: ext4 looks at each recently deleted inode when it makes a file,
        # so a run after a clean-up would measure the clean-up.
        took = time.monotonic() - started
        for figure in workload.figures:
            if figure.name in values and figure.name in self._wanted:
                self.measured[figure.name][kind.name].append(values[figure.name])
                shown = figure.text(values[figure.name])
                print(
                    f"round {number}  {kind.title:8} {figure.name:24} {shown:>12}   ({took:.0f} s)",
                    flush=True,
                )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Orthanc and Ithil side by side: the same data, the same durability.",
    )
    parser.add_argument("--list", action="store_true", help="list the figures and their names")
    parser.add_argument("--only", metavar="NAME,...", help="only these figures; a name may end with *")
    parser.add_argument(
        "--quick", action="store_true", help="small data, one round: shows that it works, some 4 min"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also 50,000 and 200,000 stored instances and 100,000 studies: an hour",
    )
    parser.add_argument(
        "--stored", metavar="N,...", help="measure ingest with these numbers of instances stored"
    )
    parser.add_argument("--studies", metavar="N,...", help="measure searches among these numbers of studies")
    parser.add_argument("--rounds", type=int, help="how many runs the median is taken of")
    parser.add_argument("--write-docs", action="store_true", help="write the table to docs/performance.md")
    parser.add_argument("--servers", default="orthanc,ithil", help="orthanc, ithil, or both (default)")
    parser.add_argument(
        "--ithil-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="a further option for ithil serve",
    )
    parser.add_argument("--directory", type=Path, help="where to store, on the disk to be measured")
    parser.add_argument(
        "--ports", type=int, default=15500, help="the first of a hundred ports to choose from"
    )
    parser.add_argument("--keep", action="store_true", help="keep the data, the stores and the logs")
    return parser.parse_args()


def _levels(options: argparse.Namespace, sizes: Sizes) -> list[int]:
    if options.stored:
        return sorted({int(level) for level in options.stored.split(",")})
    return _FULL_LEVELS if options.full else list(sizes.levels)


def _searched(options: argparse.Namespace, sizes: Sizes) -> list[int]:
    if options.studies:
        return sorted({int(number) for number in options.studies.split(",")})
    return _FULL_SEARCHED if options.full else list(sizes.searched)


def _wanted(chosen: Sequence[Workload], only: str | None) -> frozenset[str]:
    names = [figure.name for workload in chosen for figure in workload.figures]
    if not only:
        return frozenset(names)
    wanted: set[str] = set()
    for pattern in only.split(","):
        # A workload's name stands for all its figures.
        of_workload = {f.name for workload in chosen if workload.name == pattern for f in workload.figures}
        found = of_workload or {
            name
            for name in names
            if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
        }
        if not found:
            sys.exit(f"no figure is called {pattern}; --list names them")
        wanted |= found
    return frozenset(wanted)


def _kinds(ithil_options: list[str]) -> list[Kind]:
    return [servers.ORTHANC, servers.ithil(tuple(ithil_options))]


def _root(directory: Path | None) -> Path:
    """A fresh folder on a disk; memory would hide what fsync costs."""
    if directory is None and machine.filesystem(Path(tempfile.gettempdir())) == "tmpfs":
        directory = _HERE / "results"
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="ithil-benchmark-", dir=directory))
    if machine.filesystem(root) == "tmpfs":
        print("warning: the storage is on tmpfs, where fsync costs nothing", file=sys.stderr)
    return root


def _arguments() -> str:
    """The options as given, without the ones that say where on this machine."""
    shown = []
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        if argument in ("--directory", "--ports"):
            next(arguments, None)
        elif not argument.startswith(("--directory=", "--ports=")):
            shown.append(argument)
    return "".join(f" {argument}" for argument in shown)


if __name__ == "__main__":
    sys.exit(main())
