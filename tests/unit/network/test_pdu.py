"""PDUs as bytes: against bytes written down from the standard, back and forth, and against damage."""

from __future__ import annotations

import struct

import pynetdicom.pdu
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.network import strategies

from ithil.network import pdu
from ithil.network.errors import AbortReason, PduError
from ithil.network.pdu_items import (
    ContextAnswer,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def request_bytes(*items: bytes, called: bytes = b"ARCHIVE", calling: bytes = b"MODALITY") -> bytes:
    """A-ASSOCIATE-RQ put together by hand from PS3.8 table 9-11."""
    body = b"\0\1\0\0" + called.ljust(16) + calling.ljust(16) + bytes(32) + b"".join(items)
    return b"\1\0" + struct.pack(">I", len(body)) + body


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
ECHO_CONTEXT = item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) + item(0x40, IMPLICIT.encode()))
USER = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3") + item(0x55, b"TOOL_1"))


def test_request_is_read_from_bytes_of_the_standard():
    decoded = pdu.decode(request_bytes(APPLICATION, ECHO_CONTEXT, USER))
    assert decoded == pdu.AssociateRequest(
        "ARCHIVE",
        "MODALITY",
        (ProposedContext(1, VERIFICATION, (IMPLICIT,)),),
        UserInformation(16384, "1.2.3", "TOOL_1"),
    )
    assert pdu.encode(decoded) == request_bytes(APPLICATION, ECHO_CONTEXT, USER)


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (pdu.AssociateReject(1, 2, 3), "03 00 00000004 00 01 02 03"),
        (pdu.ReleaseRequest(), "05 00 00000004 00000000"),
        (pdu.ReleaseResponse(), "06 00 00000004 00000000"),
        (pdu.Abort(2, 6), "07 00 00000004 00 00 02 06"),
        (
            pdu.PData((pdu.PresentationDataValue(3, True, True, b"ab"),)),
            "04 00 00000008 00000004 03 03 6162",
        ),
    ],
)
def test_small_pdus_have_the_bytes_of_the_standard(value, raw):
    assert pdu.encode(value) == bytes.fromhex(raw)
    assert pdu.decode(bytes.fromhex(raw)) == value


@given(strategies.pdus)
def test_every_pdu_survives_encoding(value):
    assert pdu.decode(pdu.encode(value)) == value


@given(strategies.requests.filter(lambda request: all(one.transfer_syntaxes for one in request.contexts)))
@settings(max_examples=30)
def test_pynetdicom_reads_our_requests(request_value):
    theirs = pynetdicom.pdu.A_ASSOCIATE_RQ()
    theirs.decode(pdu.encode(request_value))
    assert theirs.calling_ae_title.strip() == request_value.calling_ae_title
    read = [(one.context_id, str(one.abstract_syntax)) for one in theirs.presentation_context]
    assert read == [(one.id, one.abstract_syntax) for one in request_value.contexts]


@given(strategies.pdus, st.data())
def test_damaged_pdus_are_pdus_or_a_pdu_error(value, data):
    raw = bytearray(pdu.encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        decoded = pdu.decode(bytes(raw))
    except PduError:
        return
    assert isinstance(
        decoded,
        pdu.AssociateRequest
        | pdu.AssociateAccept
        | pdu.AssociateReject
        | pdu.PData
        | pdu.ReleaseRequest
        | pdu.ReleaseResponse
        | pdu.Abort,
    )


def test_unknown_items_are_skipped():
    stranger = item(0x7F, b"whatever")
    user = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x6F, b"?") + item(0x52, b"1.2.3"))
    decoded = pdu.decode(request_bytes(APPLICATION, stranger, ECHO_CONTEXT, user))
    assert decoded.contexts == (ProposedContext(1, VERIFICATION, (IMPLICIT,)),)
    assert decoded.user_information == UserInformation(16384, "1.2.3")


def test_padding_of_titles_and_uids_is_dropped():
    padded = item(
        0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode() + b"\0") + item(0x40, IMPLICIT.encode() + b" \0")
    )
    decoded = pdu.decode(request_bytes(APPLICATION, padded, called=b"A\0\0", calling=b"  B"))
    assert (decoded.called_ae_title, decoded.calling_ae_title) == ("A", "B")
    assert decoded.contexts == (ProposedContext(1, VERIFICATION, (IMPLICIT,)),)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x09\0\0\0\0\0", id="unknown type"),
        pytest.param(b"\5\0\0\0\0\5\0\0\0\0\0", id="release of another size"),
        pytest.param(request_bytes(APPLICATION)[:50], id="cut"),
        pytest.param(request_bytes(APPLICATION, b"\x20\0\xff\xff"), id="item longer than the PDU"),
        pytest.param(request_bytes(b"\x20\0"), id="item without its header"),
        pytest.param(request_bytes(ECHO_CONTEXT, ECHO_CONTEXT), id="identifier twice"),
        pytest.param(request_bytes(ECHO_CONTEXT.replace(b"\1\0\0\0", b"\2\0\0\0")), id="even identifier"),
        pytest.param(request_bytes(item(0x20, b"\1")), id="context cut"),
        pytest.param(request_bytes(item(0x50, item(0x51, b"\0\0\1"))), id="maximum length of three bytes"),
        pytest.param(request_bytes(item(0x50, item(0x54, b"\0\x051.2.3\1"))), id="role cut"),
        pytest.param(request_bytes(item(0x50, item(0x58, b"\1"))), id="identity cut"),
        pytest.param(request_bytes(item(0x50, item(0x58, b"\1\0\0\x09ab"))), id="identity lies"),
        pytest.param(request_bytes(item(0x10, b"1.2\xff")), id="not ASCII"),
        pytest.param(b"\4\0\0\0\0\0", id="no fragment"),
        pytest.param(b"\4\0\0\0\0\6\0\0\0\1\1\1", id="fragment shorter than its header"),
    ],
)
def test_wrong_bytes_are_a_pdu_error(raw):
    with pytest.raises(PduError):
        pdu.decode(raw)


def test_the_reason_tells_an_unknown_type_from_a_wrong_value():
    with pytest.raises(PduError) as unknown:
        pdu.decode(b"\x09\0\0\0\0\0")
    with pytest.raises(PduError) as wrong:
        pdu.decode(request_bytes(ECHO_CONTEXT, ECHO_CONTEXT))
    assert unknown.value.reason == AbortReason.UNRECOGNIZED_PDU
    assert wrong.value.reason == AbortReason.INVALID_PARAMETER_VALUE


def test_a_request_may_have_128_contexts():
    contexts = tuple(ProposedContext(number, VERIFICATION, (IMPLICIT,)) for number in range(1, 256, 2))
    value = pdu.AssociateRequest("A", "B", contexts)
    assert len(pdu.decode(pdu.encode(value)).contexts) == 128


def test_what_does_not_fit_is_not_encoded():
    with pytest.raises(ValueError):
        pdu.encode(pdu.AssociateRequest("A" * 17, "B", ()))
    with pytest.raises(ValueError):
        pdu.encode(pdu.AssociateRequest("A", "B", (ProposedContext(1, "1" * 70000, ()),)))


def test_role_and_answer_items_have_the_bytes_of_the_standard():
    answer = pdu.AssociateAccept(
        "A",
        "B",
        (ContextAnswer(5, 0, IMPLICIT),),
        UserInformation(0, roles=(RoleSelection("1.2", False, True),)),
    )
    raw = pdu.encode(answer)
    assert item(0x21, b"\5\0\0\0" + item(0x40, IMPLICIT.encode())) in raw
    assert item(0x54, b"\0\x031.2\0\1") in raw


def test_an_identity_never_shows_its_credentials():
    identity = UserIdentity(2, True, b"somebody", b"secret")
    assert "somebody" not in repr(identity)
    assert "secret" not in repr(UserInformation(user_identity=identity))


@pytest.mark.parametrize(
    ("title", "fine"),
    [
        ("A", True),
        ("ÄRZTE", True),
        ("A B", True),
        ("", False),
        ("A" * 17, False),
        ("A\\B", False),
        ("A\x01", False),
    ],
)
def test_which_titles_are_acceptable(title, fine):
    assert pdu.is_acceptable_ae_title(title) is fine


def test_a_context_without_abstract_syntax_does_not_take_the_others_along():
    decoded = pdu.decode(request_bytes(item(0x20, b"\3\0\0\0"), ECHO_CONTEXT))
    assert [context.abstract_syntax for context in decoded.contexts] == ["", VERIFICATION]
