"""From a byte stream to messages: where PDUs and fragments begin and end (PS3.8 9.3.1, 9.3.5 and annex E).

TCP keeps no boundaries, so any read may end anywhere. This reader remembers only where it is: the bytes left
of the current PDU and of the current fragment, and at most a few bytes of a header that was cut. Data of a
data set are never collected here. They are handed on as views into the caller's buffer, as they come, so an
instance of any size passes through without being held, and a PDU that is larger than the buffer needs no
special case. What is collected are the PDUs that steer the association and command sets, and both are
bounded.

This is the hot path of receiving. Most bytes come as PDUs that hold one fragment of a data set each and lie
in the buffer whole; `_whole_fragments` reads those at one unpack, one comparison and one slice a PDU.
"""

from __future__ import annotations

import struct
from collections.abc import Container

from ithil.network import pdu
from ithil.network.errors import AbortReason, PduError
from ithil.network.events import DataReceived, Event, MessageComplete, MessageStarted
from ithil.network.messages import MAX_COMMAND_SET, decode_command

_pdu_header = struct.Struct(">BxI")
_pdv_header = struct.Struct(">IBB")
_both_headers = struct.Struct(">BxIIBB")

_COMMAND = 1
_LAST = 2
_FIXED_SIZE = frozenset({pdu.ASSOCIATE_RJ, pdu.RELEASE_RQ, pdu.RELEASE_RP, pdu.ABORT})


class PduReader:
    """Reads one direction of one association.

    `feed` appends message events to a list and stops after each PDU that is not P-DATA-TF, which it leaves in
    `control` as (type, variable field) for the state machine to judge before anything behind it is read.
    While `accepts_data` is false, the header alone of a P-DATA-TF is left there in the same way.
    """

    __slots__ = (
        "_body",
        "_body_left",
        "_body_type",
        "_command",
        "_context_id",
        "_data_context",
        "_flags",
        "_max_associate_length",
        "_max_data_length",
        "_partial",
        "_pdu_left",
        "_pdv_left",
        "_views",
        "accepts_data",
        "contexts",
        "control",
    )

    def __init__(self, max_associate_length: int, max_data_length: int) -> None:
        self._max_associate_length = max_associate_length
        self._max_data_length = max_data_length
        self.accepts_data = False
        self.contexts: Container[int] = ()
        self.control: tuple[int, bytes] | None = None
        self._partial = b""  # the beginning of a header that was cut
        self._pdu_left = 0  # bytes left of the current P-DATA-TF
        self._pdv_left = 0  # bytes left of the current fragment
        self._context_id = 0
        self._flags = 0
        self._command = bytearray()
        self._data_context = 0  # the context whose data set is awaited, 0 while a command set is
        self._body = bytearray()
        self._body_left = 0
        self._body_type = 0
        self._views: list[memoryview] | None = None

    @property
    def inside_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._data_context or self._command or self._pdu_left)

    def feed(self, data: memoryview, offset: int, events: list[Event]) -> int:
        """Read from `offset` on, append to `events`, and return where reading stopped.

        Raises `PduError`; events of what came before are in the list then.
        """
        end = len(data)
        self._views = None
        while offset < end:
            if self._pdv_left:
                take = min(self._pdv_left, end - offset)
                self._pdv_left -= take
                self._pdu_left -= take
                self._add(data[offset : offset + take], events)
                offset += take
                if not self._pdv_left and self._flags & _LAST:
                    self._finish(events)
            elif self._pdu_left:
                offset = self._read_pdv_header(data, offset, events)
            elif self._body_left:
                take = min(self._body_left, end - offset)
                self._body_left -= take
                self._body += data[offset : offset + take]
                offset += take
                if not self._body_left:
                    self.control = (self._body_type, bytes(self._body))
                    self._body.clear()
                    return offset
            else:
                if self._data_context and not self._partial:
                    offset = self._whole_fragments(data, offset, events)
                offset = self._read_pdu_header(data, offset)
                if self.control is not None:
                    return offset
        return offset

    def _whole_fragments(self, data: memoryview, offset: int, events: list[Event]) -> int:
        """Take all PDUs that are whole in the buffer and hold one fragment of the current data set, not its
        last.
        """
        end = len(data)
        context = self._data_context
        limit = self._max_data_length
        start = offset
        views: list[memoryview] = []
        unpack = _both_headers.unpack_from
        while end - offset > 12:
            pdu_type, length, pdv_length, context_id, flags = unpack(data, offset)
            stop = offset + 6 + length
            if (
                pdu_type != 4  # P-DATA-TF
                or flags & 3
                or stop > end
                or pdv_length + 4 != length
                or context_id != context
                or not 6 < length <= limit
                or not self.accepts_data
            ):
                break
            views.append(data[offset + 12 : stop])
            offset = stop
        if offset > start:
            if self._views is None:
                self._views = views
                events.append(DataReceived(views))
            else:
                self._views += views
        return offset

    def _header(
        self, data: memoryview, offset: int, layout: struct.Struct
    ) -> tuple[tuple[int, ...] | None, int]:
        """Unpack a header of six bytes, perhaps put together from two reads; None while it is incomplete."""
        if not self._partial and len(data) - offset >= 6:
            return layout.unpack_from(data, offset), offset + 6
        stop = min(offset + 6 - len(self._partial), len(data))
        self._partial += bytes(data[offset:stop])
        if len(self._partial) < 6:
            return None, stop
        values = layout.unpack(self._partial)
        self._partial = b""
        return values, stop

    def _read_pdu_header(self, data: memoryview, offset: int) -> int:
        values, offset = self._header(data, offset, _pdu_header)
        if values is None:
            return offset
        pdu_type, length = values
        if pdu_type == pdu.P_DATA_TF:
            if not self.accepts_data:
                self.control = (pdu_type, b"")
            elif not 6 <= length <= self._max_data_length:
                raise PduError("a P-DATA-TF is empty or larger than accepted")
            self._pdu_left = length
        elif pdu_type in (pdu.ASSOCIATE_RQ, pdu.ASSOCIATE_AC):
            if not 0 < length <= self._max_associate_length:
                raise PduError("an association PDU is empty or larger than accepted")
            self._body_type, self._body_left = pdu_type, length
        elif pdu_type in _FIXED_SIZE:
            if length != 4:
                raise PduError("a PDU of fixed size has another size")
            self._body_type, self._body_left = pdu_type, length
        else:
            raise PduError("a PDU is of an unknown type", AbortReason.UNRECOGNIZED_PDU)
        return offset

    def _read_pdv_header(self, data: memoryview, offset: int, events: list[Event]) -> int:
        if self._pdu_left < 6 and not self._partial:
            raise PduError("a presentation data value is shorter than its header")
        values, offset = self._header(data, offset, _pdv_header)
        if values is None:
            return offset
        length, context_id, flags = values
        self._pdu_left -= 6
        if length < 2 or length - 2 > self._pdu_left:
            raise PduError("a presentation data value's length is wrong")
        self._expect(context_id, flags)
        self._context_id, self._flags, self._pdv_left = context_id, flags, length - 2
        if not self._pdv_left and flags & _LAST:
            self._finish(events)
        return offset

    def _expect(self, context_id: int, flags: int) -> None:
        """Whether a fragment of this kind and context may come now (PS3.8 annex E.2)."""
        if flags & _COMMAND:
            if self._data_context:
                raise PduError("a command set begins inside a data set", AbortReason.UNEXPECTED_PARAMETER)
            if context_id not in self.contexts:
                raise PduError("a message uses a presentation context that was not accepted")
            if self._command and context_id != self._context_id:
                raise PduError("a command set changes its context", AbortReason.UNEXPECTED_PARAMETER)
        elif not self._data_context:
            raise PduError("a data set comes without a command set", AbortReason.UNEXPECTED_PARAMETER)
        elif context_id != self._data_context:
            raise PduError("a data set changes its context", AbortReason.UNEXPECTED_PARAMETER)

    def _add(self, view: memoryview, events: list[Event]) -> None:
        if self._flags & _COMMAND:
            if len(self._command) + len(view) > MAX_COMMAND_SET:
                raise PduError("a command set is larger than accepted")
            self._command += view
        elif self._views is None:
            self._views = [view]
            events.append(DataReceived(self._views))
        else:
            self._views.append(view)

    def _finish(self, events: list[Event]) -> None:
        """The last fragment of a command set or of a data set has ended."""
        self._views = None
        if self._flags & _COMMAND:
            command = decode_command(self._command)
            self._command.clear()
            events.append(MessageStarted(self._context_id, command))
            if command.has_data_set:
                self._data_context = self._context_id
                return
        self._data_context = 0
        events.append(MessageComplete())
