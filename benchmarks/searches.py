"""How fast study lists are: ``/studies?expand``, ``/tools/find`` and C-FIND on an archive of many small studies.

One connection asks one question after the other, each time about another patient, name or week, and reads the
whole answer. How many studies the answers show is noted beside the figures: it must be the same on both servers,
or the rates would mean nothing.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import c_find, upload
from benchmarks.figures import Figure, Target
from benchmarks.servers import Server, ServerFailed
from benchmarks.study_list import name_part, patient_id, study_date

if TYPE_CHECKING:
    from benchmarks.workloads import Bench

_LIMIT = 100  # studies in an answer of /tools/find
_MOST = 300  # questions of one kind
_FILL_RATE = 100.0  # studies a second that the slower server is expected to take at least
_STEP = 7919  # from one question's study to the next one's

Question = tuple[str, str, bytes | None]


def figures(studies: int, target: Target | None) -> tuple[Figure, ...]:
    """The figures for an archive of so many studies."""
    titles = {
        "expand": "GET /studies?expand",
        "patient": "find by PatientID, expanded",
        "name": "find by PatientName *x*, expanded",
        "week": "find CT of a week, expanded, limit 100",
    }
    return tuple(
        Figure(f"find-{studies}-{name}", f"{title}, {studies:,} studies", "/s", target)
        for name, title in titles.items()
    ) + c_find.figures(studies)


def measure(server: Server, bench: Bench, wanted: frozenset[str], *, studies: int) -> dict[str, float]:
    """Fill the server and ask it."""
    upload.upload_studies(server.http_port, 0, studies, seconds=60 + studies / _FILL_RATE)
    if server.instances() != studies:
        raise ServerFailed(f"{server.kind.title} does not hold the {studies} studies it was sent")
    questions: dict[str, Callable[[int], Question]] = {
        "expand": lambda _: ("GET", "/studies?expand", None),
        "patient": partial(_by_patient, studies=studies),
        "name": partial(_by_name, studies=studies),
        "week": partial(_by_week, studies=studies),
    }
    values = {}
    for name, question in questions.items():
        figure = f"find-{studies}-{name}"
        if figure in wanted:
            rate, found = _rate(server, question, bench.get_seconds)
            values[figure] = rate
            note = f"{server.kind.title} showed {found:.1f} studies in an answer of {figure}."
            if note not in bench.notes:
                bench.notes.append(note)
    dicom = c_find.measure(server, wanted, bench.notes, studies=studies, seconds=bench.get_seconds)
    return {**values, **dicom}


def _rate(server: Server, question: Callable[[int], Question], seconds: float) -> tuple[float, float]:
    """Answers a second, and how many studies they had on average."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=600)
    try:
        _ask(connection, question(0))  # the first one of its kind opens files and makes statements
        taken: list[float] = []
        found = 0
        while len(taken) < 3 or (sum(taken) < seconds and len(taken) < _MOST):
            asked = question(len(taken) + 1)
            started = time.perf_counter()
            body = _ask(connection, asked)
            taken.append(time.perf_counter() - started)
            found += body.count(b'"MainDicomTags"')
        return len(taken) / sum(taken), found / len(taken)
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, question: Question) -> bytes:
    connection.request(*question)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ServerFailed(f"{question[0]} {question[1]} answered {answer.status}")
    return body


def _find(query: dict[str, str]) -> Question:
    body: dict[str, Any] = {"Level": "Study", "Query": query, "Expand": True, "Limit": _LIMIT}
    return "POST", "/tools/find", json.dumps(body).encode()


def _by_patient(number: int, *, studies: int) -> Question:
    return _find({"PatientID": patient_id(number * _STEP % studies)})


def _by_name(number: int, *, studies: int) -> Question:
    return _find({"PatientName": f"*{name_part(number * _STEP % studies)}*"})


def _by_week(number: int, *, studies: int) -> Question:
    text = study_date(number * _STEP % studies)
    first = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    last = first + timedelta(days=6)
    return _find({"StudyDate": f"{first:%Y%m%d}-{last:%Y%m%d}", "ModalitiesInStudy": "CT"})
