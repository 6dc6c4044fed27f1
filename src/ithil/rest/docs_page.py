"""`/docs`: a page that lists the routes and lets one try them. One document, without foreign assets.

The page draws itself from `/openapi.json`. Its script is the only one that the browser may run on it, and
puts what comes from the server into the page as text alone.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources

from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route

_HTML = "text/html"


def routes() -> list[Route]:
    """The routes of this module."""
    return [Route("GET", "/docs", get_page, "A page that lists the routes and tries them", answers=_HTML)]


def get_page(_request: Request) -> Answer:
    """`GET /docs`."""
    page, policy = _page()
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return Answer(page, f"{_HTML}; charset=utf-8", headers=headers)


@lru_cache(maxsize=1)
def _page() -> tuple[bytes, str]:
    """The page, and what a browser may do on it."""
    folder = resources.files("ithil.rest") / "docs"
    script = (folder / "page.js").read_text()
    style = (folder / "page.css").read_text()
    page = (folder / "page.html").read_text()
    page = page.replace("<!-- style -->", f"<style>{style}</style>")
    page = page.replace("<!-- script -->", f"<script>{script}</script>")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
