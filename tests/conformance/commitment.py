"""Storage commitment through REST: what is wrong with a request, and reports that are not there.

What is right needs a modality that answers, and is in the integration tests.
"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.line import Ask, Difference, Scenario

_CT = "pydicom/CT_small.dcm"
_PATH = "/modalities/none/storage-commitment"
_DETAILS = Difference("body.Details", "Details are Ithil's own words.")
_NO_UIDS = (
    Difference("status", "What is no UID is refused before anybody is called.", ours=400, theirs=500),
    Difference("body.*", "What is no UID is refused before anybody is called."),
)

_WRONG: tuple[Any, ...] = (
    {},
    [],
    {"Resources": "nope"},
    {"Resources": [1]},
    {"DicomInstances": "x"},
    {"DicomInstances": ["a"]},
    {"DicomInstances": [["1.2"]]},
    {"DicomInstances": [{"SOPClassUID": "1.2"}]},
    {"DicomInstances": [["1.2", "1.3"]], "Timeout": "x"},
    {"DicomInstances": [["1.2", "1.3"]], "Timeout": -1},
)


def _post(body: Any, *ours: Difference) -> Ask:
    text = body if isinstance(body, str) else json.dumps(body)
    return Ask("POST", _PATH, text, note=text, ours=(*ours, _DETAILS))


COMMITMENT = Scenario(
    "storage commitment",
    (
        *(_post(body) for body in _WRONG),
        Ask("POST", _PATH, '{"Resources": ["nope"]}', note="an unknown resource"),
        _post("no JSON"),
        _post({"DicomInstances": [["a", "b"]]}, *_NO_UIDS),
        _post({"DicomInstances": [["1.2", "1.3"]]}),
        Ask("POST", "/modalities/nope/storage-commitment", '{"Resources": []}'),
        Ask("GET", _PATH),
        Ask("GET", "/storage-commitment/1.2.3"),
        Ask("POST", "/storage-commitment/1.2.3/remove"),
        Ask("GET", "/storage-commitment/1.2.3/remove"),
        Ask("DELETE", "/storage-commitment/1.2.3"),
        Ask("GET", "/storage-commitment"),
    ),
    files=(_CT,),
    configuration={"DicomModalities": {"none": ["NONE", "127.0.0.1", 1]}},
)
