"""DIMSE command sets (PS3.7 section 6.3, 9.3, 10.3 and annex E) as dictionaries keyed by keyword.

A command set is always implicit VR little endian and made of group 0000 only, so it needs none of the general
data set machinery: one table of elements, one loop to read, one to write. This runs for every instance that
arrives, which is why a `Command` is a plain dictionary and not an object per element.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TypeAlias

from ithil.network.errors import AbortReason, PduError
from ithil.network.pdu_items import Buffer

CommandValue: TypeAlias = str | int | tuple[int, ...]

MAX_COMMAND_SET = 65536
"""Bytes of a command set beyond which the association is aborted. Real ones have less than 500."""

NO_DATA_SET = 0x0101
_DATA_SET_FOLLOWS = 0x0001
_RESPONSE = 0x8000

PRIORITY_MEDIUM = 0


class CommandField(IntEnum):
    """The requests (PS3.7 E.1). A response has the same value with the highest bit set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


_ELEMENTS = {
    0x0002: ("AffectedSOPClassUID", "UI"),
    0x0003: ("RequestedSOPClassUID", "UI"),
    0x0100: ("CommandField", "US"),
    0x0110: ("MessageID", "US"),
    0x0120: ("MessageIDBeingRespondedTo", "US"),
    0x0600: ("MoveDestination", "AE"),
    0x0700: ("Priority", "US"),
    0x0800: ("CommandDataSetType", "US"),
    0x0900: ("Status", "US"),
    0x0901: ("OffendingElement", "AT"),
    0x0902: ("ErrorComment", "LO"),
    0x0903: ("ErrorID", "US"),
    0x1000: ("AffectedSOPInstanceUID", "UI"),
    0x1001: ("RequestedSOPInstanceUID", "UI"),
    0x1002: ("EventTypeID", "US"),
    0x1005: ("AttributeIdentifierList", "AT"),
    0x1008: ("ActionTypeID", "US"),
    0x1020: ("NumberOfRemainingSuboperations", "US"),
    0x1021: ("NumberOfCompletedSuboperations", "US"),
    0x1022: ("NumberOfFailedSuboperations", "US"),
    0x1023: ("NumberOfWarningSuboperations", "US"),
    0x1030: ("MoveOriginatorApplicationEntityTitle", "AE"),
    0x1031: ("MoveOriginatorMessageID", "US"),
}
"""Elements of group 0000 that are in use (PS3.7 E.1); a command set's other elements are skipped."""

_BY_KEYWORD = {keyword: (element, vr) for element, (keyword, vr) in _ELEMENTS.items()}

_element_header = struct.Struct("<HHI")
_short = struct.Struct("<H")
_short_element = struct.Struct("<HHIH")
_group_length = struct.Struct("<HHII")


class Command(dict[str, CommandValue]):
    """A command set: values by keyword (`AffectedSOPClassUID`, `Status`, ...), with the usual ones as
    properties.

    UIDs, titles and comments are text, US values integers, AT values tuples of tags as integers. The group
    length is not kept, and CommandDataSetType is written by `encode_command`, so builders leave both out.
    """

    __slots__ = ()

    @property
    def field(self) -> int:
        """Command Field (0000,0100), a `CommandField` or that with the response bit."""
        return self.number("CommandField")

    @property
    def is_response(self) -> bool:
        """Whether this answers a request."""
        return bool(self.field & _RESPONSE)

    @property
    def message_id(self) -> int:
        """Message ID (0000,0110) of a request."""
        return self.number("MessageID")

    @property
    def responded_message_id(self) -> int:
        """Message ID Being Responded To (0000,0120) of a response or of a C-CANCEL."""
        return self.number("MessageIDBeingRespondedTo")

    @property
    def status(self) -> int:
        """Status (0000,0900) of a response."""
        return self.number("Status")

    @property
    def sop_class_uid(self) -> str:
        """Affected, or else Requested, SOP Class UID; empty if there is none."""
        return self.text("AffectedSOPClassUID") or self.text("RequestedSOPClassUID")

    @property
    def sop_instance_uid(self) -> str:
        """Affected, or else Requested, SOP Instance UID; empty if there is none."""
        return self.text("AffectedSOPInstanceUID") or self.text("RequestedSOPInstanceUID")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows the command set (PS3.7 E.1, Command Data Set Type)."""
        return self.get("CommandDataSetType", NO_DATA_SET) != NO_DATA_SET

    @property
    def name(self) -> str:
        """The name for a log line, like `C-STORE-RQ`; an unknown command is named by its number."""
        try:
            base = CommandField(self.field & ~_RESPONSE).name.replace("_", "-")
        except ValueError:
            return f"command {self.field:04X}H"
        return base + ("-RSP" if self.is_response else "-RQ")

    def number(self, keyword: str) -> int:
        """The integer value of `keyword`, 0 if absent."""
        value = self.get(keyword, 0)
        return value if isinstance(value, int) else 0

    def text(self, keyword: str) -> str:
        """The text of `keyword`, empty if absent."""
        value = self.get(keyword, "")
        return value if isinstance(value, str) else ""

    def response(self, status: int, comment: str = "") -> Command:
        """The response to this request with what it must repeat (PS3.7 9.3 and 10.3).

        `comment` is cut to the 64 characters of its VR. Callers add what their service has beyond that.
        """
        answer = Command()
        sop_class, sop_instance = self.sop_class_uid, self.sop_instance_uid
        if sop_class:
            answer["AffectedSOPClassUID"] = sop_class
        answer["CommandField"] = self.field | _RESPONSE
        answer["MessageIDBeingRespondedTo"] = self.message_id
        answer["Status"] = status
        if comment:
            answer["ErrorComment"] = comment[:64]
        if sop_instance:
            answer["AffectedSOPInstanceUID"] = sop_instance
        for keyword in ("EventTypeID", "ActionTypeID"):
            if keyword in self:
                answer[keyword] = self[keyword]
        return answer


def encode_command(command: Command, *, data_set: bool) -> bytes:
    """The command set's bytes, elements in order, with its group length (PS3.7 6.3.1).

    `data_set` says whether a data set follows. KeyError for a keyword that is not one of group 0000,
    struct.error for a number that does not fit.
    """
    parts: list[bytes] = []
    kind = _DATA_SET_FOLLOWS if data_set else NO_DATA_SET
    for element, vr, value in sorted(
        [
            (*_BY_KEYWORD[keyword], kind if keyword == "CommandDataSetType" else value)
            for keyword, value in {**command, "CommandDataSetType": kind}.items()
        ]
    ):
        if vr == "US":
            parts.append(_short_element.pack(0, element, 2, value))
            continue
        raw = _encode_value(vr, value)
        parts.append(_element_header.pack(0, element, len(raw)))
        parts.append(raw)
    body = b"".join(parts)
    return _group_length.pack(0, 0, 4, len(body)) + body


def decode_command(data: Buffer) -> Command:
    """The command set in `data`; raises `PduError` if it is not one.

    It must have a Command Field and Command Data Set Type, a request a Message ID, a response or C-CANCEL the
    Message ID it is about and a response its status, and a C-STORE-RQ its SOP class and instance. What else
    the standard asks for is judged by the service, which can answer with a status.
    """
    raw = bytes(data)
    command = Command()
    offset, end = 0, len(raw)
    while offset < end:
        if end - offset < 8:
            raise PduError("a command set ends inside an element")
        group, element, length = _element_header.unpack_from(raw, offset)
        offset += 8
        if group != 0:
            raise PduError("a command set has an element of another group")
        if length > end - offset:
            raise PduError("an element of a command set is longer than the set")
        known = _ELEMENTS.get(element)
        if known is not None:
            keyword, vr = known
            if vr == "US":
                if length != 2:
                    raise PduError("a number in a command set does not have two bytes")
                command[keyword] = _short.unpack_from(raw, offset)[0]
            else:
                command[keyword] = _decode_value(vr, raw[offset : offset + length])
        offset += length
    _require_mandatory(command)
    return command


def _require_mandatory(command: Command) -> None:
    try:
        field = command["CommandField"]
        command["CommandDataSetType"]
        if field == CommandField.C_CANCEL:
            command["MessageIDBeingRespondedTo"]
        elif command.field & _RESPONSE:
            command["MessageIDBeingRespondedTo"], command["Status"]
        else:
            command["MessageID"]
            if field == CommandField.C_STORE:
                command["AffectedSOPClassUID"], command["AffectedSOPInstanceUID"]
    except KeyError as missing:
        raise PduError(f"a command set has no {missing.args[0]}", AbortReason.NOT_SPECIFIED) from None


def _encode_value(vr: str, value: CommandValue) -> bytes:
    if vr == "AT":
        tags = value if isinstance(value, tuple) else (int(value),)
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    raw = str(value).encode("latin-1", "replace")
    return raw + (b"\0" if vr == "UI" else b" ") if len(raw) & 1 else raw


def _decode_value(vr: str, raw: bytes) -> CommandValue:
    if vr == "AT":
        if len(raw) % 4:
            raise PduError("a list of tags in a command set has an odd size")
        return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", raw))
    text = raw.decode("latin-1")
    if vr == "UI":
        text = text.rstrip("\0 ")
        if not (text.isascii() and text.isprintable()):
            raise PduError("a UID in a command set has characters that no UID has")
        return text
    if vr == "AE":
        return text.strip(" \0")
    return text.rstrip(" \0")
