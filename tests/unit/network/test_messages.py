"""Command sets as bytes and back, and what is refused in them."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset
from tests.unit.network import strategies

from ithil.network.errors import PduError
from ithil.network.messages import Command, CommandField, decode_command, encode_command

ECHO = bytes.fromhex(
    "00000000 04000000 38000000"
    "00000200 12000000 312e322e3834302e31303030382e312e3100"
    "00000001 02000000 3000"
    "00001001 02000000 0700"
    "00000008 02000000 0101"
)


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def test_c_echo_has_the_bytes_of_the_standard():
    command = decode_command(ECHO)
    assert command == {
        "AffectedSOPClassUID": "1.2.840.10008.1.1",
        "CommandField": 0x30,
        "MessageID": 7,
        "CommandDataSetType": 0x0101,
    }
    assert encode_command(command, data_set=False) == ECHO
    assert (command.name, command.has_data_set, command.is_response) == ("C-ECHO-RQ", False, False)


@given(strategies.commands, st.booleans())
def test_every_command_survives_encoding(command, data_set):
    decoded = decode_command(encode_command(command, data_set=data_set))
    assert decoded.has_data_set is data_set
    del decoded["CommandDataSetType"]
    assert decoded == command


@given(strategies.commands)
def test_pydicom_reads_what_we_write(command):
    read = read_dataset(BytesIO(encode_command(command, data_set=True)), True, True)
    written = {one.keyword for one in read} - {"CommandGroupLength", "CommandDataSetType"}
    assert written == set(command)
    assert [one.tag for one in read] == sorted(one.tag for one in read)


def test_a_response_repeats_what_it_must():
    request = Command(
        AffectedSOPClassUID="1.2",
        CommandField=CommandField.C_STORE,
        MessageID=9,
        AffectedSOPInstanceUID="1.3",
    )
    assert request.response(0xA700, "x" * 70) == {
        "AffectedSOPClassUID": "1.2",
        "CommandField": 0x8001,
        "MessageIDBeingRespondedTo": 9,
        "Status": 0xA700,
        "ErrorComment": "x" * 64,
        "AffectedSOPInstanceUID": "1.3",
    }


def test_a_response_to_an_n_action_names_the_requested_instance_and_the_action():
    request = Command(
        RequestedSOPClassUID="1.2",
        CommandField=CommandField.N_ACTION,
        MessageID=9,
        RequestedSOPInstanceUID="1.3",
        ActionTypeID=1,
    )
    answer = request.response(0)
    assert (answer["AffectedSOPClassUID"], answer["AffectedSOPInstanceUID"]) == ("1.2", "1.3")
    assert answer["ActionTypeID"] == 1


def test_unknown_elements_are_skipped():
    assert "CommandField" in decode_command(ECHO + element(0x5110, b"1.2\0"))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(ECHO[:-1], id="cut"),
        pytest.param(ECHO[:-12], id="no data set type"),
        pytest.param(struct.pack("<HHI", 8, 0x18, 0) + ECHO, id="another group"),
        pytest.param(ECHO + struct.pack("<HHI", 0, 0x902, 0xFFFFFFFF), id="endless length"),
        pytest.param(ECHO + element(0x110, b"\1\0\0"), id="number of three bytes"),
        pytest.param(ECHO + element(0x1005, b"\1\0\0"), id="odd list of tags"),
        pytest.param(ECHO + element(0x2, b"../x\n"), id="UID with a control character"),
        pytest.param(element(0x100, b"\x30\x80") + element(0x800, b"\1\1"), id="response to nothing"),
        pytest.param(element(0x100, b"\xff\x0f") + element(0x800, b"\1\1"), id="cancel of nothing"),
        pytest.param(
            element(0x100, b"\1\0") + element(0x110, b"\1\0") + element(0x800, b"\0\0"), id="store of nothing"
        ),
    ],
)
def test_what_is_no_command_set_is_a_pdu_error(raw):
    with pytest.raises(PduError):
        decode_command(raw)


@given(st.binary(max_size=80) | st.builds(lambda tail: ECHO + tail, st.binary(max_size=40)))
def test_random_bytes_are_a_command_or_a_pdu_error(raw):
    try:
        assert isinstance(decode_command(raw), Command)
    except PduError:
        pass
