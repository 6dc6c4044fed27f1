"""Scenarios of ZIP archives and DICOMDIR media: names, files, records, headers and errors."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.line import ABSENT, Ask, Difference, Scenario

_FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/MR_small_RLE.dcm",
    *(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196)),
    "pydicom/dicomdirtests/77654033/CR1/6154",
    *(f"pydicom/dicomdirtests/98892003/{name}" for name in ("MR1/15820", "MR2/15970", "MR700/4467")),
)

_DECODED = Difference(
    "body.names.*",
    "Names in several character sets (ISO 2022) are decoded before what is not ASCII is dropped.",
    when=lambda theirs, ours: "3ED BOd" in theirs,
)
_DECODED_FILES = Difference(
    "body.files.*", _DECODED.reason, when=lambda theirs, ours: ABSENT in (theirs, ours)
)
_CHARACTERS = (
    Difference(
        "body.records.*.PatientName",
        "Names keep their characters; Orthanc 1.10 drops what is not ASCII.",
        when=lambda theirs, ours: not str(ours).isascii() or "=" in str(ours),
    ),
    Difference(
        "body.records.*.SpecificCharacterSet",
        "The backslash between values stays one in Japanese text; Orthanc 1.10 makes it a yen sign.",
        when=lambda theirs, ours: "13ISO 2022" in str(theirs).replace("\xa5", ""),
    ),
)
_TYPES = tuple(
    Difference(
        f"body.records.*.{keyword}",
        "Instances that are no images get the type of record that PS3.3 F.4 wants, with its keys; Orthanc calls "
        "all of them IMAGE.",
        theirs=theirs,
        when=lambda theirs, ours: ours != ABSENT,
    )
    for keyword, theirs in (
        ("DirectoryRecordType", "IMAGE"),
        ("ContentDate", ABSENT),
        ("ContentTime", ABSENT),
        ("ConceptNameCodeSequence", ABSENT),
        ("CompletionFlag", ABSENT),
        ("VerificationFlag", ABSENT),
        ("RTPlanLabel", ABSENT),
        ("RTPlanDate", ABSENT),
        ("RTPlanTime", ABSENT),
        ("DoseSummationType", ABSENT),
    )
)
_EMPTY = tuple(
    Difference(
        f"body.records.*.{keyword}",
        "A key of type 1 that the instance lacks is there and empty; Orthanc leaves it out.",
        theirs=ABSENT,
        ours="",
    )
    for keyword in ("PatientID", "StudyID", "SeriesNumber")
)
_BROKEN = Difference(
    "body",
    "Orthanc 1.10 breaks the medium off at a file that its parser does not take.",
    when=lambda theirs, ours: isinstance(ours, dict) and not isinstance(theirs, dict),
)
_RECORDS = (*_CHARACTERS, *_TYPES, *_EMPTY, _BROKEN)

ARCHIVES_OF_ALL = Scenario(
    "archives of all files",
    (
        Ask("GET", "/patients/{patient}/archive", ours=(_DECODED, _DECODED_FILES)),
        Ask("GET", "/studies/{study}/archive", ours=(_DECODED, _DECODED_FILES)),
        Ask("POST", "/series/{series}/archive", "{}", ours=(_DECODED, _DECODED_FILES)),
        Ask("GET", "/series/{series}/media", ours=_RECORDS),
        Ask("GET", "/series/{series}/media?extended", ours=_RECORDS),
    ),
    files=None,
)


def _resources(*names: str, **fields: Any) -> str:
    return json.dumps({"Resources": list(names), **fields} if fields else list(names))


_NEWER = "Came with Orthanc 1.12.2."
_GET = (Difference("status", _NEWER, ours=200, theirs=405), Difference("*", _NEWER))
_JSON = Difference(
    "body.*",
    "A body that is no JSON, or a field of another type, has Orthanc's code for that; 1.10 says bad file format.",
    when=lambda theirs, ours: theirs in (15, "Bad file format"),
)
_FILENAME = Difference("header.content-disposition", "`filename` came with Orthanc 1.11.0.")
_CHECKED = tuple(
    Difference(place, "Fields and arguments that Orthanc 1.10 does not know yet are checked.")
    for place in ("status", "header.*", "body.*")
)
_LEFT_OUT = (
    Difference("status", "The body may be left out, as in newer Orthancs.", ours=200, theirs=400),
    Difference("*", "The body may be left out, as in newer Orthancs."),
)

ARCHIVES = Scenario(
    "archives and media",
    (
        Ask("GET", "/patients/{patient}/archive"),
        Ask("GET", "/studies/{study}/archive"),
        Ask("GET", "/series/{series}/archive"),
        Ask("GET", "/patients/{patient}/media"),
        Ask("GET", "/studies/{study}/media"),
        Ask("GET", "/series/{series}/media"),
        Ask("GET", "/studies/{study}/media?extended"),
        Ask("POST", "/patients/{patient}/archive", ours=_LEFT_OUT),
        Ask("POST", "/studies/{study}/archive", "{}"),
        Ask("POST", "/series/{series}/archive", "[]", note="no object"),
        Ask("POST", "/patients/{patient}/media", '{"Synchronous": true, "Priority": 5}'),
        Ask("POST", "/studies/{study}/media", '{"Extended": true}'),
        Ask("POST", "/series/{series}/media", "{}"),
        Ask("GET", "/studies/{study:CT_small}/archive?transcode=1.2.840.10008.1.2", compare="status"),
        Ask("GET", "/studies/{study:CT_small}/archive?transcode=1.2.3"),
        Ask("GET", "/studies/{study:CT_small}/archive?transcode"),
        Ask("POST", "/studies/{study:CT_small}/archive", '{"Transcode": "1.2.3"}'),
        Ask("POST", "/studies/{study:CT_small}/archive", '{"Transcode": 5}', ours=(_JSON,)),
        Ask("POST", "/studies/{study:CT_small}/archive", '{"Synchronous": "x"}', ours=(_JSON,)),
        Ask("POST", "/studies/{study:CT_small}/archive", '{"Priority": "x"}', ours=(_JSON,)),
        Ask("POST", "/studies/{study:CT_small}/media", '{"Extended": "x"}', ours=(_JSON,)),
        Ask("POST", "/studies/{study:CT_small}/media", '{"Filename": 5}', ours=_CHECKED),
        Ask("POST", "/studies/{study:CT_small}/media", '{"LossyQuality": 0}', ours=_CHECKED),
        Ask("POST", "/studies/{study:CT_small}/archive", "junk"),
        Ask("GET", "/studies/{study:CT_small}/archive?filename=a.zip", ours=(_FILENAME,)),
        Ask("POST", "/studies/{study:CT_small}/archive", '{"Filename": "a.zip"}', ours=(_FILENAME,)),
        *(
            Ask(method, f"/{level}/nope/{kind}", "{}" if method == "POST" else None)
            for level in ("patients", "studies", "series", "instances")
            for kind in ("archive", "media")
            for method in ("GET", "POST")
        ),
        Ask("PUT", "/studies/{study:CT_small}/archive", ""),
    ),
    files=_FILES,
)

_COMMON = (
    _resources(),
    _resources("nope"),
    '"a"',
    "5",
    "null",
    "{}",
    "junk",
    "",
    "[5]",
    '{"Resources": "a"}',
)

CREATING_ARCHIVES = Scenario(
    "archives of any set",
    tuple(
        line
        for kind in ("archive", "media", "media-extended")
        for line in (
            *(Ask("POST", f"/tools/create-{kind}", body) for body in _COMMON),
            Ask("GET", f"/tools/create-{kind}?resources={{study:CT_small}}", ours=_GET),
            Ask("GET", f"/tools/create-{kind}", ours=(Difference("*", _NEWER),)),
            Ask("DELETE", f"/tools/create-{kind}", ours=(Difference("header.allow", _NEWER),)),
        )
    ),
    files=_FILES,
)

ARCHIVING = (ARCHIVES, CREATING_ARCHIVES, ARCHIVES_OF_ALL)
