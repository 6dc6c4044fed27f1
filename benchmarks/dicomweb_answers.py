"""Ask DICOMweb: once, to look at the answer before anything is timed, and then by eight connections.

A rate of refusals, of empty lists or of other pixels would be worth nothing, and what measures rates looks at no
more than the status.
"""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import wrk
from benchmarks.servers import Server, ServerFailed
from benchmarks.template import Address

if TYPE_CHECKING:
    from benchmarks.workloads import Bench

HOST = "127.0.0.1"
ROOT = "/dicom-web"
JSON = {"Accept": "application/dicom+json"}
CONNECTIONS = 8  # as many as wrk has
_SLOW = 0.25  # seconds for one answer
_LEAST = 2  # answers that each connection awaits


@dataclass(frozen=True, slots=True)
class Asked:
    """The body of an answer, and the seconds from the request to its last byte."""

    body: bytes
    seconds: float


class Client:
    """Asks one question after the other, each on a connection of its own.

    Both servers close a connection that is idle for a second, which is how long it can take to look at a large
    answer.
    """

    def __init__(self, server: Server, *, timeout: float = 600) -> None:
        self._server = server
        self._timeout = timeout

    def ask(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET", body: bytes | None = None
    ) -> Asked:
        """The answer to one request. Raises ServerFailed if it is not 200, or breaks off."""
        connection = http.client.HTTPConnection(HOST, self._server.http_port, timeout=self._timeout)
        try:
            connection.connect()
            started = time.perf_counter()
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
            taken = time.perf_counter() - started
        except (http.client.HTTPException, OSError) as error:
            raise ServerFailed(f"{method} {path} of {self._server.kind.title} broke off: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise ServerFailed(
                f"{method} {path} of {self._server.kind.title} answered {answer.status}: {content[:200]!r}"
            )
        return Asked(content, taken)

    def ask_json(self, path: str) -> tuple[list[dict[str, Any]], float]:
        """The list of data sets that `path` answers with, and the seconds it took. Raises ServerFailed."""
        asked = self.ask(path, JSON)
        try:
            found = json.loads(asked.body)
        except ValueError as error:
            raise ServerFailed(f"{path} of {self._server.kind.title} is no JSON") from error
        if not isinstance(found, list):
            raise ServerFailed(f"{path} of {self._server.kind.title} is no list of data sets")
        return found, asked.seconds


def rate(
    server: Server,
    bench: Bench,
    paths: Sequence[str],
    headers: Mapping[str, str],
    *,
    one: float,
) -> float:
    """Answers a second to eight connections that go round `paths`; `one` answer alone takes so many seconds.

    wrk measures, but does not count what it waits for when its time is over. So answers that take long are asked
    for by eight threads here, each of which awaits at least two, and the time is that of the last one's end.

    Raises ServerFailed, SendFailed.
    """
    server.measuring()
    if one < _SLOW:
        return wrk.rate(server, paths, seconds=bench.get_seconds, scratch=bench.scratch, headers=headers)
    turns = itertools.cycle(paths)
    client = Client(server)
    started = time.perf_counter()

    def work(_number: int) -> int:
        done = 0
        while done < _LEAST or time.perf_counter() - started < bench.get_seconds:
            client.ask(next(turns), headers)
            done += 1
        return done

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(work, range(CONNECTIONS))) / (time.perf_counter() - started)


def study_path(study: Address) -> str:
    """The resource of the study."""
    return f"{ROOT}/studies/{study.study_uid}"


def series_path(series: Address) -> str:
    """The resource of the series."""
    return f"{study_path(series)}/series/{series.series_uid}"


def instance_path(instance: Address) -> str:
    """The resource of the instance."""
    return f"{series_path(instance)}/instances/{instance.sop_uid}"
