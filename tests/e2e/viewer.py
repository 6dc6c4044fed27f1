"""OHIF in a browser, driven as a person would, and what its canvas shows."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response
from tests.e2e import pictures
from tests.e2e.pictures import Pixels

T = TypeVar("T")

DEADLINE = 120.0
"""Seconds for anything to appear: the viewer is a program of 17 MB, and draws without a graphics card."""

_CANVAS = "canvas.cornerstone-canvas"
_PICTURE = f"""() => {{
    const canvas = document.querySelector("{_CANVAS}");
    return canvas && canvas.width > 1 ? canvas.toDataURL("image/png") : "";
}}"""


class Viewer:
    """One page of a browser, and what went wrong on it."""

    def __init__(self, context: BrowserContext, port: int) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(DEADLINE * 1000)
        self.root = f"http://127.0.0.1:{port}"
        self.problems: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"a script failed: {error}"))
        self.page.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def _answered(self, answer: Response) -> None:
        path = answer.url.removeprefix(self.root)
        self.requested.append(path)
        if answer.status >= 400 and answer.status != 401:  # browsers ask without credentials first
            self.problems.append(f"{answer.status} {answer.request.method} {path}")

    def open(self, path: str) -> None:
        """Go to a page of this server."""
        self.page.goto(self.root + path)

    def dismiss_what_greets(self) -> None:
        """Close the notice and the tour that OHIF shows to who comes for the first time."""
        self.page.get_by_role("button", name="Confirm and hide").click()
        self.page.get_by_text("Skip all").click()
        self.page.get_by_text("Skip all").wait_for(state="hidden")

    def scroll(self, notches: int) -> None:
        """Turn the mouse wheel over the canvas, down for a positive number, notch by notch."""
        box = self.page.locator(_CANVAS).first.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for _ in range(abs(notches)):
            self.page.mouse.wheel(0, 100 if notches > 0 else -100)
            self.page.wait_for_timeout(100)  # turned faster, a wheel skips images

    def picture(self) -> Pixels | None:
        """What the canvas shows, without the text that is laid over it."""
        url = self.page.evaluate(_PICTURE)
        if not url:
            return None
        return pictures.small(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))

    def shown(self, candidates: Sequence[Pixels]) -> int | None:
        """Which of the candidates the canvas shows, None for none of them."""
        picture = self.picture()
        if picture is None:
            return None
        likenesses = [pictures.likeness(picture, one) for one in candidates]
        best = max(range(len(candidates)), key=likenesses.__getitem__)
        return best if likenesses[best] > pictures.SAME else None

    def screenshot(self, path: Path) -> None:
        """Keep what the window shows as a PNG of few colours, which is a third of the size."""
        picture = Image.open(io.BytesIO(self.page.screenshot()))
        picture.convert("RGB").quantize(160).save(path, optimize=True)

    def wait_for(self, wanted: T, look: Callable[[], T | None]) -> None:
        """Look until what is wanted is seen; an assertion tells what was seen instead."""
        deadline = time.monotonic() + DEADLINE
        while (seen := look()) != wanted:
            assert time.monotonic() < deadline, f"{wanted} is not shown but {seen}; {self.problems}"
            self.page.wait_for_timeout(200)
