"""C-FIND as user (PS3.4 C.4.1 and K.4.1): what a modality answers to a query, as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.dicom import uids
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import NetworkError, NoAcceptedContext
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import Requestor
from ithil.services.modality_link import associate, failure, refusal
from ithil.services.query_keys import encode
from ithil.settings import Modality

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
PATIENT_STUDY_ONLY = "1.2.840.10008.5.1.4.1.2.3"
"""The information models (PS3.4 C.3); a SOP class is one of them with 1 (FIND), 2 (MOVE) or 3 (GET) behind."""

WORKLIST = "1.2.840.10008.5.1.4.31"
SYNTAXES = (uids.EXPLICIT_LITTLE, uids.IMPLICIT_LITTLE)

MOST_ANSWERS = 100_000
MOST_BYTES = 512 * 1024 * 1024
"""What one query may be answered; a modality that goes on beyond that is stopped."""

Answer = tuple[str, bytes]
"""The transfer syntax of a data set, and its bytes."""


def models(level: Level) -> tuple[str, ...]:
    """The information models that have this level, the usual one first."""
    if level == Level.PATIENT:
        return PATIENT_ROOT, PATIENT_STUDY_ONLY
    return STUDY_ROOT, PATIENT_ROOT


def context_of(peer: Requestor, sop_classes: tuple[str, ...]) -> PresentationContext:
    """The context of the first of these SOP classes that the peer accepted. Raises NoAcceptedContext."""
    for uid in sop_classes[:-1]:
        try:
            return peer.context_for(uid)
        except NoAcceptedContext:
            continue
    return peer.context_for(sop_classes[-1])


def find(
    archive: Archive,
    modality: Modality,
    level: Level,
    keys: Mapping[int, Any],
    *,
    calling: str = "",
    timeout: int | None = None,
    most: int = MOST_ANSWERS,
) -> Iterator[Answer]:
    """The answers to a query, whose keys are those of `query_keys.query_keys`.

    Whoever stops drawing ends the association. Raises CodedError: network protocol for a peer that cannot be
    reached or refuses the query, the code of C-FIND if it does not know that, not enough memory for more than
    `most` answers, or `MOST_BYTES` of them.
    """
    sop_classes = tuple(f"{model}.1" for model in models(level))
    return _answers(archive, modality, sop_classes, keys, calling, timeout, most)


def find_worklist(archive: Archive, modality: Modality, keys: Mapping[int, Any]) -> Iterator[Answer]:
    """The items of a modality worklist that match (PS3.4 K.4.1). Raises as `find` does."""
    return _answers(archive, modality, (WORKLIST,), keys, "", None, MOST_ANSWERS)


def _answers(
    archive: Archive,
    modality: Modality,
    sop_classes: tuple[str, ...],
    keys: Mapping[int, Any],
    calling: str,
    timeout: int | None,
    most: int,
) -> Iterator[Answer]:
    identifiers = {syntax: encode(archive, keys, syntax) for syntax in SYNTAXES}
    contexts = [(uid, SYNTAXES) for uid in sop_classes]
    count = size = 0
    final = status.SUCCESS
    try:
        with associate(archive, modality, contexts, calling=calling, timeout=timeout) as peer:
            context = context_of(peer, sop_classes)
            syntax = context.transfer_syntax
            command = Command(
                AffectedSOPClassUID=context.abstract_syntax, CommandField=CommandField.C_FIND, Priority=0
            )
            for response in peer.request(context, command, [identifiers[syntax]]):
                final = response.command.status
                if not status.is_pending(final) or response.data_set is None:
                    continue
                count, size = count + 1, size + len(response.data_set)
                if count > most or size > MOST_BYTES:
                    raise CodedError(
                        codes.NOT_ENOUGH_MEMORY,
                        "The modality has more answers than can be taken: narrow the query",
                    )
                yield syntax, response.data_set
    except NetworkError as error:
        raise refusal(error, modality, codes.DICOM_FIND_UNAVAILABLE) from error
    if final != status.SUCCESS:
        raise failure("C-FIND", modality, final)
