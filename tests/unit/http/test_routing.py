"""The table of routes and its lookup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.application import MakeClient

from ithil.http.routing import METHODS, Route, Router, split
from ithil.rest.routes import table


def nothing() -> None:
    """A handler that is never called."""


def router(*lines: str) -> Router:
    return Router([Route(*line.split(" "), nothing, "summary") for line in lines])  # type: ignore[arg-type]


def test_literal_segments_win_over_parameters() -> None:
    routes = router("GET /plugins/explorer.js", "GET /plugins/{id}")
    literal, other = routes.match(["plugins", "explorer.js"]), routes.match(["plugins", "x"])
    assert literal is not None
    assert literal.arguments == {}
    assert other is not None
    assert other.arguments == {"id": "x"}


def test_a_literal_that_leads_nowhere_does_not_hide_a_parameter() -> None:
    routes = router("GET /a/b/c", "GET /a/{id}/d")
    found = routes.match(["a", "b", "d"])
    assert found is not None
    assert found.arguments == {"id": "b"}


def test_the_rest_of_a_path_needs_one_segment_at_least() -> None:
    routes = router("GET /a", "GET /a/{path:path}")
    found = routes.match(["a", "b", "c"])
    assert found is not None
    assert found.arguments == {"path": "b/c"}
    bare = routes.match(["a"])
    assert bare is not None
    assert bare.arguments == {}


def test_a_place_between_routes_knows_its_children_and_allows_get() -> None:
    routes = router("POST /tools/lookup", "GET /tools/now")
    found = routes.match(["tools"])
    assert found is not None
    assert found.node.child_names == ["lookup", "now"]
    assert found.node.allowed == "GET"


def test_a_place_that_only_a_parameter_can_follow_is_unknown() -> None:
    assert router("GET /jobs/{id}").match(["jobs"]) is None


def test_allowed_methods_come_in_orthancs_order() -> None:
    routes = router("DELETE /a", "PUT /a", "POST /a", "GET /a")
    found = routes.match(["a"])
    assert found is not None
    assert found.node.allowed == "GET,POST,PUT,DELETE"


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /a", "GET /a"),
        ("GET /a/{x}", "GET /a/{y}/b"),
        ("GET /a/{x:path}/b",),
        ("PATCH /a",),
    ],
)
def test_a_contradictory_table_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        router(*lines)


SEGMENTS = st.lists(st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text), max_size=8)


@given(SEGMENTS)
def test_any_path_is_found_or_not_but_never_fails(segments: list[str]) -> None:
    routes = Router(table())
    found = routes.match(segments)
    assert found is None or found.node.routes or found.node.children


@given(SEGMENTS, st.integers(1, 3))
def test_empty_segments_do_not_count(segments: list[str], slashes: int) -> None:
    assert split(("/" * slashes).join(["", *segments, ""])) == segments


@given(st.data())
def test_every_route_is_found_by_a_path_made_for_it(data: st.DataObject) -> None:
    routes = Router(table())
    route = data.draw(st.sampled_from(routes.routes))
    segments = ["f00" if part.startswith("{") else part for part in split(route.path)]
    found = routes.match(segments)
    assert found is not None
    assert found.node.routes[route.method] is route


def test_every_route_says_what_it_does() -> None:
    for route in table():
        assert route.method in METHODS
        assert route.summary
        assert "\n" not in route.summary
        assert all(parameter.summary for parameter in route.parameters)


def test_only_gets_are_cached() -> None:
    assert all(route.method == "GET" for route in table() if route.cacheable)


def test_a_read_only_archive_has_no_route_that_writes(make_client: MakeClient) -> None:
    router = make_client(read_only=True).app.router
    methods = {(route.method, route.path) for route in router.routes}
    assert ("POST", "/instances") not in methods
    assert ("DELETE", "/studies/{id}") not in methods
    assert ("GET", "/studies/{id}") in methods
