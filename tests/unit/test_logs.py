"""How much is logged, for all and for each category, in whichever process."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import pytest

from ithil import logs, metrics
from ithil.metrics import Metric


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.apply(dict.fromkeys(logs.CATEGORIES, "default"))
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_command_line_sets_all_categories() -> None:
    for verbosity, name in enumerate(logs.LEVELS):
        logs.configure("text", verbosity)
        assert set(logs.current().values()) == {name}
        assert logs.most_detailed(logs.current()) == name


def test_one_category_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", 0)
    logs.apply({"dicom": "trace"})
    logging.getLogger("ithil.network.acceptor").debug("in detail")
    logging.getLogger("ithil.services.store").info("verbosely")
    logging.getLogger("ithil.http.server").info("not this")
    logging.getLogger("ithil.app").info("nor this")
    said = capsys.readouterr().err
    assert "in detail" in said
    assert "verbosely" in said
    assert "this" not in said
    assert logs.current()["http"] == "default"
    assert logs.most_detailed(logs.current()) == "trace"


def test_json_lines_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", 0)
    logging.getLogger("ithil.app").warning('one\n{"level": "ERROR"}')
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["level"] == "WARNING"


def test_warnings_and_errors_are_counted() -> None:
    logs.configure("text", 2)
    before = metrics.totals()
    log = logging.getLogger("ithil.app")
    log.warning("one")
    log.error("two")
    log.info("not counted")
    after = metrics.totals()
    assert after[Metric.WARNINGS] - before[Metric.WARNINGS] == 1
    assert after[Metric.ERRORS] - before[Metric.ERRORS] == 1


def test_a_process_follows_what_another_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.01)
    logs.configure("text", 0)
    wanted: dict[str, str] = {}

    def reaches(level: str) -> bool:
        deadline = time.monotonic() + 10
        while logs.current()["jobs"] != level and time.monotonic() < deadline:
            time.sleep(0.01)
        return logs.current()["jobs"] == level

    with logs.following(lambda: dict(wanted)):
        wanted["jobs"] = "verbose"
        assert reaches("verbose")
        assert logs.current()["http"] == "default"
        wanted.clear()
        assert reaches("default")
