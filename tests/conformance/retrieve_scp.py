"""C-MOVE and C-GET asked of both servers over the same files: final statuses, counts, and what arrives.

A C-MOVE goes to a receiver that this process has, a C-GET comes back here. Encodings and the order of instances
count; how a server writes a header anew does not, so data sets are not compared byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network.errors import NoAcceptedContext
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import RoleSelection
from ithil.network.requestor import Response, connect
from tests.conformance.compare import undeclared, unused
from tests.conformance.line import Difference, Found
from tests.conformance.pair import running_pair
from tests.servers.process import DicomServer
from tests.unit.services.receiver import Receiver, receiving
from tests.unit.services.retrieving import Taken, counts, identifier

PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY = (f"1.2.840.10008.5.1.4.1.2.{n}" for n in (1, 2, 3))
LEVEL, PATIENT, STUDY, SERIES, INSTANCE = 0x00080052, 0x00100020, 0x0020000D, 0x0020000E, 0x00080018

FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/MR_small.dcm",
    "pydicom/JPEG2000.dcm",
    "pydicom/SC_rgb_rle.dcm",
    *(
        f"pydicom/dicomdirtests/77654033/CR{number}/{name}"
        for number, name in ((1, "6154"), (2, "6247"), (3, "6278"))
    ),
    *(f"pydicom/dicomdirtests/98892003/MR1/{number}" for number in (15820, 4919, 5641)),
)
_CT = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
_CR = "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.1"
_STORAGE = tuple(
    f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("1", "2", "4", "7")
)  # computed radiography, CT, MR, secondary capture


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One request. `syntaxes` are what the receiver accepts; `ours` lists what differs on purpose."""

    keys: dict[int, str]
    root: str = STUDY_ROOT
    destination: str = "RECEIVER"
    syntaxes: tuple[str, ...] = (EXPLICIT_LITTLE,)
    roles: bool = True
    moves: tuple[Difference, ...] = ()
    gets: tuple[Difference, ...] = ()


_REFUSED = "The status that PS3.4 C.4.2.1.5 and C.4.3.1.4 name for it, with a comment; Orthanc says C000H."
_LENIENT = "What is found of a list is sent; Orthanc's C-GET fails if a single one is not there."
_CASE = "Patient IDs of other case are other patients (PS3.4 C.2.2.2.1); Orthanc takes them for the same."
_MODEL = "Orthanc does not provide Patient/Study Only."
_NO_COUNTS = Difference("counts", "Refusals have no counts.", ours=(None,) * 4)


def _refused(status: str) -> tuple[Difference, ...]:
    return (Difference("status", _REFUSED, ours=status, theirs="C000"), _NO_COUNTS)


_NOTHING = (_NO_COUNTS,)
_FOUND = (
    Difference("status", _LENIENT, ours="0000", theirs="C000"),
    Difference("counts", _LENIENT),
    Difference("received", _LENIENT, theirs=[]),
)
_OTHER_CASE = (
    Difference("status", _CASE, ours="C000", theirs="0000"),
    Difference("counts", _CASE),
    Difference("received", _CASE, ours=[]),
)
_LAST_PENDING = Difference("pending", "After the last one the final response follows at once.")
_SERVED = (
    Difference("status", _MODEL, theirs="no context"),
    Difference("counts", _MODEL),
    Difference("pending", _MODEL),
    Difference("received", _MODEL, theirs=[]),
)

RETRIEVALS: dict[str, Retrieval] = {
    "a study": Retrieval({LEVEL: "STUDY", STUDY: _CT}, gets=(_LAST_PENDING,)),
    "a study of several series": Retrieval({LEVEL: "STUDY", STUDY: _CR}, gets=(_LAST_PENDING,)),
    "a patient in the patient root": Retrieval(
        {LEVEL: "PATIENT", PATIENT: "98890234"}, PATIENT_ROOT, gets=(_LAST_PENDING,)
    ),
    "a patient in the study root": Retrieval({LEVEL: "PATIENT", PATIENT: "1CT1"}, gets=(_LAST_PENDING,)),
    "a patient by another case": Retrieval(
        {LEVEL: "PATIENT", PATIENT: "1ct1"}, moves=_OTHER_CASE, gets=(*_OTHER_CASE, _LAST_PENDING)
    ),
    "without a level": Retrieval({STUDY: _CT}, gets=_refused("A900")),
    "another level": Retrieval({LEVEL: "FOO", STUDY: _CT}, moves=_refused("A900"), gets=_refused("A900")),
    "without its key": Retrieval(
        {LEVEL: "SERIES", STUDY: _CT}, moves=_refused("A900"), gets=_refused("A900")
    ),
    "an empty key": Retrieval({LEVEL: "STUDY", STUDY: ""}, moves=_refused("A900"), gets=_refused("A900")),
    "what is not there": Retrieval({LEVEL: "STUDY", STUDY: "1.2.3"}, moves=_NOTHING, gets=_NOTHING),
    "a list of which one is not there": Retrieval(
        {LEVEL: "STUDY", STUDY: f"{_CT}\\1.2.3"}, gets=(*_FOUND, _LAST_PENDING)
    ),
    "an unknown destination": Retrieval(
        {LEVEL: "STUDY", STUDY: _CT}, destination="NOBODY", moves=_refused("A801"), gets=(_LAST_PENDING,)
    ),
    "to a receiver of implicit VR": Retrieval(
        {LEVEL: "STUDY", STUDY: _CT}, syntaxes=(IMPLICIT_LITTLE,), gets=(_LAST_PENDING,)
    ),
    "a compressed image": Retrieval({LEVEL: "PATIENT", PATIENT: "ID1"}, gets=(_LAST_PENDING,)),
    "Patient/Study Only": Retrieval(
        {LEVEL: "STUDY", STUDY: _CT}, PATIENT_STUDY_ONLY, moves=_SERVED, gets=_SERVED
    ),
}

Result = dict[str, object]


def retrieve_differences(folder: Path, subject: str = "ithil") -> list[str]:
    """Ask both servers for all of `RETRIEVALS`, and list what differs undeclared, or is declared and does not."""
    complaints = []
    with receiving() as receiver:
        settings = {
            "DicomAlwaysAllowMove": True,
            "DicomAlwaysAllowGet": True,
            "DicomModalities": {"receiver": ["RECEIVER", "127.0.0.1", receiver.port]},
            "DicomAssociationCloseDelay": 0,
        }
        with running_pair(folder, settings, subject) as pair:
            pair.upload(FILES)
            for name, retrieval in RETRIEVALS.items():
                for service in ("C-MOVE", "C-GET"):
                    theirs, ours = (
                        _retrieve(server, retrieval, service, receiver)
                        for server in (pair.peer, pair.subject)
                    )
                    found = [Found(key, theirs[key], ours[key]) for key in theirs if theirs[key] != ours[key]]
                    declared = retrieval.moves if service == "C-MOVE" else retrieval.gets
                    if pair.is_control:
                        declared = ()
                    complaints += [f"{service} of {name}: {each}" for each in undeclared(found, declared)]
                    complaints += [
                        f"{service} of {name}: declared, but there is no such difference: {each}"
                        for each in unused(found, declared)
                        if each not in (_LAST_PENDING, _NO_COUNTS)
                    ]
    return complaints


def _retrieve(server: DicomServer, retrieval: Retrieval, service: str, receiver: Receiver) -> Result:
    receiver.transfer_syntaxes = frozenset(retrieval.syntaxes)
    receiver.syntaxes.clear()
    taken = Taken()
    moves = service == "C-MOVE"
    sop_class = f"{retrieval.root}.{2 if moves else 3}"
    storage = () if moves else tuple((uid, retrieval.syntaxes) for uid in _STORAGE)
    with connect(
        "127.0.0.1",
        server.dicom_port,
        called="ORTHANC",
        calling="CONFORMANCE",
        contexts=[(sop_class, [EXPLICIT_LITTLE]), *storage],
        roles=[RoleSelection(uid, False, True) for uid, _ in storage],
        timeout=30,
    ) as peer:
        try:
            context = peer.context_for(sop_class)
        except NoAcceptedContext:
            return _result("no context", [], {})
        command = Command(
            AffectedSOPClassUID=sop_class,
            CommandField=CommandField.C_MOVE if moves else CommandField.C_GET,
            Priority=0,
        )
        if moves:
            command["MoveDestination"] = retrieval.destination
        asked = [identifier(retrieval.keys)]
        responses = list(peer.request(context, command, asked, on_store=None if moves else taken.open))
    received = receiver.syntaxes if moves else taken.syntaxes
    return _result(f"{responses[-1].command.status:04X}", responses, received)


def _result(status: str, responses: Sequence[Response], received: dict[str, str]) -> Result:
    return {
        "status": status,
        "counts": counts(responses[-1]) if responses else None,
        "pending": len(responses) - 1,
        "received": sorted(received.items()),
    }
