"""The counts and lists of the responses of C-MOVE and C-GET, at their bounds."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.unit.services.retrieving import failed_list

from ithil.archive.model import Attachment
from ithil.archive.outgoing import Outgoing
from ithil.dicom.dataset import parse
from ithil.dicom.uids import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.messages import Command, CommandField, encode_command
from ithil.network.requestor import Response
from ithil.services.store_user import Sent
from ithil.services.suboperations import Tally

REQUEST = Command(AffectedSOPClassUID="1.2", CommandField=CommandField.C_MOVE, MessageID=1)
LIST = 0x00080058


class Recorder:
    """Stands for the way back to the caller."""

    contexts: dict[int, object] = {}

    def __init__(self) -> None:
        self.sent: list[tuple[Command, bytes | None]] = []

    def send(self, command: Command, data_set: Iterable[bytes] | None = None) -> None:
        self.sent.append((command, None if data_set is None else b"".join(data_set)))


def outcome(number: int, code: int = 0) -> Sent:
    return Sent(f"id{number}", "1.2.3", f"1.2.3.{number:050d}", code, "why" if code else "")


def final(tally: Tally, syntax: str = EXPLICIT_LITTLE, *, cancelled: bool = False) -> Response:
    recorder = Recorder()
    tally.finish(REQUEST, recorder, syntax, cancelled=cancelled)  # type: ignore[arg-type]
    ((command, data_set),) = recorder.sent
    return Response(command, data_set)


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
def test_the_list_of_failures_in_each_encoding(syntax: str) -> None:
    tally = Tally(3)
    for number, code in enumerate((0, 0xA700, 0xC000)):
        tally.add(outcome(number, code))
    response = final(tally, syntax)
    assert response.data_set is not None
    element = parse(response.data_set, transfer_syntax=syntax).find(LIST)
    assert element is not None
    names = bytes(element.value).rstrip(b"\0").decode().split("\\")
    assert names == [outcome(1).sop_instance, outcome(2).sop_instance]
    assert response.command.text("ErrorComment") == "why"


def test_the_list_of_failures_is_bounded() -> None:
    """A UI element with explicit VR holds less than 64 KB; the counts tell the rest."""
    count = 3000
    tally = Tally(count)
    file = Attachment(1, "", 1, 0, "", 0, "")
    drawn = 0

    def items() -> Iterable[Outgoing]:
        nonlocal drawn
        for number in range(count):
            drawn += 1
            yield Outgoing("", "1.2", outcome(number).sop_instance, EXPLICIT_LITTLE, file)

    tally.fail_rest(items(), "gone")
    response = final(tally)
    assert response.command.status == status.UNABLE_TO_PERFORM_SUBOPERATIONS
    assert response.command["NumberOfFailedSuboperations"] == count
    assert 1000 < len(failed_list(response)) < count
    assert drawn < count


def test_counts_stop_at_what_two_bytes_hold() -> None:
    tally = Tally(200_000)
    tally.add(outcome(0))
    pending = tally.pending(REQUEST)
    assert pending["NumberOfRemainingSuboperations"] == 0xFFFF
    encode_command(pending, data_set=False)


def test_more_instances_than_were_counted() -> None:
    tally = Tally(1)
    for number in range(3):
        tally.add(outcome(number))
    assert final(tally).command["NumberOfCompletedSuboperations"] == 3


def test_a_cancelled_one_says_what_remains() -> None:
    tally = Tally(5)
    tally.add(outcome(0))
    response = final(tally, cancelled=True)
    assert response.command.status == status.CANCEL
    assert response.command["NumberOfRemainingSuboperations"] == 4
    assert response.data_set is not None
