"""Scenarios whose requests change the archive, each on a fresh pair of servers."""

from __future__ import annotations

from functools import partial

from tests.conformance.line import Ask, Difference, Scenario
from tests.data.real import content_of

_CT = "pydicom/CT_small.dcm"
_SERIES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))
_STUDIES = tuple(
    f"pydicom/dicomdirtests/98892003/{name}" for name in ("MR1/15820", "MR2/15970", "MR700/4467")
)
_ct = partial(content_of, _CT)

_LISTS = tuple(
    Ask("GET", f"/{level}?expand", unordered=True) for level in ("patients", "studies", "series", "instances")
)
_STATE = (Ask("GET", "/statistics"), *_LISTS, Ask("GET", "/changes"), Ask("GET", "/changes?last"))

_DELETIONS = (
    "Deletions are entries of Ithil's change log too, for its other readers, and so they take numbers."
)
_NUMBERED = (
    Difference("body.Changes.*.Seq", _DELETIONS, when=lambda theirs, ours: theirs < ours),
    Difference("body.Last", _DELETIONS, when=lambda theirs, ours: theirs < ours),
)
_NUMBERED_STATE = (
    Ask("GET", "/statistics"),
    *_LISTS,
    Ask("GET", "/changes", ours=_NUMBERED),
    Ask("GET", "/changes?last", ours=_NUMBERED),
)

DELETING = Scenario(
    "deleting",
    (
        Ask("DELETE", "/instances/{instance:17106}"),
        Ask("DELETE", "/instances/{instance:17106}"),
        Ask("GET", "/instances/{instance:17106}"),
        Ask("GET", "/instances/{instance:17106}/file"),
        *_STATE,
        Ask("DELETE", "/series/{series:17136}"),
        *_STATE,
        Ask("DELETE", "/studies/{study:15820}"),
        *_STATE,
        Ask("DELETE", "/patients/{patient:CT_small}"),
        Ask("GET", "/patients/{patient:CT_small}"),
        *_STATE,
        Ask("POST", "/instances", _ct, note="stored anew"),
        *_NUMBERED_STATE,
        Ask("GET", "/instances/nope?_method=DELETE"),
        Ask("POST", "/instances/nope", headers={"X-HTTP-Method-Override": "DELETE"}, note="overridden"),
        Ask("GET", "/instances/{instance:CT_small}?_method=DELETE"),
        *_STATE,
    ),
    files=(*_SERIES, *_STUDIES, _CT),
)

CHANGES = Scenario(
    "the change log",
    (
        Ask("GET", "/changes"),
        Ask("GET", "/changes?since=0&limit=1"),
        Ask("DELETE", "/changes"),
        Ask("GET", "/changes"),
        Ask("GET", "/changes?last"),
        Ask("POST", "/instances", _ct, note="already stored"),
        Ask("GET", "/changes"),
        Ask("DELETE", "/studies/{study:CT_small}"),
        Ask("POST", "/instances", _ct, note="stored"),
        Ask("GET", "/changes", ours=_NUMBERED),
        Ask("GET", "/changes?since=5&limit=1", ours=_NUMBERED),
        Ask("DELETE", "/exports"),
        Ask("GET", "/exports"),
    ),
    files=(*_SERIES, _CT),
)

PROTECTING = Scenario(
    "protecting a patient",
    (
        Ask("GET", "/patients/{patient:CT_small}/protected"),
        Ask("PUT", "/patients/{patient:CT_small}/protected", "1"),
        Ask("GET", "/patients/{patient:CT_small}/protected"),
        Ask("GET", "/patients/{patient:CT_small}"),
        Ask("PUT", "/patients/{patient:CT_small}/protected", "false"),
        Ask("GET", "/patients/{patient:CT_small}/protected"),
        Ask("PUT", "/patients/{patient:CT_small}/protected", "true"),
        Ask("PUT", "/patients/{patient:CT_small}/protected", "yes"),
        Ask("PUT", "/patients/{patient:CT_small}/protected", ""),
        Ask("GET", "/patients/{patient:CT_small}/protected"),
        Ask("POST", "/patients/{patient:CT_small}/protected", "1"),
        Ask("DELETE", "/patients/{patient:CT_small}"),
    ),
    files=(_CT,),
)

UNPROTECTED = Scenario(
    "protecting a patient that is not there",
    (Ask("PUT", "/patients/nope/protected", "1"), Ask("GET", "/patients/nope/protected")),
)

_KEPT = (
    "Overwriting replaces the instance alone; Orthanc deletes and recreates its childless parents as well."
)
OVERWRITING = Scenario(
    "overwriting",
    (
        Ask("POST", "/instances", _ct, note="again"),
        Ask("GET", "/instances/{instance:CT_small}/metadata"),
        Ask("GET", "/statistics"),
        *_LISTS,
        Ask("GET", "/changes", ours=(Difference("body.*", _KEPT),)),
    ),
    files=(_CT, *_SERIES[:2]),
    configuration={"OverwriteInstances": True},
)
KEEPING = Scenario(
    "not overwriting",
    (
        Ask("POST", "/instances", _ct, note="again"),
        Ask("GET", "/instances/{instance:CT_small}/metadata"),
        *_STATE,
    ),
    files=(_CT, *_SERIES[:2]),
    configuration={"OverwriteInstances": False},
)

COMPRESSING = Scenario(
    "compressed storage",
    (
        Ask("GET", "/instances/{instance}/file"),
        Ask("GET", "/instances/{instance}/tags"),
        Ask("GET", "/instances/{instance:CT_small}"),
        Ask("GET", "/instances/{instance}/attachments/dicom/data"),
        Ask("GET", "/instances/{instance}/attachments/dicom/is-compressed"),
        Ask("GET", "/instances/{instance}/attachments/dicom/size"),
        Ask("GET", "/instances/{instance}/attachments/dicom/md5"),
        Ask("GET", "/instances/{instance}/attachments/dicom/compressed-data", compare="status"),
        Ask("POST", "/instances/{instance}/attachments/dicom/verify-md5"),
    ),
    files=(_CT, *_SERIES[:2]),
    configuration={"StorageCompression": True},
)

CHANGING = (DELETING, CHANGES, PROTECTING, UNPROTECTED, OVERWRITING, KEEPING, COMPRESSING)
