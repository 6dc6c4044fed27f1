"""Fixtures for all tests: real servers on ports and folders of their own, stopped when the test ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.ithil import Ithil
from tests.servers.orthanc import Orthanc
from tests.servers.postgresql import PostgreSql

# How long an example takes depends on what else the machine does, so nothing is said of it.
settings.register_profile("ithil", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ithil")

# Where a virtual environment is activated, pynetdicom's storescu and the like would be found instead of dcmtk's.
_OWN_PROGRAMS = os.path.join(sys.prefix, "bin")
os.environ["PATH"] = os.pathsep.join(folder for folder in os.get_exec_path() if folder != _OWN_PROGRAMS)

StartIthil = Callable[..., Ithil]
StartOrthanc = Callable[..., Orthanc]


@pytest.fixture
def start_ithil(tmp_path: Path) -> Iterator[StartIthil]:
    """A function that starts an Ithil with the given configuration, as often as a test likes."""
    with ExitStack() as stack:
        count = 0

        def start(configuration: Mapping[str, Any] | None = None, **environment: str) -> Ithil:
            nonlocal count
            count += 1
            return stack.enter_context(Ithil(tmp_path / f"ithil-{count}", configuration, environment))

        yield start


@pytest.fixture
def ithil(start_ithil: StartIthil) -> Ithil:
    """An Ithil with the default configuration."""
    return start_ithil()


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[StartOrthanc]:
    """A function that starts an Orthanc with the given configuration, as often as a test likes."""
    with ExitStack() as stack:
        count = 0

        def start(configuration: Mapping[str, Any] | None = None) -> Orthanc:
            nonlocal count
            count += 1
            return stack.enter_context(Orthanc(tmp_path / f"orthanc-{count}", configuration))

        yield start


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSql]:
    """One PostgreSQL cluster for the whole run; a test that fills it takes a database of its own."""
    with PostgreSql() as server:
        yield server


@pytest.fixture
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL cluster for one test, which may halt and restart it."""
    with PostgreSql() as server:
        yield server
