"""The budget for what is in flight."""

from __future__ import annotations

import pytest
from tests.unit.application import Client

from ithil.http.admission import Budget, Busy


def test_a_budget_is_taken_and_given_back() -> None:
    budget = Budget(100)
    with budget.share(60), budget.share(40), pytest.raises(Busy), budget.share(1):
        pass
    with budget.share(100):
        pass


def test_one_request_alone_is_always_let_in() -> None:
    with Budget(100).share(1000):
        pass


def test_a_server_that_is_busy_says_when_to_come_back(client: Client, ct: bytes) -> None:
    budget = Budget(10)
    client.app._budget = budget
    with budget.share(10):
        answer = client.post("/instances", content=ct)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert client.get("/system").is_success
    assert client.post("/instances", content=ct).is_success
