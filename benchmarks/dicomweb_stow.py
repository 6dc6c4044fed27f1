"""How fast STOW-RS is: 100 new instances in one request, large ones and small ones.

The request is made before the clock starts, and the clock stops with the last byte of the answer, which must
name all the instances as stored. Every request is a new study. The rate is that of the median request.
"""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.datasets import LARGE_PIXELS, SMALL_PIXELS
from benchmarks.dicomweb_answers import ROOT, Client
from benchmarks.figures import Figure, Target
from benchmarks.servers import Server, ServerFailed
from benchmarks.template import Address, Template

if TYPE_CHECKING:
    from benchmarks.workloads import Bench

INSTANCES = 100
_LEAST, _MOST = 3, 20  # requests
_BOUNDARY = "benchmark-of-stow-7f3a"
_SETS = {"stow-large": (9, LARGE_PIXELS), "stow-small": (10, SMALL_PIXELS)}
_FAILED, _STORED = "00081198", "00081199"
_HEADERS = {
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
    "Accept": "application/dicom+json",
}


def figures() -> tuple[Figure, ...]:
    """The figures."""
    return (
        Figure("stow-large", f"STOW-RS of {INSTANCES} large instances (525 KB)", "/s", Target(2)),
        Figure("stow-small", f"STOW-RS of {INSTANCES} small instances (10 KB)", "/s", Target(2)),
    )


def measure(server: Server, bench: Bench, wanted: frozenset[str]) -> dict[str, float]:
    """Instances stored a second. Raises ServerFailed."""
    values = {}
    stored = 0
    for name, (kind, pixels) in _SETS.items():
        if name not in wanted:
            continue
        template = Template(*pixels)
        taken: list[float] = []
        while len(taken) < _LEAST or (sum(taken) < bench.get_seconds and len(taken) < _MOST):
            body = _request(template, kind, len(taken))
            asked = Client(server).ask(f"{ROOT}/studies", _HEADERS, method="POST", body=body)
            _check(server, asked.body)
            taken.append(asked.seconds)
        stored += len(taken) * INSTANCES
        if server.instances() != stored:
            raise ServerFailed(f"{server.kind.title} does not hold the {stored} instances it acknowledged")
        values[name] = INSTANCES / median(taken)
    return values


def _request(template: Template, kind: int, study: int) -> bytes:
    parts = []
    for number in range(INSTANCES):
        parts += [
            b"--%b\r\nContent-Type: application/dicom\r\n\r\n" % _BOUNDARY.encode(),
            template.render(Address(kind, study, 0, number)),
            b"\r\n",
        ]
    parts.append(b"--%b--\r\n" % _BOUNDARY.encode())
    return b"".join(parts)


def _check(server: Server, body: bytes) -> None:
    """Raises ServerFailed unless the answer names all instances as stored."""
    answer = json.loads(body)
    stored = answer.get(_STORED, {}).get("Value", [])
    if len(stored) != INSTANCES or answer.get(_FAILED, {}).get("Value"):
        raise ServerFailed(f"{server.kind.title} stored {len(stored)} of {INSTANCES} instances by STOW-RS")
