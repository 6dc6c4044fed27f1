"""Deleting by DICOM's identifiers, and rejecting with a note (IHE RAD TF-1 33) as viewers ask for it.

The standard has no transaction for either; the paths are those that other archives have, and that OHIF uses.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import delete as deletion
from ithil.archive import rejection, uids
from ithil.archive.model import Origin
from ithil.dicom.level import Level
from ithil.edit.rejection_note import SCHEME, TITLES
from ithil.error_codes import CodedError
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route

_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_REASONS = ", ".join(TITLES)


def routes() -> list[Route]:
    """The routes of this module."""
    made = []
    for path, name in ((_STUDY, "study"), (_SERIES, "series"), (_INSTANCE, "instance")):
        made += [
            Route("DELETE", path, delete, f"Delete a {name}".replace("a i", "an i"), writes=True, answers=()),
            Route(
                "POST",
                path + "/reject/{code}",
                reject,
                f"Reject a {name} with a note, then delete it".replace("a i", "an i"),
                writes=True,
                answers=(),
                fails=(400,),
            ),
        ]
    return made


def delete(request: Request) -> Answer:
    """Delete what the path names, everywhere it is: 204. Raises CodedError (404) if it is not there."""
    archive = request.context.archive
    level, found = _found(request)
    gone = [deletion.delete(archive, level, one) for one in found]
    if all(one is None for one in gone):
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return Answer(status=204)


def reject(request: Request) -> Answer:
    """Reject what the path names: 204.

    Raises CodedError: 400 for a code that is no reason to reject, 404 for what is not there.
    """
    code, _, scheme = request.arguments["code"].partition("^")
    if code not in TITLES or scheme not in (SCHEME, ""):
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE, f"The reason must be one of {_REASONS}, with ^{SCHEME} behind it"
        )
    origin = Origin("RestApi", remote_ip=request.client, http_username=request.user)
    level, found = _found(request)
    if not sum(rejection.reject(request.context.archive, level, one, code, origin) for one in found):
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return Answer(status=204)


def _found(request: Request) -> tuple[Level, list[str]]:
    """The level of the path, and the public ids of what it names."""
    study, series, instance = (request.arguments.get(name, "") for name in ("study", "series", "instance"))
    level = Level.INSTANCE if instance else Level.SERIES if series else Level.STUDY
    return level, uids.public_ids(request.context.archive, study, series, instance)
