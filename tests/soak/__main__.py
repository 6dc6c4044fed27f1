"""`python -m tests.soak [--seconds 600] [--seed 1]`: exits with 1 if something was not as it must be."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soak.course import run


def main() -> int:
    """Run it and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the callers call")
    parser.add_argument("--seed", type=int, default=1, help="what they do")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ithil-soak-") as folder:
        report = run(Path(folder) / "server", arguments.seconds, arguments.seed)
    print(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
