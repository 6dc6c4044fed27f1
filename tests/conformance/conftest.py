"""Fixtures that the conformance tests share: what both servers accept, and one pair that holds all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.pair import Pair, accepted_by_both, running_pair


@pytest.fixture(scope="session")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the real files that Orthanc and Ithil both store."""
    return accepted_by_both(tmp_path_factory.mktemp("accepted"))


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory, accepted: list[str]) -> Iterator[Pair]:
    """Orthanc and Ithil with all of `accepted`; its users must not change anything."""
    with running_pair(tmp_path_factory.mktemp("loaded")) as pair:
        pair.upload(accepted)
        yield pair
