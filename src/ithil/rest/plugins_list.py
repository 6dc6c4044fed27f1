"""`/plugins`: what extends the server. None are there yet, but clients ask."""

from __future__ import annotations

from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route

_SCRIPT = "application/javascript"


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("GET", "/plugins", get_plugins, "Names of the plugins, after that of their script"),
        Route(
            "GET",
            "/plugins/explorer.js",
            get_script,
            "What the plugins add to Orthanc's old user interface",
            answers=_SCRIPT,
        ),
        Route("GET", "/plugins/{id}", get_plugin, "About one plugin"),
    ]


def get_plugins(request: Request) -> Answer:
    """`GET /plugins`."""
    return answers.json(request, ["explorer.js"])


def get_script(_request: Request) -> Answer:
    """`GET /plugins/explorer.js`."""
    return Answer(b"// No plugin extends the user interface\n", _SCRIPT)


def get_plugin(_request: Request) -> Answer:
    """`GET /plugins/{id}`."""
    return answers.missing()
