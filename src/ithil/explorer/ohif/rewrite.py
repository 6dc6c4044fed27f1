"""Make the build of OHIF, which expects to be at `/`, independent of the path that it is served at.

The path is not written into the files: the server may be behind a proxy that shows it under another one. So
the page gets a mark that the server replaces in each answer, scripts ask the page (a worker: its own address)
for the path, and style sheets and manifests name their files relative to themselves.
"""

from __future__ import annotations

import re

BASE = "@ithil-base@"
"""The mark in the page for the path with a slash at both ends."""

TITLE = "@ithil-title@"
"""The mark in the page for its title."""

_LEFT_OUT = (
    "ort/",  # a neural network for outlines, 139 of 200 MB; the viewer starts and works without it
    "_headers",
    "_redirects",
    "serve.json",
    "google.js",  # a configuration for a service of Google
    "sw.js",  # a service worker that nothing registers, and what is for signing in at third parties
    "init-service-worker.js",
    "silent-refresh.html",
    "oidc-client.min.js",
    "es6-shim.min.js",
    "polyfill.min.js",
)

_PUBLIC_PATH = '__webpack_require__.p = "/";'
_OWN_PUBLIC_PATH = (
    '__webpack_require__.p = typeof window === "undefined" '
    '? self.location.href.replace(/[^/]*$/, "") : window.PUBLIC_URL;'
)
_IMPORT = "browserImportFunction('/"
_OWN_IMPORT = "browserImportFunction(window.PUBLIC_URL + '"

_PAGE_LINK = re.compile(r'(src|href|content)="/(?!/)')
_PAGE_VARIABLE = re.compile(r"""window\.PUBLIC_URL ?= ?(["'])/\1""")
_PAGE_TITLE = re.compile(r"<title>[^<]*</title>")
_PAGE_SERVICE_WORKER = re.compile(r'<script[^>]*src="/init-service-worker\.js"[^>]*></script>')
_PAGE_MANIFEST = re.compile(r'<link rel="manifest"')


class UnknownBuild(Exception):
    """The files are not the build that this module knows."""


def is_wanted(name: str) -> bool:
    """Whether a file of the build, named by its path below `dist`, is installed."""
    return not name.startswith(_LEFT_OUT) and not name.endswith(".map")


def rewritten(name: str, content: bytes) -> bytes:
    """The content of a file as it is served. Raises UnknownBuild where what must be replaced is not there."""
    if name == "index.html":
        return _page(content.decode()).encode()
    if name.endswith(".js"):
        content = content.replace(_IMPORT.encode(), _OWN_IMPORT.encode())
        if name.startswith("app.bundle.") and _PUBLIC_PATH.encode() not in content:
            raise UnknownBuild(f"{name} does not set its public path")
        return content.replace(_PUBLIC_PATH.encode(), _OWN_PUBLIC_PATH.encode())
    if name.endswith(".css"):
        return content.replace(b"url(/", b"url(" + b"../" * name.count("/"))
    if name.endswith((".json", ".webapp", ".xml")):
        return content.replace(b'"/assets/', b'"assets/' if "/" not in name else b'"../assets/')
    return content


def _page(text: str) -> str:
    text = _PAGE_SERVICE_WORKER.sub("", text)
    text, links = _PAGE_LINK.subn(rf'\1="{BASE}', text)
    text, variables = _PAGE_VARIABLE.subn(f'window.PUBLIC_URL="{BASE}"', text)
    text, titles = _PAGE_TITLE.subn(f"<title>{TITLE}</title>", text)
    # Browsers fetch manifests without credentials unless told, and a server with users would refuse that.
    text = _PAGE_MANIFEST.sub('<link crossorigin="use-credentials" rel="manifest"', text)
    if not (links and variables and titles):
        raise UnknownBuild("its page is not the known one")
    return text
