"""The conformance report: `python -m tests.conformance [--only NAME ...] [--subject orthanc]`.

Prints every scenario with what is the same, what differs on purpose and why, and what differs without anybody
having said so; ends with 1 if there is any of the last. `--subject orthanc` compares Orthanc with itself,
which shows whether a line is stable enough to compare.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.c_store import c_store_differences
from tests.conformance.find_scp import find_outcomes
from tests.conformance.pair import SUBJECTS, Outcome, accepted_by_both, run_scenario
from tests.conformance.retrieve_scp import retrieve_differences
from tests.conformance.scenarios import SCENARIOS

C_STORE = "C-STORE"
C_FIND = "C-FIND"
RETRIEVE = "C-MOVE and C-GET"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios and print the report; the return value is the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--subject", choices=sorted(SUBJECTS), default="ithil", help="what Orthanc is compared with"
    )
    parser.add_argument(
        "--only", nargs="+", choices=[*SCENARIOS, C_STORE, C_FIND, RETRIEVE], help="these scenarios only"
    )
    parser.add_argument("--purpose", action="store_true", help="list what differs on purpose too")
    chosen = parser.parse_args(arguments)
    names = chosen.only or [*SCENARIOS, C_STORE, C_FIND, RETRIEVE]
    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        folder = Path(temporary)
        wants_all = any(
            name == C_FIND or (name in SCENARIOS and SCENARIOS[name].files is None) for name in names
        )
        files = accepted_by_both(folder / "accepted", chosen.subject) if wants_all else []
        good = True
        for number, name in enumerate(names):
            if name == C_STORE:
                found = c_store_differences(folder / "c-store", chosen.subject)
                print(f"== {name}: {len(found)} differ")
                print("".join(f"  {each}\n" for each in found), end="")
                good = good and not found
                continue
            if name == C_FIND:
                answered = find_outcomes(folder / "c-find", files, chosen.subject)
                differ = [str(each) for each in answered if not each.good]
                print(f"== {name}: {len(answered)} queries, {len(differ)} differ", *differ, sep="\n")
                good = good and not differ
                continue
            if name == RETRIEVE:
                complaints = retrieve_differences(folder / "retrieve", chosen.subject)
                print(f"== {name}: {len(complaints)} differ", *complaints, sep="\n")
                good = good and not complaints
                continue
            outcomes = run_scenario(folder / str(number), SCENARIOS[name], files, chosen.subject)
            print(_summary(name, outcomes, chosen.purpose), flush=True)
            good = good and all(outcome.good for outcome in outcomes)
    return 0 if good else 1


def _summary(name: str, outcomes: list[Outcome], purpose: bool) -> str:
    requests = sum(outcome.asked for outcome in outcomes)
    bad = [outcome for outcome in outcomes if not outcome.good]
    on_purpose = [outcome for outcome in outcomes if outcome.good and outcome.on_purpose]
    lines = [
        f"== {name}: {len(outcomes)} lines, {requests} requests; "
        f"{len(bad)} lines differ, {len(on_purpose)} differ on purpose only"
    ]
    lines += [str(outcome) for outcome in bad]
    if purpose:
        for outcome in on_purpose:
            lines.append(f"{outcome.ask.title}: on purpose")
            lines += [f"  {path}: {found}" for path, found in outcome.on_purpose[:5]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
