"""How fast C-FIND is: study-level queries on one association that stays open.

The same client, Ithil's own requestor, asks both servers, so what is compared is the query itself and not the
start of a tool. Each question is about another patient or name; how many studies the answers had is noted, since
rates of different answers would mean nothing.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from functools import partial

from benchmarks.figures import Figure, Target
from benchmarks.servers import AE_TITLE, Server, ServerFailed
from benchmarks.study_list import name_part, patient_id
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import Requestor, connect

_STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
_LEVEL = 0x00080052
_STEP = 7919  # from one question's study to the next one's
_MOST = 3000  # questions of one kind
_RETURNED = (  # what a list of studies shows
    (0x00080020, "DA"),
    (0x00080030, "TM"),
    (0x00080050, "SH"),
    (0x00080061, "CS"),
    (0x00081030, "LO"),
    (0x00100010, "PN"),
    (0x00100020, "LO"),
    (0x00100030, "DA"),
    (0x0020000D, "UI"),
    (0x00201208, "IS"),
)

Keys = dict[int, str]


def figures(studies: int) -> tuple[Figure, ...]:
    """The figures for an archive of so many studies."""
    titles = {"c-patient": "C-FIND by PatientID", "c-name": "C-FIND by PatientName *x*"}
    return tuple(
        Figure(f"find-{studies}-{name}", f"{title}, {studies:,} studies", "/s", Target(3))
        for name, title in titles.items()
    )


def measure(
    server: Server, wanted: frozenset[str], notes: list[str], *, studies: int, seconds: float
) -> dict[str, float]:
    """Queries a second on a server that holds the studies of `benchmarks.study_list`."""
    questions: dict[str, Callable[[int], Keys]] = {
        "c-patient": partial(_by_patient, studies=studies),
        "c-name": partial(_by_name, studies=studies),
    }
    values = {}
    for name, question in questions.items():
        figure = f"find-{studies}-{name}"
        if figure not in wanted:
            continue
        with connect(
            "127.0.0.1",
            server.dicom_port,
            called=AE_TITLE,
            calling="BENCHMARK",
            contexts=[(_STUDY_ROOT, [EXPLICIT_LITTLE])],
            timeout=120,
        ) as peer:
            values[figure], found = _rate(peer, question, seconds)
        note = f"{server.kind.title} found {found:.1f} studies at a question of {figure}."
        if note not in notes:
            notes.append(note)
    return values


def _rate(peer: Requestor, question: Callable[[int], Keys], seconds: float) -> tuple[float, float]:
    _ask(peer, question(0))
    taken = found = asked = 0.0
    while asked < 3 or (taken < seconds and asked < _MOST):
        keys = question(int(asked) + 1)
        started = time.perf_counter()
        found += _ask(peer, keys)
        taken += time.perf_counter() - started
        asked += 1
    return asked / taken, found / asked


def _ask(peer: Requestor, keys: Keys) -> int:
    """How many studies match."""
    command = Command(AffectedSOPClassUID=_STUDY_ROOT, CommandField=CommandField.C_FIND, Priority=0)
    matches = 0
    for response in peer.request(peer.context_for(_STUDY_ROOT), command, [_identifier(keys)]):
        matches += response.data_set is not None
    if response.command.status:
        raise ServerFailed(f"a C-FIND ended with status {response.command.status:04X}H")
    return matches


def _identifier(keys: Keys) -> bytes:
    asked = sorted((*_RETURNED, (_LEVEL, "CS")))
    return b"".join(_element(tag, vr, "STUDY" if tag == _LEVEL else keys.get(tag, "")) for tag, vr in asked)


def _element(tag: int, vr: str, value: str) -> bytes:
    raw = value.encode("ascii")
    raw += b" " * (len(raw) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw


def _by_patient(number: int, *, studies: int) -> Keys:
    return {0x00100020: patient_id(number * _STEP % studies)}


def _by_name(number: int, *, studies: int) -> Keys:
    return {0x00100010: f"*{name_part(number * _STEP % studies)}*"}
