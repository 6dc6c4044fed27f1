"""docs/compatibility.md says what is true of this version, and every route of Ithil has its row."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.document import document, ithil_routes, orthanc_routes

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == document(), (
        "run `python -m tests.conformance.document > docs/compatibility.md`"
    )


def test_every_route_of_ithil_has_a_row() -> None:
    page = document()
    for route in ithil_routes():
        method, _, path = route.partition(" ")
        rows = [line for line in page.splitlines() if line.startswith(f"| `{method} ")]
        shapes = {line.split("`")[1].partition(" ")[2] for line in rows}
        assert any(_same_shape(path, shape) for shape in shapes), f"no row for {route}"


def test_no_route_of_orthanc_is_listed_twice() -> None:
    listed = [(method, path) for _, method, path in orthanc_routes()]
    assert len(listed) == len(set(listed))


def _same_shape(one: str, other: str) -> bool:
    parts, others = one.split("/"), other.split("/")
    return len(parts) == len(others) and all(
        part == each or (part[:1] == "{" == each[:1]) for part, each in zip(parts, others, strict=True)
    )
