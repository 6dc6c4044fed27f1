"""The viewer's routes: its files, its page under every path that names no file, and links to it from studies.

Files with a digest in their name never change and are kept by browsers for a year; the others are asked for
again each time and mostly answered with 304. What compresses well lies compressed on disk. All answers isolate
the page from other origins (COOP and COEP), which gives the viewer shared memory between its workers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

from ithil import error_codes as codes
from ithil.archive import resources
from ithil.dicom.level import Level
from ithil.dicom.main_tags import STUDY_INSTANCE_UID
from ithil.error_codes import CodedError
from ithil.explorer.ohif import configuration, installation
from ithil.explorer.ohif.installation import CONFIGURATION, INDEX, PACKAGE, VERSION, Installation, ViewerFile
from ithil.explorer.ohif.rewrite import BASE, TITLE
from ithil.http import answers
from ithil.http.accept import takes_gzip
from ithil.http.answers import Answer, Stream
from ithil.http.ranges import range_header, requested_range
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route
from ithil.settings import Settings

PIECE = 1 << 20
"""Files of more bytes are read and sent in pieces of this size."""

_FOREVER = "public, max-age=31536000, immutable"
_EACH_TIME = "no-cache"
_DIGEST_IN_NAME = re.compile(r"(?:^|\.)[0-9a-f]{16}\.(?:js|css|wasm|woff2)\Z")

_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_TYPES = {
    "js": _SCRIPT,
    "css": "text/css; charset=utf-8",
    "html": _HTML,
    "json": "application/json",
    "jsonc": "application/json",
    "wasm": "application/wasm",
    "woff2": "font/woff2",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
    "xml": "application/xml",
    "webapp": "application/manifest+json",
}

_MISSING_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No viewer</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: #8882; padding: .75rem 1rem; border-radius: .5rem; overflow-x: auto; }
</style>
</head>
<body>
<main>
<h1>No viewer yet</h1>
"""
_MISSING_END = "</main>\n</body>\n</html>\n"


def table(settings: Settings) -> list[Route]:
    """The routes of the viewer."""
    viewer = _Viewer(settings.ithil.ohif_directory or installation.default_directory())
    kinds = ("text/html", "text/javascript", "text/css", "application/wasm", "image/png")
    return [
        Route("GET", "/ohif", viewer.get_page, "The OHIF viewer: its list of studies", answers="text/html"),
        Route(
            "GET",
            "/ohif/{path:path}",
            viewer.get_file,
            "A file of the viewer; its page where the path names none, such as viewer",
            (Parameter("StudyInstanceUIDs", "Of the page viewer: the studies to open, between commas"),),
            answers=kinds,
            ranges=True,
            fails=(404,),
        ),
        Route(
            "GET",
            "/studies/{id}/ohif",
            get_study,
            "Lead to the study in the viewer",
            answers="text/html",
            fails=(404,),
        ),
    ]


def get_study(request: Request) -> Answer:
    """`GET /studies/{id}/ohif`: 302 to the study in the viewer."""
    study = resources.read(request.context.archive, Level.STUDY, request.arguments["id"])
    if study is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    uid = quote(study.main_tags.get(STUDY_INSTANCE_UID, ""), safe="")
    target = f"{configuration.base_path(request)}viewer?StudyInstanceUIDs={uid}"
    return Answer(status=302, headers={"Location": target, "Cache-Control": _EACH_TIME})


class _Viewer:
    """The handlers, and the list of files that they share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: tuple[object, Installation | None] = (None, None)

    def get_page(self, request: Request) -> Answer:
        """`GET /ohif`: the page, which finds out from its address what to show."""
        if not request.context.settings.dicom_web.enable:
            return _missing(
                "<p>The viewer reads studies by DICOMweb, which is not enabled (DicomWeb.Enable).</p>"
            )
        viewer = self._installed()
        if viewer is None:
            return self._not_installed()
        name = request.context.settings.name
        page = viewer.path(INDEX).read_bytes()
        page = page.replace(BASE.encode(), escape(configuration.base_path(request)).encode())
        page = page.replace(TITLE.encode(), escape(f"{name} - OHIF").encode())
        return _made(request, page, _HTML)

    def get_file(self, request: Request) -> Answer:
        """`GET /ohif/{path:path}`."""
        name = request.arguments["path"]
        viewer = self._installed()
        if viewer is None:
            return self._not_installed()
        if name == CONFIGURATION:
            return _made(request, configuration.script(request), _SCRIPT)
        file = viewer.files.get(name)
        if file is None or name == INDEX:
            if "." in name.rpartition("/")[2] and name != INDEX:
                raise CodedError(codes.UNKNOWN_RESOURCE, "The viewer has no such file")
            return self.get_page(request)
        return _file(request, viewer, name, file)

    def _installed(self) -> Installation | None:
        """The viewer on disk; one that is installed while the server runs is seen with the next request."""
        try:
            state = (installation.folder_of(self._directory) / installation.LIST).stat()
        except OSError:
            return None
        version = (state.st_mtime_ns, state.st_ino, state.st_size)
        if self._known[0] != version:
            self._known = (version, installation.load(self._directory))
        return self._known[1]

    def _not_installed(self) -> Answer:
        return _missing(
            f"<p>This server serves the OHIF viewer, but {escape(PACKAGE)} {VERSION} is not installed on its host. "
            "With npm there, and a registry that it can reach, this installs it, with the same "
            "configuration as the server has:</p>\n"
            "<pre><code>ithil viewer install [CONFIG ...]</code></pre>\n"
            "<p>Without, fetch the package elsewhere and give the file. The server need not be started anew.</p>\n"
            f"<pre><code>npm pack {escape(PACKAGE)}@{VERSION}\n"
            f"ithil viewer install [CONFIG ...] --package ohif-app-{VERSION}.tgz</code></pre>\n"
        )


def _missing(text: str) -> Answer:
    headers = {**_ISOLATED, "Cache-Control": _EACH_TIME}
    return Answer((_MISSING_PAGE + text + _MISSING_END).encode(), _HTML, 404, headers)


def _made(request: Request, content: bytes, kind: str) -> Answer:
    """An answer whose content depends on the settings and the request."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_ISOLATED, "ETag": tag, "Cache-Control": _EACH_TIME}
    known = answers.not_modified(request, tag)
    if known is not None:
        known.headers |= headers
        return known
    return Answer(content, kind, headers=headers)


def _file(request: Request, viewer: Installation, name: str, file: ViewerFile) -> Answer:
    """An answer with a file as it lies on disk, or the range of it that is asked for."""
    headers = dict(_ISOLATED)
    headers["Cache-Control"] = _FOREVER if _DIGEST_IN_NAME.search(name.rpartition("/")[2]) else _EACH_TIME
    compressed = False
    if file.gzip_size:
        headers["Vary"] = "Accept-Encoding"
        # A range is one of the bytes that the client sees, so it is cut from the file itself.
        compressed = "range" not in request.headers and takes_gzip(request)
    size = file.gzip_size if compressed else file.size
    tag = f'"{file.digest[:32]}{"-gzip" if compressed else ""}"'
    headers["ETag"] = tag
    known = answers.not_modified(request, tag)
    if known is not None:
        known.headers |= headers
        return known
    if compressed:
        headers["Content-Encoding"] = "gzip"
    headers["Accept-Ranges"] = "bytes"
    kind = _TYPES.get(name.rpartition(".")[2], answers.BINARY)
    wanted = requested_range(range_header(request.headers, tag), size)
    start, end = wanted or (0, size)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    path = viewer.path(name, compressed=compressed)
    pieces = _pieces(path, start, end)
    body: bytes | Stream = Stream(pieces, end - start) if end - start > PIECE else b"".join(pieces)
    return Answer(body, kind, 206 if wanted else 200, headers)


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from `start` to `end` (exclusive). Raises CodedError if it has fewer."""
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            piece = file.read(min(PIECE, end - start))
            if not piece:
                raise CodedError(codes.CORRUPTED_FILE, "Install the viewer again: a file of it is damaged")
            start += len(piece)
            yield piece
