"""How a fuzz target runs: with atheris if it is installed, else with the target's own random mutations."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Target = Callable[[bytes], None]
Mutations = Callable[[random.Random], Iterator[bytes]]


def run_random(target: Target, mutations: Mutations, seconds: float, seed: int) -> int:
    """Try mutations for some time; the number tried. Keeps the input that breaks something, and raises."""
    end = time.monotonic() + seconds
    tried = 0
    for data in mutations(random.Random(seed)):
        try:
            target(data)
        except BaseException:
            finding = Path(f"finding-{seed}-{tried}.bin")
            finding.write_bytes(data)
            print(f"the input is in {finding}", file=sys.stderr)
            raise
        tried += 1
        if time.monotonic() >= end:
            break
    return tried


def main(description: str | None, target: Target, mutations: Mutations) -> None:
    """The command line of a target; unknown arguments go to atheris."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="where the mutations start (without atheris)"
    )
    arguments, rest = parser.parse_known_args()
    try:
        import atheris
    except ImportError:
        print(f"random mutation, seed {arguments.seed}")
        tried = run_random(target, mutations, arguments.seconds, arguments.seed)
        print(f"{tried} inputs, nothing found")
        return
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={arguments.seconds}", *rest], target)
    atheris.Fuzz()
