"""The items inside A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3 and annex D; PS3.7 annex D.3.3).

Each item is a frozen dataclass. Reading is total: an item whose length lies raises `PduError`, an item of an
unknown type is skipped, as PS3.8 9.3.1 asks. Text in items is ASCII; trailing NULs and blanks, with which
some peers pad UIDs to an even length, are dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ithil.network.errors import AbortReason, PduError

APPLICATION_CONTEXT_ITEM = 0x10
PROPOSED_CONTEXT_ITEM = 0x20
RESULT_CONTEXT_ITEM = 0x21
ABSTRACT_SYNTAX_ITEM = 0x30
TRANSFER_SYNTAX_ITEM = 0x40
USER_INFORMATION_ITEM = 0x50

_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS = 0x52
_ASYNC_WINDOW = 0x53
_ROLE_SELECTION = 0x54
_IMPLEMENTATION_VERSION = 0x55
_EXTENDED_NEGOTIATION = 0x56
_COMMON_EXTENDED = 0x57
_USER_IDENTITY = 0x58
_USER_IDENTITY_RESPONSE = 0x59

_item_header = struct.Struct(">BxH")
_two_shorts = struct.Struct(">HH")
_short = struct.Struct(">H")
_long = struct.Struct(">I")

Buffer: TypeAlias = bytes | bytearray | memoryview


class ContextResult:
    """Answers to one proposed presentation context (PS3.8 9.3.3.2)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as the requestor proposes it (PS3.8 9.3.2.2). `id` is odd, 1 to 255."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    """The acceptor's answer to one context (PS3.8 9.3.3.2). The transfer syntax counts only on acceptance."""

    id: int
    result: int
    transfer_syntax: str = ""


@dataclass(frozen=True, slots=True)
class AsyncOperationsWindow:
    """How many operations may be outstanding at a time; 0 is no limit (PS3.7 D.3.3.3)."""

    invoked: int
    performed: int


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Which roles the requestor may take for a SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """Service class specific bytes for one SOP class (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """Service class and related general classes of a SOP class (PS3.7 D.3.3.6)."""

    sop_class_uid: str
    service_class_uid: str
    related_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who the requestor says it acts for (PS3.7 D.3.3.7.1).

    `kind` is 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON web token.
    """

    kind: int
    response_requested: bool
    primary: bytes
    secondary: bytes = b""

    def __repr__(self) -> str:
        """Names the kind only: the fields are credentials."""
        return f"UserIdentity(kind={self.kind}, response_requested={self.response_requested})"


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item: all that is negotiated beside the contexts (PS3.8 annex D, PS3.7 D.3.3)."""

    max_pdu_length: int = 0
    implementation_class_uid: str = ""
    implementation_version: str = ""
    async_window: AsyncOperationsWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = None


def item(item_type: int, body: bytes) -> bytes:
    """One item with its header; ValueError if it is longer than a 16-bit length can say."""
    if len(body) > 0xFFFF:
        raise ValueError("an item of an association PDU is at most 65535 bytes")
    return _item_header.pack(item_type, len(body)) + body


def iterate_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, body) of each item; raises `PduError` if a length goes beyond the end."""
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < 4:
            raise PduError("an item is shorter than its header")
        item_type, length = _item_header.unpack_from(data, offset)
        offset += 4
        if length > end - offset:
            raise PduError("an item is longer than what contains it")
        yield item_type, data[offset : offset + length]
        offset += length


def decode_text(raw: bytes) -> str:
    """Printable ASCII without its padding; anything else raises `PduError`."""
    text = raw.rstrip(b"\0 ").decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise PduError("a UID or name has characters that are not printable ASCII")
    return text


def _encode_text(text: str) -> bytes:
    return text.encode("ascii")


def _prefixed(raw: bytes) -> bytes:
    return _short.pack(len(raw)) + raw


def _take_prefixed(data: bytes, offset: int) -> tuple[bytes, int]:
    """The field at `offset` that is preceded by its 16-bit length, and where the next one starts."""
    if len(data) - offset < 2:
        raise PduError("a field's length is cut off")
    (length,) = _short.unpack_from(data, offset)
    offset += 2
    if length > len(data) - offset:
        raise PduError("a field is longer than its item")
    return data[offset : offset + length], offset + length


def encode_proposed_context(context: ProposedContext) -> bytes:
    """The item of PS3.8 9.3.2.2."""
    parts = [
        struct.pack(">Bxxx", context.id),
        item(ABSTRACT_SYNTAX_ITEM, _encode_text(context.abstract_syntax)),
    ]
    parts += [item(TRANSFER_SYNTAX_ITEM, _encode_text(uid)) for uid in context.transfer_syntaxes]
    return item(PROPOSED_CONTEXT_ITEM, b"".join(parts))


def decode_proposed_context(body: bytes) -> ProposedContext:
    """Raises `PduError` for an even identifier.

    A context without abstract syntax has the empty one, which nobody supports: it is rejected by itself and
    the other contexts of the association live on.
    """
    identifier = _context_id(body)
    abstract = ""
    transfer: list[str] = []
    for item_type, value in iterate_items(body[4:]):
        if item_type == ABSTRACT_SYNTAX_ITEM:
            abstract = decode_text(value)
        elif item_type == TRANSFER_SYNTAX_ITEM:
            transfer.append(decode_text(value))
    return ProposedContext(identifier, abstract, tuple(transfer))


def encode_context_answer(answer: ContextAnswer) -> bytes:
    """The item of PS3.8 9.3.3.2. The transfer syntax item is there even when it means nothing."""
    head = struct.pack(">BxBx", answer.id, answer.result)
    return item(RESULT_CONTEXT_ITEM, head + item(TRANSFER_SYNTAX_ITEM, _encode_text(answer.transfer_syntax)))


def decode_context_answer(body: bytes) -> ContextAnswer:
    """Raises `PduError` for an even identifier."""
    identifier = _context_id(body)
    transfer = ""
    for item_type, value in iterate_items(body[4:]):
        if item_type == TRANSFER_SYNTAX_ITEM:
            transfer = decode_text(value)
    return ContextAnswer(identifier, body[2], transfer)


def _context_id(body: bytes) -> int:
    if len(body) < 4:
        raise PduError("a presentation context is cut off")
    if not body[0] & 1:
        raise PduError("a presentation context has an even identifier")
    return body[0]


def encode_user_information(information: UserInformation) -> bytes:
    """The user information item with its sub-items in ascending order of type."""
    parts = [item(_MAXIMUM_LENGTH, _long.pack(information.max_pdu_length))]
    if information.implementation_class_uid:
        parts.append(item(_IMPLEMENTATION_CLASS, _encode_text(information.implementation_class_uid)))
    if information.async_window is not None:
        window = information.async_window
        parts.append(item(_ASYNC_WINDOW, _two_shorts.pack(window.invoked, window.performed)))
    for role in information.roles:
        uid = _prefixed(_encode_text(role.sop_class_uid))
        parts.append(item(_ROLE_SELECTION, uid + bytes((role.scu, role.scp))))
    if information.implementation_version:
        parts.append(item(_IMPLEMENTATION_VERSION, _encode_text(information.implementation_version)))
    for extended in information.extended:
        uid = _prefixed(_encode_text(extended.sop_class_uid))
        parts.append(item(_EXTENDED_NEGOTIATION, uid + extended.information))
    for common in information.common_extended:
        related = b"".join(_prefixed(_encode_text(uid)) for uid in common.related_sop_class_uids)
        body = _prefixed(_encode_text(common.sop_class_uid)) + _prefixed(
            _encode_text(common.service_class_uid)
        )
        parts.append(item(_COMMON_EXTENDED, body + _prefixed(related)))
    if information.user_identity is not None:
        who = information.user_identity
        head = bytes((who.kind, who.response_requested))
        parts.append(item(_USER_IDENTITY, head + _prefixed(who.primary) + _prefixed(who.secondary)))
    if information.user_identity_response is not None:
        parts.append(item(_USER_IDENTITY_RESPONSE, _prefixed(information.user_identity_response)))
    return item(USER_INFORMATION_ITEM, b"".join(parts))


def decode_user_information(body: bytes) -> UserInformation:
    """All sub-items that are known; unknown ones are skipped, of a repeated single one the last counts."""
    single: dict[int, bytes] = {}
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    for item_type, value in iterate_items(body):
        if item_type == _ROLE_SELECTION:
            roles.append(_decode_role(value))
        elif item_type == _EXTENDED_NEGOTIATION:
            uid, offset = _take_prefixed(value, 0)
            extended.append(ExtendedNegotiation(decode_text(uid), value[offset:]))
        elif item_type == _COMMON_EXTENDED:
            common.append(_decode_common_extended(value))
        else:
            single[item_type] = value
    window = single.get(_ASYNC_WINDOW)
    identity = single.get(_USER_IDENTITY)
    response = single.get(_USER_IDENTITY_RESPONSE)
    return UserInformation(
        max_pdu_length=_exactly(_long, single.get(_MAXIMUM_LENGTH, bytes(4)))[0],
        implementation_class_uid=decode_text(single.get(_IMPLEMENTATION_CLASS, b"")),
        implementation_version=decode_text(single.get(_IMPLEMENTATION_VERSION, b"")),
        async_window=None if window is None else AsyncOperationsWindow(*_exactly(_two_shorts, window)),
        roles=tuple(roles),
        extended=tuple(extended),
        common_extended=tuple(common),
        user_identity=None if identity is None else _decode_user_identity(identity),
        user_identity_response=None if response is None else _take_prefixed(response, 0)[0],
    )


def _exactly(layout: struct.Struct, value: bytes) -> tuple[int, ...]:
    if len(value) != layout.size:
        raise PduError("a user information sub-item has the wrong length")
    return layout.unpack(value)


def _decode_role(value: bytes) -> RoleSelection:
    uid, offset = _take_prefixed(value, 0)
    if len(value) - offset < 2:
        raise PduError("a role selection is cut off")
    return RoleSelection(decode_text(uid), value[offset] == 1, value[offset + 1] == 1)


def _decode_common_extended(value: bytes) -> CommonExtendedNegotiation:
    sop_class, offset = _take_prefixed(value, 0)
    service_class, offset = _take_prefixed(value, offset)
    related_raw, _ = _take_prefixed(value, offset)
    related: list[str] = []
    offset = 0
    while offset < len(related_raw):
        uid, offset = _take_prefixed(related_raw, offset)
        related.append(decode_text(uid))
    return CommonExtendedNegotiation(decode_text(sop_class), decode_text(service_class), tuple(related))


def _decode_user_identity(value: bytes) -> UserIdentity:
    if len(value) < 2:
        raise PduError("a user identity is cut off", AbortReason.INVALID_PARAMETER_VALUE)
    primary, offset = _take_prefixed(value, 2)
    # PS3.7 table D.3-14: the secondary field has a length even where its kind has none; some leave it out.
    secondary = _take_prefixed(value, offset)[0] if offset < len(value) else b""
    return UserIdentity(value[0], value[1] == 1, primary, secondary)
