"""The state machine of the DICOM upper layer, complete, in one table (PS3.8 9.2, table 9-10).

An association is a conversation of two sides over one TCP connection, and at any moment each side is in one
of thirteen states. This module says what may happen in which state and what follows. It does nothing itself:
`association.py` looks up each input here, moves to the state that the table names, and carries the action
out.

How a normal association goes, seen from the side that accepts it. The connection opens (Sta1 to Sta2) and the
ARTIM timer starts: a stranger has that long to say what it wants. It sends A-ASSOCIATE-RQ, and while the
service decides we are in Sta3. A yes sends A-ASSOCIATE-AC and leads to Sta6, where messages flow both ways
and where nearly all time is spent. The peer's A-RELEASE-RQ leads to Sta8, our A-RELEASE-RP to Sta13, in which
we wait for the peer to close the connection, again under ARTIM. The closed connection leads back to Sta1. A
no sends A-ASSOCIATE-RJ and goes straight to Sta13.

Seen from the side that asks: the connection is being made (Sta4), A-ASSOCIATE-RQ is sent (Sta5), the answer
leads to Sta6 or ends it. Our A-RELEASE-RQ leads to Sta7, the peer's A-RELEASE-RP ends it.

Both sides may ask for release at the same moment. That is what Sta9 to Sta12 are for: the requestor answers
first (Sta9, then Sta11), the acceptor waits for that answer (Sta10) before it gives its own (Sta12).

Three rules hold everywhere and make the table look repetitive. Whatever does not belong in a state is
answered with A-ABORT and leads to Sta13 (action AA-8; AA-1 while the peer is still a stranger). A received
A-ABORT ends everything at once (AA-3, AA-2). A connection that closes outside Sta13 and Sta2 is an abort by
the network (AA-4).

WARNING: Sta13 is the one state in which this implementation does less than the table. After an A-ABORT for
unreadable bytes the boundaries of PDUs are lost, so what still arrives in Sta13 is thrown away unread, except
the end of the connection. The table keeps the standard's entries (AA-6, AA-7, AA-2) to be complete.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    """PS3.8 9.2.1, tables 9-1 to 9-5."""

    STA1 = "idle"
    STA2 = "transport connection open, awaiting A-ASSOCIATE-RQ"
    STA3 = "awaiting the local answer to A-ASSOCIATE-RQ"
    STA4 = "awaiting the transport connection to open"
    STA5 = "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ"
    STA6 = "association established"
    STA7 = "awaiting A-RELEASE-RP"
    STA8 = "awaiting the local answer to A-RELEASE-RQ"
    STA9 = "release collision, requestor: awaiting the local answer"
    STA10 = "release collision, acceptor: awaiting A-RELEASE-RP"
    STA11 = "release collision, requestor: awaiting A-RELEASE-RP"
    STA12 = "release collision, acceptor: awaiting the local answer"
    STA13 = "awaiting the transport connection to close"


class Input(Enum):
    """What can happen: Evt1 to Evt19 of PS3.8 table 9-10, in its order."""

    REQUEST = "Evt1"
    CONNECTION_CONFIRMED = "Evt2"
    ASSOCIATE_AC = "Evt3"
    ASSOCIATE_RJ = "Evt4"
    CONNECTION_INDICATED = "Evt5"
    ASSOCIATE_RQ = "Evt6"
    ACCEPT = "Evt7"
    REJECT = "Evt8"
    SEND_DATA = "Evt9"
    P_DATA_TF = "Evt10"
    RELEASE = "Evt11"
    RELEASE_RQ = "Evt12"
    RELEASE_RP = "Evt13"
    CONFIRM_RELEASE = "Evt14"
    ABORT = "Evt15"
    ABORT_PDU = "Evt16"
    CONNECTION_CLOSED = "Evt17"
    ARTIM_EXPIRED = "Evt18"
    INVALID_PDU = "Evt19"


class Action(Enum):
    """PS3.8 9.2.2, tables 9-6 to 9-9."""

    AE1 = "issue the transport connect request"
    AE2 = "send A-ASSOCIATE-RQ"
    AE3 = "report the acceptance"
    AE4 = "report the rejection and close the connection"
    AE5 = "start ARTIM"
    AE6 = "stop ARTIM, report the request or send A-ASSOCIATE-RJ"
    AE7 = "send A-ASSOCIATE-AC"
    AE8 = "send A-ASSOCIATE-RJ and start ARTIM"
    DT1 = "send P-DATA-TF"
    DT2 = "report the data"
    AR1 = "send A-RELEASE-RQ"
    AR2 = "report the wish to release"
    AR3 = "report the release and close the connection"
    AR4 = "send A-RELEASE-RP and start ARTIM"
    AR5 = "stop ARTIM"
    AR6 = "report the data while releasing"
    AR7 = "send P-DATA-TF before answering the release"
    AR8 = "report a release collision"
    AR9 = "send A-RELEASE-RP in a collision"
    AR10 = "report the release in a collision"
    AA1 = "send A-ABORT and start ARTIM"
    AA2 = "stop ARTIM and close the connection"
    AA3 = "report the peer's abort and close the connection"
    AA4 = "report an abort by the network"
    AA5 = "stop ARTIM, the stranger left"
    AA6 = "ignore the PDU"
    AA7 = "send A-ABORT again"
    AA8 = "send A-ABORT, report it and start ARTIM"


_S = State
_A = Action

_NEXT: Final = {
    _A.AE1: _S.STA4,
    _A.AE2: _S.STA5,
    _A.AE3: _S.STA6,
    _A.AE4: _S.STA1,
    _A.AE5: _S.STA2,
    _A.AE6: _S.STA3,  # or Sta13, by REJECT from there, if the request is one that cannot be served at all
    _A.AE7: _S.STA6,
    _A.AE8: _S.STA13,
    _A.DT1: _S.STA6,
    _A.DT2: _S.STA6,
    _A.AR1: _S.STA7,
    _A.AR2: _S.STA8,
    _A.AR3: _S.STA1,
    _A.AR4: _S.STA13,
    _A.AR5: _S.STA1,
    _A.AR6: _S.STA7,
    _A.AR7: _S.STA8,
    _A.AR8: _S.STA9,  # the acceptor goes to Sta10, see `transition`
    _A.AR9: _S.STA11,
    _A.AR10: _S.STA12,
    _A.AA1: _S.STA13,
    _A.AA2: _S.STA1,
    _A.AA3: _S.STA1,
    _A.AA4: _S.STA1,
    _A.AA5: _S.STA1,
    _A.AA6: _S.STA13,
    _A.AA7: _S.STA13,
    _A.AA8: _S.STA13,
}

_CONNECTED: Final = tuple(state for state in State if state not in (_S.STA1, _S.STA2, _S.STA4, _S.STA13))


def _pdu(in_sta13: Action = _A.AA6, in_sta2: Action = _A.AA1, **expected: Action) -> dict[State, Action]:
    """A row of the table for a PDU: unexpected everywhere but in the states that are named."""
    row = dict.fromkeys(_CONNECTED, _A.AA8) | {_S.STA2: in_sta2, _S.STA13: in_sta13}
    return row | {State[name]: action for name, action in expected.items()}


TABLE: Final[dict[Input, dict[State, Action]]] = {
    Input.REQUEST: {_S.STA1: _A.AE1},
    Input.CONNECTION_CONFIRMED: {_S.STA4: _A.AE2},
    Input.ASSOCIATE_AC: _pdu(STA5=_A.AE3),
    Input.ASSOCIATE_RJ: _pdu(STA5=_A.AE4),
    Input.CONNECTION_INDICATED: {_S.STA1: _A.AE5},
    Input.ASSOCIATE_RQ: _pdu(in_sta13=_A.AA7, in_sta2=_A.AE6),
    Input.ACCEPT: {_S.STA3: _A.AE7},
    Input.REJECT: {_S.STA3: _A.AE8},
    Input.SEND_DATA: {_S.STA6: _A.DT1, _S.STA8: _A.AR7},
    Input.P_DATA_TF: _pdu(STA6=_A.DT2, STA7=_A.AR6),
    Input.RELEASE: {_S.STA6: _A.AR1},
    Input.RELEASE_RQ: _pdu(STA6=_A.AR2, STA7=_A.AR8),
    Input.RELEASE_RP: _pdu(STA7=_A.AR3, STA10=_A.AR10, STA11=_A.AR3),
    Input.CONFIRM_RELEASE: {_S.STA8: _A.AR4, _S.STA9: _A.AR9, _S.STA12: _A.AR4},
    Input.ABORT: dict.fromkeys(_CONNECTED, _A.AA1) | {_S.STA4: _A.AA2},
    Input.ABORT_PDU: dict.fromkeys(_CONNECTED, _A.AA3) | {_S.STA2: _A.AA2, _S.STA13: _A.AA2},
    Input.CONNECTION_CLOSED: dict.fromkeys(_CONNECTED, _A.AA4)
    | {_S.STA2: _A.AA5, _S.STA4: _A.AA4, _S.STA13: _A.AR5},
    Input.ARTIM_EXPIRED: {_S.STA2: _A.AA2, _S.STA13: _A.AA2},
    Input.INVALID_PDU: _pdu(in_sta13=_A.AA7),
}
"""For each input, the states in which it can come and the action that follows."""


def transition(state: State, happening: Input, *, is_requestor: bool) -> tuple[Action, State] | None:
    """The action and the next state, or None where the input cannot come (a fault of the caller, not of a
    peer).
    """
    action = TABLE[happening].get(state)
    if action is None:
        return None
    if action is Action.AR8 and not is_requestor:
        return action, State.STA10
    return action, _NEXT[action]
