"""Ask DICOMweb once and look at the answer, before anything is timed.

A rate of refusals, of empty lists or of other pixels would be worth nothing, and the client that measures rates
(wrk) looks at no more than the status.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.servers import Server, ServerFailed
from benchmarks.template import Address

ROOT = "/dicom-web"
JSON = {"Accept": "application/dicom+json"}
_ROUNDS = 12  # of the time that one answer takes: with eight clients on two cores some three answers to each
_LONGEST = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """The body of an answer, and the seconds from the request to its last byte."""

    body: bytes
    seconds: float


class Client:
    """One keep-alive connection that asks one question after the other."""

    def __init__(self, server: Server, *, timeout: float = 600) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=timeout)

    def __enter__(self) -> Client:
        self._connection.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET", body: bytes | None = None
    ) -> Asked:
        """The answer to one request. Raises ServerFailed if it is not 200, or breaks off."""
        try:
            started = time.perf_counter()
            self._connection.request(method, path, body, dict(headers))
            answer = self._connection.getresponse()
            content = answer.read()
            taken = time.perf_counter() - started
        except (http.client.HTTPException, OSError) as error:
            raise ServerFailed(f"{method} {path} of {self._server.kind.title} broke off: {error}") from error
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


def long_enough(one: float, seconds: int) -> int:
    """Seconds that eight clients should ask for, when one answer takes `one` second; at least `seconds`."""
    return round(max(seconds, min(_LONGEST, one * _ROUNDS)))


def study_path(study: Address) -> str:
    """The resource of the study."""
    return f"{ROOT}/studies/{study.study_uid}"


def series_path(series: Address) -> str:
    """The resource of the series."""
    return f"{study_path(series)}/series/{series.series_uid}"


def instance_path(instance: Address) -> str:
    """The resource of the instance."""
    return f"{series_path(instance)}/instances/{instance.sop_uid}"
