"""Writes docs/compatibility.md: every route and option of Orthanc with what Ithil does about it.

`python -m tests.conformance.document > docs/compatibility.md` brings the page up to date; a test compares
them. Nothing is listed twice: what Ithil has comes from its own table of routes and declarations of options,
what is compared and what differs on purpose from the tables of this folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ithil.app import every_route
from ithil.http.routing import Router, split
from ithil.settings.model import Settings
from ithil.settings.option import Option, options_of
from tests.conformance.c_store import ON_PURPOSE
from tests.conformance.everywhere import EVERYWHERE
from tests.conformance.find_questions import EVERYWHERE as EVERY_ANSWER
from tests.conformance.find_questions import QUESTIONS
from tests.conformance.orthanc_routes import ROUTES
from tests.conformance.scenarios import SCENARIOS

_INTRODUCTION = """# Compatibility with Orthanc

<!-- Written by `python -m tests.conformance.document`; change the tables in tests/conformance. -->

Ithil speaks the REST API of Orthanc 1.13.0 (API version 31) and reads its configuration. This page says for
each route and each option how far that goes.

- *same*: `make test` starts Debian's Orthanc (1.10) and Ithil with the same configuration and files, sends
  both the same requests to this route and compares status, headers and bodies (`tests/conformance`).
  Whatever differs on purpose stands under its own heading; any other difference fails the test.
- *as documented*: there, made after the documentation of Orthanc 1.13, which the Orthanc of Debian is too old
  to be compared with.
- *not there yet*: brought by the area of work whose heading it stands under.

`python -m tests.conformance` prints the comparison.
"""

_BETTER = {
    "GET /": "a page that says what this server is and how to send it a study",
    "GET /system": "says 1.13.0 and API version 31, with Ithil's own version beside it",
    "POST /instances": "streamed to disk; a broken gzip is refused with 400, not 500",
}
_PLACE = re.compile(r"\{[^}]*\}")


def document() -> str:
    """The text of docs/compatibility.md."""
    return "\n".join([_INTRODUCTION, *_routes(), *_purposes(), *_options()]) + "\n"


def ithil_routes() -> set[str]:
    """Ithil's routes as `METHOD /path/{}`, the names of parameters left out."""
    return {_key(route.method, route.path) for route in every_route(Settings())}


def orthanc_routes() -> Iterator[tuple[str, str, str]]:
    """Orthanc's routes as area, method and path."""
    for area, lines in ROUTES.items():
        for line in lines.split("\n"):
            methods, _, path = line.partition(" ")
            for method in filter(None, methods.split(",")):
                yield area, method, path


def _key(method: str, path: str) -> str:
    return f"{method} {_PLACE.sub('{}', path)}"


def _routes() -> Iterator[str]:
    ours = ithil_routes()
    theirs: dict[str, list[str]] = {}
    for area, method, path in orthanc_routes():
        theirs.setdefault(area, []).append(_route_row(method, path, ours))
    known = {_key(method, path) for _, method, path in orthanc_routes()}
    yield "## Routes\n"
    for area, rows in theirs.items():
        there = sum("not there yet" not in row for row in rows)
        yield f"### {area.capitalize() if area.islower() else area} ({there} of {len(rows)})\n"
        yield "| Route | In Ithil |\n|---|---|"
        yield "\n".join(rows) + "\n"
    own = sorted(ours - known)
    if own:
        yield "### Routes of Ithil's own\n"
        yield "| Route |\n|---|"
        yield "\n".join(f"| `{each}` |" for each in own) + "\n"


def _route_row(method: str, path: str, ours: set[str]) -> str:
    key = _key(method, path)
    if key not in ours and not (method == "GET" and _only_leads_on(path)):
        status = "not there yet"
    elif key in _BETTER:
        status = f"better: {_BETTER[key]}"
    else:
        status = "same" if is_compared(method, path) else "as documented"
    return f"| `{method} {path}` | {status} |"


def _only_leads_on(path: str) -> bool:
    """Whether a path is answered with the names that can follow, which takes no line in the table."""
    found = Router(every_route(Settings())).match(split(_PLACE.sub("0", path)))
    return found is not None and not found.node.routes


def is_compared(method: str, path: str) -> bool:
    """Whether a line of the tables asks this route of both servers."""
    segments = _PLACE.sub("{}", path).split("/")
    return any(asked == method and _leads_to(way, segments) for asked, way in _asked())


@cache
def _asked() -> frozenset[tuple[str, tuple[str, ...]]]:
    lines = (ask for scenario in SCENARIOS.values() for ask in scenario.lines)
    return frozenset((ask.method, tuple(ask.path.partition("?")[0].strip("/").split("/"))) for ask in lines)


def _leads_to(way: tuple[str, ...], segments: list[str]) -> bool:
    wanted = segments[1:]
    if wanted[-2:] == ["content", "{}"] and len(way) > len(wanted):
        way = way[: len(wanted)]
    return len(way) == len(wanted) and all(
        part in ("{}", each) for part, each in zip(wanted, way, strict=True)
    )


def _purposes() -> Iterator[str]:
    yield "## What differs on purpose\n"
    yield "Everywhere:\n"
    yield "\n".join(f"- {reason}" for reason in dict.fromkeys(each.reason for each in EVERYWHERE)) + "\n"
    yield "In single requests:\n"
    reasons: dict[str, list[str]] = {}
    for scenario in SCENARIOS.values():
        for ask in scenario.lines:
            for difference in ask.ours:
                reasons.setdefault(difference.reason, []).append(ask.title)
    for reason, titles in reasons.items():
        asked = list(dict.fromkeys(titles))
        more = f" and {len(asked) - 2} more" if len(asked) > 2 else ""
        yield f"- {reason} ({', '.join(f'`{title}`' for title in asked[:2])}{more})"
    yield "\nWith C-STORE:\n"
    yield "\n".join(f"- {reason}" for reason in dict.fromkeys(each.reason for each in ON_PURPOSE)) + "\n"
    yield f"With C-FIND, of {len(QUESTIONS)} queries:\n"
    in_queries = [*EVERY_ANSWER, *(each for question in QUESTIONS for each in question.ours)]
    yield "\n".join(f"- {reason}" for reason in dict.fromkeys(each.reason for each in in_queries)) + "\n"


def _options() -> Iterator[str]:
    yield "## Configuration options\n"
    yield "What each option means stands in [configuration.md](configuration.md).\n"
    yield "| Option | In Ithil |\n|---|---|"
    options = options_of(Settings)
    yield from _option_rows("", options)
    for key, option in options.items():
        if option.section is not None:
            yield from _option_rows(f"{key}.", options_of(option.section))


def _option_rows(prefix: str, options: dict[str, Option]) -> Iterator[str]:
    for key, option in options.items():
        if option.section is None:
            yield f"| `{prefix}{key}` | {_option_status(option)} |"


def _option_status(option: Option) -> str:
    match option.status.state:
        case "honoured":
            return "honoured"
        case "refused":
            return f"refused at the start: {option.status.reason}"
        case _:
            return option.status.reason


if __name__ == "__main__":
    print(document(), end="")
