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

_STATE = (
    Ask("GET", "/statistics"),
    Ask("GET", "/patients?expand"),
    Ask("GET", "/studies?expand"),
    Ask("GET", "/series?expand"),
    Ask("GET", "/instances?expand"),
    Ask("GET", "/changes"),
    Ask("GET", "/changes?last"),
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
        *_STATE,
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
        Ask("GET", "/changes"),
        Ask("GET", "/changes?since=5&limit=1"),
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
    (
        Ask(
            "PUT",
            "/patients/nope/protected",
            "1",
            ours=(
                Difference("status", "An unknown patient is 404, not a parameter out of range.", ours=404),
                Difference("body*", "An unknown patient is 404, not a parameter out of range."),
            ),
        ),
        Ask(
            "GET",
            "/patients/nope/protected",
            ours=(
                Difference("status", "An unknown patient is 404, not a parameter out of range.", ours=404),
                Difference("body*", "An unknown patient is 404, not a parameter out of range."),
            ),
        ),
    ),
)

_OVERWRITING = (
    Ask("POST", "/instances", _ct, note="again"),
    Ask("GET", "/instances/{instance:CT_small}/metadata"),
    *_STATE,
)
OVERWRITING = Scenario("overwriting", _OVERWRITING, (_CT, *_SERIES[:2]), {"OverwriteInstances": True})
KEEPING = Scenario("not overwriting", _OVERWRITING, (_CT, *_SERIES[:2]), {"OverwriteInstances": False})

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
