"""What became of each instance of a store request, and the answer that tells it (PS3.18 10.5.3, I.2)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ithil.archive.coded import coded
from ithil.archive.errors import DataSetMismatch, MissingIdentifier, StorageFull, StorageUnavailable
from ithil.archive.ingest import Incoming
from ithil.dicom import json_reader, xml_model
from ithil.dicom.dataset import Dataset
from ithil.dicom.errors import DicomError
from ithil.dicom.main_tags import SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.dicomweb import links
from ithil.http import accept, errors
from ithil.http.answers import Answer
from ithil.http.request import Request

log = logging.getLogger(__name__)

JSON, XML = "application/dicom+json", "application/dicom+xml"

PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
"""Values of FailureReason (PS3.18 table I.2-2)."""

COERCED = 0xB000
"""Value of WarningReason: some attributes were changed (PS3.18 table I.2-1)."""

MOST_REASONS = 3
"""Reasons that are told in a header."""

MOST_TOLD = 100
"""Attributes that are named in the warning about one instance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One instance: it is stored if `failure` is 0.

    `failure` and `warning` are values of FailureReason and WarningReason, `attributes` the tags that a
    warning is about. The UIDs are "" as far as they are not known. `reason` says in a sentence why it failed,
    since one value of FailureReason stands for many causes.
    """

    study: str = ""
    series: str = ""
    sop_class: str = ""
    sop_instance: str = ""
    failure: int = 0
    warning: int = 0
    attributes: tuple[int, ...] = ()
    reason: str = ""


def stored(incoming: Incoming, attributes: tuple[int, ...] = ()) -> Outcome:
    """The outcome of an instance that was committed; `attributes` are those that were changed before."""
    changed = tuple(sorted({*incoming.changed, *attributes}))
    return Outcome(*_uids(incoming), warning=COERCED if changed else 0, attributes=changed)


def failed(error: Exception, incoming: Incoming | None = None) -> Outcome:
    """The outcome of an instance that was refused, or that could not be stored. Logs why."""
    uids = _uids(incoming) if incoming is not None else ("", "", "", "")
    if isinstance(error, (DicomError, MissingIdentifier)):
        log.warning("An instance was refused: %s", error)
        return Outcome(*uids, failure=CANNOT_UNDERSTAND, reason=str(error))
    if isinstance(error, (StorageFull, StorageUnavailable, MemoryError)):
        log.warning("An instance could not be stored: %s", error or "out of memory")
        return Outcome(*uids, failure=OUT_OF_RESOURCES, reason=str(error) or "Out of memory")
    reason = ""
    if isinstance(error, DataSetMismatch):
        log.warning("An instance was refused: %s", error)
        reason = str(error)
    elif coded(error) is not None:
        log.warning("An instance could not be stored: %s", error)
        reason = str(error)
    else:
        errors.translate(error)  # writes where it happened to the log, and nothing of the data set
    return Outcome(*uids, failure=PROCESSING_FAILURE, reason=reason)


def _uids(incoming: Incoming) -> tuple[str, str, str, str]:
    get = incoming.tags.get
    return (
        get(STUDY_INSTANCE_UID, ""),
        get(SERIES_INSTANCE_UID, ""),
        get(SOP_CLASS_UID, ""),
        get(SOP_INSTANCE_UID, ""),
    )


def answer(request: Request, outcomes: Sequence[Outcome]) -> Answer:
    """The Store Instances Response: 200 if all is well, 202 if some is, 409 if nothing was stored."""
    document = _document(links.service_root(request), outcomes)
    if all(outcome.failure for outcome in outcomes):
        status = 409
    else:
        status = 202 if any(outcome.failure or outcome.warning for outcome in outcomes) else 200
    # Whatever a client takes, it must learn what was stored; so JSON goes to who would have neither.
    media_type = accept.preferred(accept.accepted(request), (JSON, XML, "application/json")) or JSON
    headers = _told(outcomes)
    if media_type == XML:
        dataset = Dataset(json_reader.read(document).elements, EXPLICIT_LITTLE)
        return Answer(xml_model.to_xml(dataset), XML, status, headers)
    return Answer(orjson.dumps(document), JSON, status, headers)


def _told(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The header `Warning` with the most frequent reasons of failures; the data set has only their codes."""
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.failure and outcome.reason)
    words = [f"{reason} ({count} of {len(outcomes)})" for reason, count in reasons.most_common(MOST_REASONS)]
    text = "; ".join(words).replace("\\", "/").replace('"', "'")
    return {"Warning": f'299 ithil "{text}"'} if text else {}


def _document(root: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The response in the DICOM JSON Model (PS3.18 table I.1-1)."""
    good = [outcome for outcome in outcomes if not outcome.failure]
    named = [o for o in outcomes if o.failure and o.sop_class and o.sop_instance]
    others = [o for o in outcomes if o.failure and not (o.sop_class and o.sop_instance)]
    document = {"00080005": _value("CS", "ISO_IR 192")}
    if good:
        document["00081190"] = _value("UR", links.study_link(root, good[0].study))
    if named:
        document["00081198"] = _sequence([_references(o) | _reason("00081197", o.failure) for o in named])
    document["00081199"] = _sequence([_stored_item(root, outcome) for outcome in good])
    if others:
        document["0008119A"] = _sequence([_reason("00081197", outcome.failure) for outcome in others])
    return document


def _stored_item(root: str, outcome: Outcome) -> dict[str, Any]:
    link = links.instance_link(root, outcome.study, outcome.series, outcome.sop_instance)
    item = _references(outcome) | {"00081190": _value("UR", link)}
    if outcome.warning:
        item |= _reason("00081196", outcome.warning)
    if outcome.attributes:
        # Failed Attributes Sequence: which they are, by the Attribute Selector Macro (PS3.3 table 10-20).
        item["00741048"] = _sequence(
            [
                {"00720026": _value("AT", f"{tag:08X}"), "00720028": _value("US", 1)}
                for tag in outcome.attributes[:MOST_TOLD]
            ]
        )
    return item


def _references(outcome: Outcome) -> dict[str, Any]:
    return {
        "00081150": _value("UI", outcome.sop_class),
        "00081155": _value("UI", outcome.sop_instance),
    }


def _reason(tag: str, value: int) -> dict[str, Any]:
    return {tag: _value("US", value)}


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
