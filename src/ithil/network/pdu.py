"""The seven protocol data units of the DICOM upper layer (PS3.8 9.3), as values and as bytes.

`decode` and `encode` are inverse to each other and know nothing of an association's state. A-ASSOCIATE-RQ and
-AC come here whole, since they are small. P-DATA-TF, of which a large transfer consists, has a codec here for
completeness and for tests; the association reads its fragments from the stream without assembling them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ithil.network.errors import AbortReason, PduError
from ithil.network.pdu_items import (
    APPLICATION_CONTEXT_ITEM,
    PROPOSED_CONTEXT_ITEM,
    RESULT_CONTEXT_ITEM,
    USER_INFORMATION_ITEM,
    ContextAnswer,
    ProposedContext,
    UserInformation,
    decode_context_answer,
    decode_proposed_context,
    decode_text,
    decode_user_information,
    encode_context_answer,
    encode_proposed_context,
    encode_user_information,
    item,
    iterate_items,
)

ASSOCIATE_RQ: Final = 0x01
ASSOCIATE_AC: Final = 0x02
ASSOCIATE_RJ: Final = 0x03
P_DATA_TF: Final = 0x04
RELEASE_RQ: Final = 0x05
RELEASE_RP: Final = 0x06
ABORT: Final = 0x07

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
PROTOCOL_VERSION = 1

_pdu_header = struct.Struct(">BxI")
_pdv_header = struct.Struct(">IBB")
_associate_head = struct.Struct(">Hxx16s16s32x")


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2). Titles are without their padding."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 9.3.3). The titles repeat those of the request and are not tested."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ContextAnswer, ...]
    user_information: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4, table 9-21 for what the numbers mean)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class PresentationDataValue:
    """One fragment of a message (PS3.8 9.3.5.1 and annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class PData:
    """P-DATA-TF (PS3.8 9.3.5)."""

    values: tuple[PresentationDataValue, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 9.3.7)."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8). Source 0 is the service user, 2 the service provider."""

    source: int
    reason: int


Pdu: TypeAlias = (
    AssociateRequest | AssociateAccept | AssociateReject | PData | ReleaseRequest | ReleaseResponse | Abort
)


def encode(pdu: Pdu) -> bytes:
    """The PDU's bytes; ValueError if a field does not fit where the standard puts it."""
    match pdu:
        case AssociateRequest():
            contexts = [encode_proposed_context(context) for context in pdu.contexts]
            return _frame(ASSOCIATE_RQ, _associate_body(pdu, contexts))
        case AssociateAccept():
            answers = [encode_context_answer(answer) for answer in pdu.contexts]
            return _frame(ASSOCIATE_AC, _associate_body(pdu, answers))
        case AssociateReject():
            return _frame(ASSOCIATE_RJ, bytes((0, pdu.result, pdu.source, pdu.reason)))
        case PData():
            return _frame(P_DATA_TF, b"".join(_encode_value(value) for value in pdu.values))
        case ReleaseRequest():
            return _frame(RELEASE_RQ, bytes(4))
        case ReleaseResponse():
            return _frame(RELEASE_RP, bytes(4))
        case Abort():
            return _frame(ABORT, bytes((0, 0, pdu.source, pdu.reason)))


def decode(data: bytes) -> Pdu:
    """The PDU that `data` is, exactly and whole; raises `PduError` for anything else."""
    if len(data) < 6:
        raise PduError("a PDU is shorter than its header")
    pdu_type, length = _pdu_header.unpack_from(data)
    if length != len(data) - 6:
        raise PduError("a PDU's length is not that of its bytes")
    return decode_body(pdu_type, data[6:])


def decode_body(pdu_type: int, body: bytes) -> Pdu:
    """The PDU of type `pdu_type` whose variable field is `body`; raises `PduError`."""
    if pdu_type == ASSOCIATE_RQ:
        return _decode_request(body)
    if pdu_type == ASSOCIATE_AC:
        return _decode_accept(body)
    if pdu_type == P_DATA_TF:
        return PData(_decode_values(body))
    if pdu_type not in (ASSOCIATE_RJ, RELEASE_RQ, RELEASE_RP, ABORT):
        raise PduError("a PDU is of an unknown type", AbortReason.UNRECOGNIZED_PDU)
    if len(body) != 4:
        raise PduError("a PDU of fixed size has another size")
    if pdu_type == ASSOCIATE_RJ:
        return AssociateReject(body[1], body[2], body[3])
    if pdu_type == ABORT:
        return Abort(body[2], body[3])
    return ReleaseRequest() if pdu_type == RELEASE_RQ else ReleaseResponse()


def is_acceptable_ae_title(title: str) -> bool:
    """Whether a title is one to deal with (PS3.5 6.2, VR AE): 1 to 16 characters, no control, no backslash.

    Letters outside ASCII are let through, read as ISO 8859-1: devices that have them work with other
    archives.
    """
    return 0 < len(title) <= 16 and title.isprintable() and "\\" not in title


def _frame(pdu_type: int, body: bytes) -> bytes:
    return _pdu_header.pack(pdu_type, len(body)) + body


def _encode_title(title: str) -> bytes:
    raw = title.encode("latin-1")
    if len(raw) > 16:
        raise ValueError("an AE title has at most 16 characters")
    return raw.ljust(16)


def _associate_body(pdu: AssociateRequest | AssociateAccept, contexts: list[bytes]) -> bytes:
    called, calling = _encode_title(pdu.called_ae_title), _encode_title(pdu.calling_ae_title)
    head = _associate_head.pack(pdu.protocol_version, called, calling)
    name = item(APPLICATION_CONTEXT_ITEM, pdu.application_context.encode("ascii"))
    return b"".join((head, name, *contexts, encode_user_information(pdu.user_information)))


@dataclass(slots=True)
class _AssociateParts:
    protocol_version: int
    called: str
    calling: str
    application_context: str = ""
    contexts: list[bytes] = field(default_factory=list)
    user_information: UserInformation = field(default_factory=UserInformation)


def _read_associate(body: bytes, context_item: int) -> _AssociateParts:
    if len(body) < _associate_head.size:
        raise PduError("an association PDU is cut off")
    version, called, calling = _associate_head.unpack_from(body)
    parts = _AssociateParts(version, _decode_title(called), _decode_title(calling))
    for item_type, value in iterate_items(body[_associate_head.size :]):
        if item_type == APPLICATION_CONTEXT_ITEM:
            parts.application_context = decode_text(value)
        elif item_type == context_item:
            parts.contexts.append(value)
        elif item_type == USER_INFORMATION_ITEM:
            parts.user_information = decode_user_information(value)
    return parts


def _decode_title(raw: bytes) -> str:
    # NUL as padding is against PS3.8 9.3.2 but common.
    return raw.decode("latin-1").strip(" \0")


def _require_distinct(identifiers: list[int]) -> None:
    if len(set(identifiers)) != len(identifiers):
        raise PduError("two presentation contexts have the same identifier")


def _decode_request(body: bytes) -> AssociateRequest:
    parts = _read_associate(body, PROPOSED_CONTEXT_ITEM)
    contexts = tuple(decode_proposed_context(value) for value in parts.contexts)
    _require_distinct([context.id for context in contexts])
    return AssociateRequest(
        parts.called,
        parts.calling,
        contexts,
        parts.user_information,
        parts.application_context,
        parts.protocol_version,
    )


def _decode_accept(body: bytes) -> AssociateAccept:
    parts = _read_associate(body, RESULT_CONTEXT_ITEM)
    answers = tuple(decode_context_answer(value) for value in parts.contexts)
    _require_distinct([answer.id for answer in answers])
    return AssociateAccept(
        parts.called,
        parts.calling,
        answers,
        parts.user_information,
        parts.application_context,
        parts.protocol_version,
    )


def _encode_value(value: PresentationDataValue) -> bytes:
    flags = value.is_command | value.is_last << 1
    return _pdv_header.pack(len(value.data) + 2, value.context_id, flags) + value.data


def _decode_values(body: bytes) -> tuple[PresentationDataValue, ...]:
    values: list[PresentationDataValue] = []
    offset = 0
    while offset < len(body):
        if len(body) - offset < 6:
            raise PduError("a presentation data value is shorter than its header")
        length, context_id, flags = _pdv_header.unpack_from(body, offset)
        if length < 2 or length > len(body) - offset - 4:
            raise PduError("a presentation data value's length is wrong")
        data = body[offset + 6 : offset + 4 + length]
        values.append(PresentationDataValue(context_id, bool(flags & 1), bool(flags & 2), data))
        offset += 4 + length
    if not values:
        raise PduError("a P-DATA-TF is empty")
    return tuple(values)
