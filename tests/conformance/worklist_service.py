"""What Orthanc's DICOMweb has beside images, and what it does not have: its address, workitems, capabilities."""

from __future__ import annotations

from tests.conformance.line import ANY, Ask, Difference, Scenario

_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
_JSON = {"Content-Type": "application/dicom+json"}


def _only_here(status: int, reason: str) -> tuple[Difference, ...]:
    return (
        Difference("status", reason, theirs=404, ours=status),
        Difference("header.*", reason, ours=ANY),
        Difference("body*", reason, ours=ANY),
    )


_WORKITEMS = "Orthanc has no workitems (UPS-RS)."
_CAPABILITIES = "Orthanc does not describe its service (PS3.18 8.9)."

WORKLIST_SERVICE = Scenario(
    "the worklist service",
    (
        Ask("GET", "/dicom-web/info"),
        *(Ask(method, "/dicom-web/info") for method in ("POST", "PUT", "DELETE")),
        Ask("GET", "/dicom-web/workitems", ours=_only_here(200, _WORKITEMS)),
        Ask("POST", "/dicom-web/workitems", "[]", _JSON, ours=_only_here(400, _WORKITEMS)),
        Ask("DELETE", "/dicom-web/workitems", ours=_only_here(405, _WORKITEMS)),
        Ask("GET", "/dicom-web/workitems/1.2.3", compare="status"),
        Ask(
            "PUT",
            "/dicom-web/workitems/1.2.3/state",
            '[{"00741000": {"vr": "CS", "Value": ["IN PROGRESS"]}, "00081195": {"vr": "UI", "Value": ["1.9"]}}]',
            _JSON,
            compare="status",
        ),
        Ask("GET", "/dicom-web/subscribers/A", ours=_only_here(426, _WORKITEMS)[::2]),
        *(
            Ask("OPTIONS", path, ours=_only_here(200, _CAPABILITIES))
            for path in ("/dicom-web", "/dicom-web/studies", "/dicom-web/workitems/1.2.3")
        ),
        Ask("OPTIONS", "/dicom-web/nothing"),
        Ask("OPTIONS", "/studies"),
        Ask("OPTIONS", "/"),
    ),
    configuration={"Plugins": [_PLUGIN], "DicomWeb": {"Enable": True}},
)
