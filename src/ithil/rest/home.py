"""The page at `/`: what this server is, what it holds, and how to send it a study.

One self-contained document without scripts or foreign assets. Everything that comes from the configuration
or the request is escaped.
"""

from __future__ import annotations

import base64
import re
from html import escape

from ithil import __version__
from ithil.archive import resources
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.rest.system import ORTHANC_VERSION

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\Z")
_SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
    "Cache-Control": "no-cache",
}

# A blue disc of 16 by 16 pixels as PNG.
_ICON = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAWElEQVR42mNgoAYwSV6kCsRlQLwViG9CMYhdAZLDp5EfiKcA8W8g"
    "/o8Dg+QmA7EApuYkoLoGRAbxAjQXQm2+gMUGYvANFIPQ/NzQoNZcBsJBAOIGogzA5oWR4QUAlp6CzF9xU0sAAAAASUVORK5CYII="
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} - Ithil</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8882; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ margin-bottom: 0; }}
pre {{ background: var(--soft); padding: .75rem 1rem; border-radius: .5rem; overflow-x: auto; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; }}
dl div {{ border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; }}
dt {{ font-size: .9rem; }}
dd {{ margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }}
a {{ color: LinkText; }}
</style>
</head>
<body>
<main>
<h1>{name}</h1>
<p>Ithil {version}, a DICOM server that speaks the REST API of Orthanc {orthanc}.</p>
<h2>What it holds</h2>
<dl>
{counts}
</dl>
<p>{size} on disk.</p>
<h2>Send it a study</h2>
<p>With DICOM, to <b>{aet}</b> on port {dicom_port}:</p>
<pre><code>storescu -aec {aet} {host} {dicom_port} +sd +r folder/</code></pre>
<p>With HTTP, a file or a ZIP of many:</p>
<pre><code>curl {credentials}--data-binary @image.dcm {url}/instances</code></pre>
<h2>Look at it</h2>
<ul>
<li><a href="ohif/">The studies in the OHIF viewer</a></li>
<li><a href="patients">Patients</a>, <a href="studies?expand">studies</a>, <a href="series">series</a>,
<a href="instances">instances</a></li>
<li><a href="changes">What changed</a>, <a href="statistics">statistics</a></li>
<li><a href="system">About this server</a>, <a href="tools">tools</a>, <a href="docs">all routes</a></li>
</ul>
</main>
</body>
</html>
"""


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/",
            get_page,
            "A page for people: what this server is and how to send it a study",
            answers="text/html",
        ),
        Route("GET", "/favicon.ico", get_icon, "The icon of the page", answers="image/png"),
    ]


def get_page(request: Request) -> Answer:
    """`GET /`."""
    settings = request.context.settings
    counts = resources.statistics(request.context.archive)
    numbers = (counts.patients, counts.studies, counts.series, counts.instances) if counts else (0, 0, 0, 0)
    host, port = _host(request)
    scheme = "https" if settings.ssl_enabled else "http"
    page = _PAGE.format(
        name=escape(settings.name),
        version=escape(__version__),
        orthanc=ORTHANC_VERSION,
        counts="\n".join(
            f"<div><dt>{label}</dt><dd>{number:,}</dd></div>"
            for label, number in zip(("Patients", "Studies", "Series", "Instances"), numbers, strict=True)
        ),
        size=_readable(counts.disk_size if counts else 0),
        aet=escape(settings.dicom_aet),
        host=escape(host),
        dicom_port=settings.dicom_port,
        url=escape(f"{scheme}://{host}{port}"),
        credentials="-u USER:PASSWORD " if settings.authentication_enabled else "",
    )
    return Answer(page.encode(), "text/html; charset=utf-8", headers=dict(_SAFE_HEADERS))


def get_icon(_request: Request) -> Answer:
    """`GET /favicon.ico`."""
    return Answer(_ICON, "image/png", headers={"Cache-Control": "max-age=86400"})


def _host(request: Request) -> tuple[str, str]:
    """Host and `:port` as the client wrote them, or those of the settings if that is no sensible name."""
    match = _HOST.match(request.headers.get("host", ""))
    if match is None:
        return "localhost", f":{request.context.settings.http_port}"
    return match[1], match[2] or ""


def _readable(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"
