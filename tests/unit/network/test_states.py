"""The transition table against the standard's, as pynetdicom has written it down independently."""

from __future__ import annotations

import pytest
from pynetdicom.fsm import ACTIONS, TRANSITION_TABLE

from ithil.network.states import TABLE, Action, Input, State, transition


def standard_name(action: Action) -> str:
    return f"{action.name[:2]}-{action.name[2:]}"


def test_the_table_is_the_standards():
    ours = {
        (happening.value, state.name.replace("STA", "Sta")): standard_name(action)
        for happening, row in TABLE.items()
        for state, action in row.items()
    }
    assert ours == TRANSITION_TABLE


@pytest.mark.parametrize("happening", list(Input))
def test_next_states_are_the_standards(happening):
    for state, action in TABLE[happening].items():
        following = ACTIONS[standard_name(action)][2]
        choices = {following} if isinstance(following, str) else set(following)
        for is_requestor in (True, False):
            taken = transition(state, happening, is_requestor=is_requestor)
            assert taken is not None
            assert taken[1].name.replace("STA", "Sta") in choices


def test_what_cannot_come_has_no_transition():
    assert transition(State.STA1, Input.P_DATA_TF, is_requestor=False) is None
    assert transition(State.STA13, Input.SEND_DATA, is_requestor=False) is None
