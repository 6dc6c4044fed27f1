"""How fast QIDO-RS is: lists of 50 studies, by PatientID and by `*name*`, on an archive of many small studies.

Eight connections. Every question is new: another page, patient or name, and a URL that was not asked
before, so that no server can answer from memory. One figure repeats the first page of the list over and over,
which is what many clients of one archive do. How many studies the answers show is noted beside the figures.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import upload
from benchmarks.dicomweb_answers import JSON, ROOT, Client, rate
from benchmarks.figures import Figure, Target
from benchmarks.servers import Server, ServerFailed
from benchmarks.study_list import name_part, patient_id

if TYPE_CHECKING:
    from benchmarks.workloads import Bench

_PAGE = 50  # studies
_URLS = 50_000  # more than any server answers while it is measured
_CHECKED = 10  # answers that are looked at before the clock starts
_FILL_RATE = 100.0  # studies a second that the slower server is expected to take at least
_STEP = 7919  # from one question's study to the next one's

_PAGES = 10  # that are looked at: a list is seldom read further

# What OHIF and Weasis ask for beside what comes by itself; their order changes with the question, so that there
# are more questions than pages.
_FIELDS = ("00081030", "00080060", "00080090", "00100030", "00100040", "00200010")
_ORDERS = list(itertools.permutations(_FIELDS))


def figures(studies: int) -> tuple[Figure, ...]:
    """The figures for an archive of so many studies."""
    titles = {
        "50": (f"QIDO-RS of {_PAGE} studies, another page each time", Target(50)),
        "50-again": (f"QIDO-RS of {_PAGE} studies, the same page", None),
        "patient": ("QIDO-RS by PatientID", Target(50)),
        "name": ("QIDO-RS by PatientName *x*", Target(50)),
    }
    return tuple(
        Figure(f"qido-{studies}-{name}", f"{title}, {studies:,} studies, 8 connections", "/s", target)
        for name, (title, target) in titles.items()
    )


def measure(server: Server, bench: Bench, wanted: frozenset[str], *, studies: int) -> dict[str, float]:
    """Fill the server and ask it. Raises ServerFailed, SendFailed."""
    upload.upload_studies(server.http_port, 0, studies, seconds=60 + studies / _FILL_RATE)
    if server.instances() != studies:
        raise ServerFailed(f"{server.kind.title} does not hold the {studies} studies it was sent")
    questions: dict[str, Callable[[int], str]] = {
        "50": partial(_page, studies=studies),
        "50-again": lambda _: _page(0, studies=studies),
        "patient": partial(_by_patient, studies=studies),
        "name": partial(_by_name, studies=studies),
    }
    values = {}
    for name, question in questions.items():
        figure = f"qido-{studies}-{name}"
        if figure not in wanted:
            continue
        found, last = _checked(server, question)
        if name.startswith("50") and found != _PAGE:
            raise ServerFailed(f"{server.kind.title} showed {found} studies instead of {_PAGE}")
        note = f"{server.kind.title} showed {found:.1f} studies in an answer of {figure}."
        if note not in bench.notes:
            bench.notes.append(note)
        asked = range(1) if name == "50-again" else range(_CHECKED, _URLS)
        values[figure] = rate(server, bench, [question(number) for number in asked], JSON, one=last)
    return values


def _checked(server: Server, question: Callable[[int], str]) -> tuple[float, float]:
    """How many studies the first answers show on average, and the seconds that the last of them took.

    Raises ServerFailed if one of them shows none.
    """
    counts = []
    client = Client(server)
    for number in range(_CHECKED):
        found, seconds = client.ask_json(question(number))
        if not found or "0020000D" not in found[0]:
            raise ServerFailed(f"{server.kind.title} found nothing by {question(number)}")
        counts.append(len(found))
    return sum(counts) / len(counts), seconds


def _page(number: int, *, studies: int) -> str:
    offsets = min(_PAGES * _PAGE, studies - _PAGE + 1)
    variant, offset = divmod(number, offsets)
    return f"{ROOT}/studies?limit={_PAGE}&offset={offset * _STEP % offsets}&includefield={_fields(variant)}"


def _fields(variant: int) -> str:
    """The attributes, in an order that changes with `variant`."""
    return ",".join(_ORDERS[variant % len(_ORDERS)])


def _by_patient(number: int, *, studies: int) -> str:
    return _by("PatientID", patient_id(number * _STEP % studies), number)


def _by_name(number: int, *, studies: int) -> str:
    return _by("PatientName", f"*{name_part(number * _STEP % studies)}*", number)


def _by(keyword: str, value: str, number: int) -> str:
    # The limit is never reached. It makes the URL a new one when the patients come round again.
    return f"{ROOT}/studies?{keyword}={value}&limit={100 + number}&includefield={_fields(0)}"
