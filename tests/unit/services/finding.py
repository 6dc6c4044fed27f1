"""Questions by C-FIND to a listener with the services of an archive behind it, in few words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.data.datasets import element, implicit
from tests.unit.services.retrieving import serving

from ithil.archive.archive import Archive
from ithil.dicom import dataset
from ithil.dicom.dictionary import parse_tag, tag_vr
from ithil.dicom.tags_format import Format, format_dataset
from ithil.dicom.uids import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import ExtendedNegotiation
from ithil.network.requestor import Requestor, connect
from ithil.services.find_identifier import PATIENT_ROOT_FIND, PATIENT_STUDY_ONLY_FIND, STUDY_ROOT_FIND

MODELS = (PATIENT_ROOT_FIND, STUDY_ROOT_FIND, PATIENT_STUDY_ONLY_FIND)
EVERY_SYNTAX = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)


@dataclass
class Found:
    """What a C-FIND brought: the answers by the names of their tags, and how it ended."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)
    status: int = -1
    comment: str = ""

    def all(self, name: str) -> list[Any]:
        """The values of a tag in all answers, sorted."""
        return sorted(answer[name] for answer in self.answers)


def identifier(keys: dict[str, Any], syntax: str = EXPLICIT_LITTLE) -> bytes:
    """The bytes of an identifier; values are text, or the bytes of a whole value."""
    parts = []
    for name, value in keys.items():
        tag = parse_tag(name)
        vr = tag_vr(tag)
        raw = value if isinstance(value, bytes) else value.encode()
        raw += (b"\0" if vr == "UI" else b" ") * (len(raw) & 1) if not isinstance(value, bytes) else b""
        coded = (
            implicit(tag, raw)
            if syntax == IMPLICIT_LITTLE
            else element(tag, "LO" if vr == "UN" else vr, raw, big=syntax == EXPLICIT_BIG)
        )
        parts.append((tag, coded))
    return b"".join(coded for _, coded in sorted(parts))


@contextmanager
def association(
    archive: Archive,
    sop_class: str = STUDY_ROOT_FIND,
    syntaxes: Sequence[str] = (EXPLICIT_LITTLE,),
    extended: bytes | None = None,
) -> Iterator[Requestor]:
    """An association for queries with a listener of its own."""
    with (
        serving(archive) as port,
        connect(
            "127.0.0.1",
            port,
            called="ITHIL",
            calling="WORKSTATION",
            contexts=[(sop_class, [syntax]) for syntax in syntaxes],
            extended=[] if extended is None else [ExtendedNegotiation(sop_class, extended)],
            timeout=20,
        ) as peer,
    ):
        yield peer


def ask(peer: Requestor, keys: dict[str, Any] | bytes, syntax: str = EXPLICIT_LITTLE) -> Found:
    """The answers to one question."""
    context = next(
        one
        for one in peer.contexts.values()
        if one.transfer_syntax == syntax and one.abstract_syntax in MODELS
    )
    content = keys if isinstance(keys, bytes) else identifier(keys, syntax)
    command = Command(
        AffectedSOPClassUID=context.abstract_syntax, CommandField=CommandField.C_FIND, Priority=0
    )
    found = Found()
    for response in peer.request(context, command, [content]):
        found.status = response.command.status
        found.comment = response.command.text("ErrorComment")
        if response.data_set is not None:
            assert status.is_pending(found.status)
            found.pending.add(found.status)
            found.raw.append(response.data_set)
            parsed = dataset.parse(response.data_set, transfer_syntax=syntax)
            found.answers.append(format_dataset(parsed, Format.SIMPLIFIED))
    return found


def find(archive: Archive, level: str, /, **keys: Any) -> Found:
    """Ask one question in the study root."""
    with association(archive) as peer:
        return ask(peer, {"QueryRetrieveLevel": level, **keys})
