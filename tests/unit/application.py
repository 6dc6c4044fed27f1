"""A REST application over a real archive in a folder of the test, and clients that call it in-process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.data import get_testdata_file

from ithil.app import every_route
from ithil.archive.archive import Archive
from ithil.http.server import HttpApp, create_app
from ithil.jobs.engine import Engine
from ithil.services.job_kinds import every_kind
from ithil.settings import Settings


class Client:
    """Calls an application without a network, one request at a time."""

    def __init__(self, app: HttpApp, address: str) -> None:
        self.app = app
        self.auth: tuple[str, str] | None = None
        self._address = address

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One request; `options` are those of httpx."""
        options.setdefault("auth", self.auth)

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(
                app=self.app,  # type: ignore[arg-type]
                client=(self._address, 50000),
                raise_app_exceptions=False,
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.request(method, url, **options)

        return asyncio.run(ask())

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", url, **options)


MakeClient = Callable[..., Client]


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    """A function that makes a client of an application with the given settings."""
    opened: list[tuple[Archive, HttpApp, Engine]] = []

    def make(address: str = "127.0.0.1", **settings: Any) -> Client:
        folder = tmp_path / f"archive-{len(opened)}"
        options = Settings(**{"storage_directory": folder, **settings})
        archive = Archive.open(options)
        app = create_app(archive, options, every_route(options))
        engine = Engine(archive, every_kind())
        engine.start()
        opened.append((archive, app, engine))
        return Client(app, address)

    yield make
    for archive, app, engine in opened:
        app.close()
        engine.stop(10)
        archive.close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    """A client of an application with default settings."""
    return make_client()


@pytest.fixture
def ct() -> bytes:
    """A CT image with sequences missing but private tags and native pixel data."""
    return read("CT_small.dcm")


@pytest.fixture
def mr() -> bytes:
    """An MR image of another patient, RLE compressed."""
    return read("MR_small_RLE.dcm")


@pytest.fixture
def plan() -> bytes:
    """A radiotherapy plan: nested sequences, no pixel data."""
    return read("rtplan.dcm")


def read(name: str) -> bytes:
    """A file of pydicom's own test data, which is installed with it."""
    return Path(str(get_testdata_file(name, download=False))).read_bytes()


CT_INSTANCE = "f689ddd2-662f8fe1-8b18180d-ec2a2cee-937917af"
CT_SERIES = "93034833-163e42c3-bc9a428b-194620cf-2c5799e5"
CT_STUDY = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"
CT_PATIENT = "fa558bce-587a86d3-ad0da9b3-9d043d9d-4f5c5718"
