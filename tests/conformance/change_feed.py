"""What Orthanc does not have: the change feed and extended query tags. Its plugin knows no such addresses."""

from __future__ import annotations

from tests.conformance.line import Ask, Difference, Scenario

_ROOT = "/dicom-web"


def _ours(reason: str, status: int) -> tuple[Difference, ...]:
    return (
        Difference("status", reason, ours=status, theirs=404),
        Difference("header.*", reason),
        Difference("body*", reason),
    )


_FEED = "The change feed is Ithil's own, in the form that Microsoft's DICOM service gave it."
_TAGS = "Query tags that are declared while the server runs are Ithil's own."
_NUMBERED = "Deletions have numbers too, although the log does not show them."
_DECLARATION = '[{"path": "PatientAge", "level": "Study"}]'

CHANGE_FEED = Scenario(
    name="change feed",
    files=("pydicom/CT_small.dcm", "pydicom/MR_small.dcm"),
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True},
    },
    lines=(
        Ask("GET", f"{_ROOT}/changefeed", ours=_ours(_FEED, 200)),
        Ask("GET", f"{_ROOT}/changefeed?limit=0", ours=_ours(_FEED, 400)),
        Ask("GET", f"{_ROOT}/changefeed/latest", ours=_ours(_FEED, 200)),
        Ask("GET", f"{_ROOT}/extendedquerytags", ours=_ours(_TAGS, 200)),
        Ask("POST", f"{_ROOT}/extendedquerytags", body=_DECLARATION, ours=_ours(_TAGS, 202)),
        Ask("GET", f"{_ROOT}/extendedquerytags/PatientAge", ours=_ours(_TAGS, 200)),
        Ask("GET", f"{_ROOT}/extendedquerytags/PatientAge/errors", ours=_ours(_TAGS, 200)),
        Ask(
            "DELETE",
            f"{_ROOT}/extendedquerytags/PatientAge",
            ours=(Difference("status", _TAGS, ours=204, theirs=404), Difference("body*", _TAGS)),
        ),
        Ask("GET", f"{_ROOT}/extendedquerytags/PatientAge", ours=(Difference("body*", _TAGS),)),
        Ask("GET", f"{_ROOT}/operations/none", ours=(Difference("body.Details", _TAGS),)),
        # The log of Orthanc is the same as if there were no feed.
        Ask("DELETE", "/studies/{study:CT_small}"),
        Ask("GET", "/changes", compare="status"),
        Ask("DELETE", "/changes"),
        Ask("GET", "/changes?limit=10", ours=(Difference("body.Last", _NUMBERED),)),
    ),
)
