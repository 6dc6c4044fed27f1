"""`/plugins`: what extends the server. None are there yet, but clients ask."""

from __future__ import annotations

from ithil.rest import answers
from ithil.rest.answers import Answer
from ithil.rest.request import RestRequest
from ithil.rest.routing import Route

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


def get_plugins(request: RestRequest) -> Answer:
    """`GET /plugins`."""
    return answers.json(request, ["explorer.js"])


def get_script(_request: RestRequest) -> Answer:
    """`GET /plugins/explorer.js`."""
    return Answer(b"// No plugin extends the user interface\n", _SCRIPT)


def get_plugin(_request: RestRequest) -> Answer:
    """`GET /plugins/{id}`."""
    return answers.missing()
