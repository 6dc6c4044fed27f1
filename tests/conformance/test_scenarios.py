"""Ithil answers as Orthanc does, but for what the tables declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.c_store import c_store_differences
from tests.conformance.find_scp import find_outcomes
from tests.conformance.line import Ask, Scenario
from tests.conformance.pair import Pair, run_scenario
from tests.conformance.reading import READING
from tests.conformance.retrieve_scp import retrieve_differences
from tests.conformance.scenarios import SCENARIOS

CHANGING = [each for each in SCENARIOS.values() if each is not READING]


@pytest.mark.parametrize("ask", READING.lines, ids=lambda ask: ask.title)
def test_reading(loaded: Pair, ask: Ask) -> None:
    outcome = loaded.run(ask)
    assert outcome.good, str(outcome)


@pytest.mark.parametrize("scenario", CHANGING, ids=lambda scenario: scenario.name)
def test_scenario(tmp_path: Path, scenario: Scenario, accepted: list[str]) -> None:
    outcomes = run_scenario(tmp_path, scenario, accepted)
    bad = [str(outcome) for outcome in outcomes if not outcome.good]
    assert not bad, "\n".join(bad)


def test_c_store(tmp_path: Path) -> None:
    found = c_store_differences(tmp_path)
    assert not found, "\n".join(map(str, found))


def test_c_find(tmp_path: Path, accepted: list[str]) -> None:
    outcomes = find_outcomes(tmp_path, accepted)
    assert len(outcomes) >= 100
    bad = [str(outcome) for outcome in outcomes if not outcome.good]
    assert not bad, "\n".join(bad)


def test_retrieving(tmp_path: Path) -> None:
    complaints = retrieve_differences(tmp_path)
    assert not complaints, "\n".join(complaints)
