"""The table of routes and its lookup.

A route is a line in a table: method, path, handler and what the documentation says about it. The table is
compiled into a trie of path segments, so finding a route among hundreds takes one dictionary lookup per
segment. The rules are Orthanc's:

- empty segments do not count, so `//studies/` is `/studies`;
- a path that only leads to other routes answers GET with the list of the names that can follow;
- a known path with another method is refused with the methods it has, in the order GET, POST, PUT, DELETE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

METHODS = ("GET", "POST", "PUT", "DELETE")


JSON = "application/json"


class Runs(Enum):
    """How many handlers of a kind run at a time. More threads than can compute only change places all the time."""

    FREELY = "freely"
    """Many, since they wait for disks or other servers."""
    IN_TURN = "in turn"
    """One, for it only looks into SQLite, and mostly for less than a few milliseconds; see `turns`."""
    BY_CORE = "by core"
    """As many as there are cores: they make pictures; those that take long do not count."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a query string, for the documentation."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a JSON object in the body of a request, for the documentation.

    `kind` is a type of JSON Schema (`string`, `integer`, `boolean`, `array`, `object`), or several of them
    between bars.
    """

    name: str
    kind: str
    summary: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Parameters:
        method: GET, POST, PUT or DELETE; or OPTIONS, which is not among the methods that a path is said to have.
        path: segments between slashes; `{name}` takes any one segment, `{name:path}` as a last segment takes
            all that remain (none is not enough).
        handler: called with a `Request`; a plain function in a worker thread, or (with `streaming`) a
            coroutine function that reads the body itself.
        whole: what a streaming handler does with a body of ordinary size, called with the request and the
            body in a worker thread; such a POST takes the short way (`quick_upload`).
        together: the same for several small bodies at once, called with pairs of request and body; for each it
            gives the answer, an exception, or None for what had better go through `whole`.
        held: bytes of a body that a streaming handler holds in memory at the same time.
        summary: one line for people.
        cacheable: the answer to a GET depends on nothing but the index, the path, the query, and the headers
            that `known_answers` has in its key.
        runs: how many handlers like this run at a time.
        writes: left out of the table when the archive is read-only.
        body: what the body of a request is: a media type, fields of a JSON object, or None for none.
        answers: the media types that the answer may have; JSON may be sent as XML as well.
        fails: HTTP statuses that are the route's own, beside those that any request may get.
        ranges: a part of the answer can be asked for (RFC 9110 14.2).
        channel: what is done with a GET that asks for a WebSocket: a coroutine function, called with the request
            and a `WebSocket`; the handler answers the others.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    summary: str
    parameters: tuple[Parameter, ...] = ()
    cacheable: bool = False
    runs: Runs = Runs.FREELY
    streaming: bool = False
    whole: Callable[..., Any] | None = None
    together: Callable[..., Any] | None = None
    held: int = 0
    writes: bool = False
    body: str | tuple[Field, ...] | None = None
    answers: str | tuple[str, ...] = JSON
    fails: tuple[int, ...] = ()
    ranges: bool = False
    channel: Callable[..., Any] | None = None


@dataclass(slots=True)
class Node:
    """A place in the trie: what the path so far offers, and how it can go on."""

    routes: dict[str, Route] = field(default_factory=dict)
    options: Route | None = None
    children: dict[str, Node] = field(default_factory=dict)
    parameter: Node | None = None
    parameter_name: str = ""
    rest: Node | None = None
    rest_name: str = ""

    @property
    def allowed(self) -> str:
        """The value of the `Allow` header of this path."""
        if not self.routes:
            return "GET"
        return ",".join(method for method in METHODS if method in self.routes)

    @property
    def child_names(self) -> list[str]:
        """The names that can follow, sorted."""
        return sorted(self.children)


@dataclass(frozen=True, slots=True)
class Match:
    """A path that exists, and the values of its parameters."""

    node: Node
    arguments: dict[str, str]


class Router:
    """The compiled table. Raises ValueError when two routes claim the same method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.root = Node()
        self.routes: list[Route] = []
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self.root
        segments = split(route.path)
        for position, segment in enumerate(segments):
            if not (segment.startswith("{") and segment.endswith("}")):
                node = node.children.setdefault(segment, Node())
                continue
            name, _, kind = segment[1:-1].partition(":")
            if kind == "path":
                if position != len(segments) - 1:
                    raise ValueError(f"{route.path}: nothing can follow a parameter that takes the rest")
                if node.rest is None:
                    node.rest = Node()
                node.rest_name = name
                node = node.rest
            else:
                if node.parameter is None:
                    node.parameter = Node()
                    node.parameter_name = name
                if node.parameter_name != name:
                    raise ValueError(f"{route.path}: {{{name}}} is {{{node.parameter_name}}} elsewhere")
                node = node.parameter
        if route.method == "OPTIONS" and node.options is None:
            node.options = route
            return
        if route.method not in METHODS or route.method in node.routes:
            raise ValueError(f"{route.method} {route.path} is unknown or there twice")
        node.routes[route.method] = route
        self.routes.append(route)

    def match(self, segments: list[str]) -> Match | None:
        """What `segments` (of `split`) lead to, or None if no route begins like that."""
        arguments: dict[str, str] = {}
        node = _descend(self.root, segments, 0, arguments)
        return None if node is None else Match(node, arguments)


def _descend(node: Node, segments: list[str], position: int, arguments: dict[str, str]) -> Node | None:
    if position == len(segments):
        return node if node.routes or node.children or node.options else None
    segment = segments[position]
    child = node.children.get(segment)
    if child is not None:
        found = _descend(child, segments, position + 1, arguments)
        if found is not None:
            return found
    if node.parameter is not None:
        found = _descend(node.parameter, segments, position + 1, arguments)
        if found is not None:
            arguments[node.parameter_name] = segment
            return found
    if node.rest is not None:
        arguments[node.rest_name] = "/".join(segments[position:])
        return node.rest
    return None


def split(path: str) -> list[str]:
    """The segments of a decoded path, without the empty ones."""
    return [segment for segment in path.split("/") if segment]
