"""All scenarios by name, for the tests, the report and the documentation."""

from __future__ import annotations

from tests.conformance.access import ACCESS
from tests.conformance.changing import CHANGING
from tests.conformance.line import Scenario
from tests.conformance.reading import READING
from tests.conformance.uploading import UPLOADING

SCENARIOS: dict[str, Scenario] = {each.name: each for each in (*UPLOADING, READING, *CHANGING, *ACCESS)}
