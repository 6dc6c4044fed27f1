"""Storage commitment as user: asking a modality to keep instances for good, and what it has answered.

`/remove` is for those who clear their archive only of what is safe elsewhere.
"""

from __future__ import annotations

from typing import Any

from ithil import error_codes as codes
from ithil.archive import commitment
from ithil.archive.commitment import MOST_REFERENCES, Reference, Report
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Field, Route
from ithil.rest import modality_body as read
from ithil.rest.modalities import LOCAL_AET, TIMEOUT, modality_of
from ithil.services.commitment_user import request as ask_for_commitment

_DESCRIPTIONS = {
    0x0110: "A general failure in processing the operation was encountered",
    0x0112: "One or more of the elements in the Referenced SOP Instance Sequence was not available",
    0x0119: "The SOP Class of an element in the Referenced SOP Instance Sequence did not correspond to the "
    "SOP class registered for this SOP Instance at the SCP",
    0x0122: "Storage Commitment has been requested for a SOP Instance with a SOP Class that is not supported "
    "by the SCP",
    0x0131: "The Transaction UID of the Storage Commitment Request is already in use",
    0x0213: "The SCP does not currently have enough resources to store the requested SOP Instance(s)",
}
"""What the failure reasons mean (PS3.3 C.14.1.1)."""

_LONGEST_UID = 64


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            "/modalities/{id}/storage-commitment",
            post_commitment,
            "Ask the modality to commit to keep instances",
            body=(
                Field("Resources", "array", "The ids of what it is to keep"),
                Field("DicomInstances", "array", "Instances by SOPClassUID and SOPInstanceUID"),
                LOCAL_AET,
                TIMEOUT,
            ),
            writes=True,
        ),
        Route("GET", "/storage-commitment/{id}", get_report, "What a modality has committed to"),
        Route(
            "POST",
            "/storage-commitment/{id}/remove",
            post_remove,
            "Delete the instances that a modality has committed to keep",
            writes=True,
        ),
    ]


def post_commitment(request: Request) -> Answer:
    """`POST /modalities/{id}/storage-commitment`: the transaction UID, and where the report will be."""
    archive = request.context.archive
    modality = modality_of(request)
    body = read.json_object(request)
    if "Resources" not in body and "DicomInstances" not in body:
        raise read.bad('One of the fields "Resources" and "DicomInstances" must be there')
    wanted: dict[Reference, None] = {}
    resources = body.get("Resources", [])
    if not isinstance(resources, list) or not all(isinstance(one, str) for one in resources):
        raise read.bad('The field "Resources" must be an array of ids')
    for reference in commitment.references(archive, resources):
        wanted[reference] = None
    instances = body.get("DicomInstances", [])
    if not isinstance(instances, list):
        raise read.bad('The field "DicomInstances" must be an array')
    for instance in instances:
        wanted[_reference(instance)] = None
    if len(wanted) > MOST_REFERENCES:
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE, f"A storage commitment is limited to {MOST_REFERENCES} instances"
        )
    transaction = ask_for_commitment(
        archive,
        modality,
        list(wanted),
        calling=read.title(body, "LocalAet"),
        timeout=read.timeout(body),
    )
    return answers.json(request, {"ID": transaction, "Path": f"/storage-commitment/{transaction}"})


def _reference(instance: Any) -> Reference:
    """One entry of `DicomInstances`: an object, or an array of class and instance."""
    if isinstance(instance, dict):
        pair = [instance.get("SOPClassUID"), instance.get("SOPInstanceUID")]
    else:
        pair = instance
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(uid, str) and _is_uid(uid) for uid in pair)
    ):
        raise read.bad("An instance is an object with SOPClassUID and SOPInstanceUID, or an array of the two")
    return pair[0], pair[1]


def _is_uid(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_UID and text.isascii() and text.replace(".", "").isdigit()


def get_report(request: Request) -> Answer:
    """`GET /storage-commitment/{id}`."""
    found = commitment.report(request.context.archive, request.arguments["id"])
    return answers.json(request, _json(found))


def _json(found: Report) -> dict[str, Any]:
    shown = {
        "Status": "Pending" if found.is_pending else "Success" if found.is_success else "Failure",
        "RemoteAET": found.remote_aet,
    }
    if found.is_pending:
        return shown
    return {
        **shown,
        "Success": [_named(one) for one in found.committed],
        "Failures": [
            {
                **_named(one),
                "FailureReason": reason,
                "Description": _DESCRIPTIONS.get(reason, "Unknown failure reason"),
            }
            for one, reason in found.failed
        ],
    }


def _named(reference: Reference) -> dict[str, str]:
    return {"SOPClassUID": reference[0], "SOPInstanceUID": reference[1]}


def post_remove(request: Request) -> Answer:
    """`POST /storage-commitment/{id}/remove`. Raises CodedError (bad sequence of calls) without success."""
    archive = request.context.archive
    found = commitment.report(archive, request.arguments["id"])
    if not found.is_success:
        state = "is pending" if found.is_pending else "has failed"
        raise CodedError(
            codes.BAD_SEQUENCE_OF_CALLS,
            f"Cannot remove DICOM instances, since the storage commitment transaction {state}: {found.uid}",
        )
    commitment.remove_committed(archive, found)
    return answers.done()
