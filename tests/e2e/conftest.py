"""A headless Chromium, and a server with the OHIF viewer and studies to look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from tests.data.real import content_of
from tests.e2e import pictures
from tests.servers.ithil import Ithil

from ithil.explorer.ohif import installation
from ithil.explorer.ohif.install import install

COMPRESSED = "pydicom-data/693_J2KR.dcm"
"""A CT slice in JPEG 2000, which the browser decodes itself."""

USER, PASSWORD = "radiologist", "secret"

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL 2 without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]

NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def ohif() -> None:
    """The viewer is installed where servers look for it."""
    viewer = installation.load(installation.default_directory())
    if viewer is not None and viewer.is_sound():
        return
    if shutil.which("npm") is None:
        pytest.skip("there is no npm to fetch OHIF with")
    install(installation.default_directory())


@pytest.fixture(scope="session")
def browser(ohif: None) -> Iterator[Browser]:
    """One Chromium for all tests."""
    executable = next((path for name in _NAMES if (path := shutil.which(name))), None)
    assert executable is not None, f"none of {', '.join(_NAMES)} is there; `make test` installs chromium"
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else _FLAGS  # it refuses to be root in a sandbox
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, headless=True, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[NewContext]:
    """A function that makes a fresh profile of the browser: no cache, no credentials but those given."""
    with ExitStack() as stack:

        def make(**options: Any) -> BrowserContext:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
            stack.callback(context.close)
            return context

        yield make


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, ohif: None) -> Iterator[Ithil]:
    """A server that asks for credentials and holds a CT series and a compressed CT image."""
    folder = tmp_path_factory.mktemp("e2e")
    settings = {"Name": "Demo", "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}}
    with Ithil(folder / "ithil", settings) as server:
        for content in (*pictures.slices(), content_of(COMPRESSED)):
            stored = server.ask("POST", "/instances", content, user=(USER, PASSWORD))
            assert stored.status == 200, stored.body
        yield server


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """The folder for the pictures of the documentation; None if they are not to be made."""
    folder = os.environ.get("ITHIL_SCREENSHOTS")
    return Path(folder) if folder else None
