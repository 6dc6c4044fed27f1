"""Searches, on servers that hold every real file that both accept."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.line import ANY, Ask, Difference, Scenario

_LOWER_LEVELS = Difference(
    "body.length", "A tag of a level below matches where some resource below has it.", theirs=0
)
_COMPUTED = Difference("body*", "Tags that follow from what is stored can be searched for.")
_ACCENTS = Difference("body*", "Accents do not count, nor does the dakuten of half-width kana.")
_BLANKS = Difference("body.length", "Blanks around a value do not count (PS3.5 6.2).", ours=1, theirs=0)
_VALUES = Difference("body.length", "One of several values is enough (PS3.4 C.2.2.2).", theirs=0)
_RETIRED_NAME = (
    Difference("status", "The name without `RETIRED_` is known too.", ours=200, theirs=500),
    Difference("body*", "The name without `RETIRED_` is known too."),
)
_NO_QUERY = (
    Difference(
        "status", "A search needs no `Query` where parents, labels or nothing limit it.", ours=200, theirs=400
    ),
    Difference("body*", "A search needs no `Query` where parents, labels or nothing limit it."),
)
_QUERY_ARRAY = (
    Difference("status", "A `Query` that is no object is a bad request.", ours=400, theirs=500),
    Difference("body*", "A `Query` that is no object is a bad request."),
)
_NEWER = (
    Difference("status", "The route came with Orthanc 1.12.", ours=200, theirs=404),
    Difference("body*", "The route came with Orthanc 1.12."),
    Difference("header.content-type", "The route came with Orthanc 1.12.", ours=ANY),
)
_PARTLY = (Difference("body*", "The field came with Orthanc 1.11 or 1.12."),)


def _find(
    level: str,
    query: dict[str, str],
    *ours: Difference,
    note: str = "",
    **fields: Any,
) -> Ask:
    body = {"Level": level, "Query": query, **fields}
    shown = json.dumps({key: value for key, value in body.items() if key != "Level"})
    return Ask(
        "POST",
        "/tools/find",
        json.dumps(body),
        unordered=True,
        ours=ours,
        note=note or f"{level} {shown}",
    )


def _refused(body: Any, *ours: Difference) -> Ask:
    text = body if isinstance(body, str) else json.dumps(body)
    return Ask("POST", "/tools/find", text, ours=ours, note=text[:80] or "nothing")


_STUDY_QUERIES: tuple[dict[str, str], ...] = (
    {},
    {"PatientID": "1CT1"},
    {"PatientID": "1ct1"},
    {"PatientID": "1CT*"},
    {"PatientID": "1ct?"},
    {"PatientID": "*"},
    {"PatientID": "?*"},
    {"PatientID": ""},
    {"PatientID": "1CT1\\4MR1"},
    {"PatientID": "1C*\\4MR1"},
    {"PatientID": "1CT1\\"},
    {"PatientID": "1CT1-4MR1"},
    {"PatientID": "nope"},
    {"PatientName": "comp*"},
    {"PatientName": "COMP*"},
    {"PatientName": "*ct1*"},
    {"PatientName": "?"},
    {"PatientName": "*%*"},
    {"PatientName": "*_*"},
    {"StudyDate": "20040101-20041231"},
    {"StudyDate": "20040101-"},
    {"StudyDate": "-20040101"},
    {"StudyDate": "-"},
    {"StudyDate": "20040826"},
    {"StudyDate": "20040826\\20040119"},
    {"StudyDate": "20040826\\"},
    {"StudyDate": "2004*"},
    {"StudyDate": "2004-01-01"},
    {"StudyTime": "070000-120000"},
    {"StudyTime": "07-12"},
    {"StudyTime": "-120000"},
    {"StudyTime": "120000-"},
    {"PatientBirthDate": "-20040101"},
    {"PatientBirthDate": "\\19000101"},
    {"PatientSex": "O"},
    {"PatientSex": "o"},
    {"AccessionNumber": ""},
    {"AccessionNumber": "*"},
    {"AccessionNumber": "**"},
    {"AccessionNumber": "?*"},
    {"AccessionNumber": "\\A"},
    {"ReferringPhysicianName": "*"},
    {"InstitutionName": "JFK*"},
    {"InstitutionName": "jfk*"},
    {"InstitutionName": "*"},
    {"StudyDescription": "e*"},
    {"StudyID": "1CT1"},
    {"StudyID": "1ct1"},
    {"StudyInstanceUID": "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"},
    {"StudyInstanceUID": "1.2\\1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"},
    {"StudyInstanceUID": "1.3.6.1.4*"},
    {"StudyInstanceUID": "1.3-1.4"},
    {"SeriesInstanceUID": "*"},
    {"ModalitiesInStudy": "CT"},
    {"ModalitiesInStudy": "ct"},
    {"ModalitiesInStudy": "CT\\MR"},
    {"ModalitiesInStudy": "C*"},
    {"KVP": "120"},
    {"Rows": "128"},
    {"Rows": "*"},
    {"PatientAge": "000Y"},
    {"PatientComments": "*"},
    {"SpecificCharacterSet": "ISO_IR 100"},
    {"0009,0010": "GEMS*"},
    {"0011,0011": "a"},
    {"0010,0020": "1CT1"},
    {"00100020": "1CT1"},
    {"0010-0020": "1CT1"},
    {"NoSuchTag": "x"},
    {"PatientID": "1CT1", "StudyDate": "20040101-20041231", "ModalitiesInStudy": "CT"},
    {"PatientID": "1CT1", "StudyDate": "20050101-"},
)

_OTHER_QUERIES: tuple[tuple[str, dict[str, str]], ...] = (
    ("Patient", {}),
    ("Patient", {"PatientName": "comp*"}),
    ("Patient", {"PatientID": "*"}),
    ("Patient", {"PatientSex": "M"}),
    ("Series", {}),
    ("Series", {"Modality": "CT"}),
    ("Series", {"Modality": "ct"}),
    ("Series", {"Modality": "CT\\MR"}),
    ("Series", {"PatientName": "comp*"}),
    ("Series", {"StudyDate": "20040101-20041231"}),
    ("Series", {"SeriesDate": "19970101-20041231"}),
    ("Series", {"SeriesDescription": "*"}),
    ("Series", {"SeriesNumber": "1"}),
    ("Series", {"SeriesNumber": "1*"}),
    ("Series", {"Manufacturer": "GE*"}),
    ("Series", {"KVP": "120"}),
    ("Instance", {}),
    ("Instance", {"Modality": "CT"}),
    ("Instance", {"InstanceNumber": "1"}),
    ("Instance", {"InstanceNumber": "01"}),
    ("Instance", {"KVP": "120"}),
    ("Instance", {"PatientName": "comp*"}),
    ("Instance", {"SOPInstanceUID": "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"}),
    ("Instance", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}),
)

_BETTER = (
    _find("Study", {"Modality": "CT"}, _LOWER_LEVELS),
    _find("Study", {"Manufacturer": "GE*"}, _LOWER_LEVELS),
    _find("Patient", {"StudyDate": "20040119"}, _LOWER_LEVELS),
    _find("Study", {"NumberOfStudyRelatedInstances": "1"}, _COMPUTED),
    _find("Study", {"NumberOfStudyRelatedSeries": "2"}, _COMPUTED),
    _find("Study", {"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2"}, _COMPUTED),
    _find("Study", {"InstanceAvailability": "ONLINE"}, _COMPUTED),
    _find("Series", {"ModalitiesInStudy": "CT"}, _COMPUTED),
    _find("Study", {"PatientName": "*é*"}, _ACCENTS),
    _find("Study", {"PatientName": " CompressedSamples^CT1 "}, _BLANKS),
    _find("Study", {"ImageType": "AXIAL"}, _VALUES),
    _find("Study", {"OtherPatientIDs": "*"}, *_RETIRED_NAME),
)

_SHOWN = tuple(
    _find(level, {"PatientID": "1CT1"}, Expand=True, **form)
    for level in ("Patient", "Study", "Series", "Instance")
    for form in ({}, {"Short": True}, {"Full": True}, {"Simplify": True}, {"Short": True, "Full": True})
)

_FIELDS = (
    *(_find(level, {"PatientID": "1CT1"}) for level in ("STUDY", "studies", "Studies")),
    _find("Study", {"PatientID": "1CT1"}, Expand=1),
    _find("Study", {"PatientID": "1CT1"}, Expand=None),
    _find("Study", {"PatientID": "nope"}, Limit=2, Since=1),
    _find("Study", {"PatientID": "1CT1"}, Limit=5),
    _find("Study", {"PatientID": "1CT1"}, Since=1),
    _find("Study", {"PatientID": "1CT1"}, Foo=True),
    _find("Study", {"PatientID": "1CT1"}, *_PARTLY, Labels=["x"]),
    _find("Study", {"PatientID": "1CT1"}, *_PARTLY, ResponseContent=["Parent"]),
    _find("Study", {"PatientID": "1CT1"}, *_PARTLY, Expand=True, RequestedTags=["KVP"]),
    _find("Study", {"PatientID": "1CT1"}, *_PARTLY, ParentPatient="nope"),
    _find("Instance", {"PatientID": "1CT1"}, *_PARTLY, MetadataQuery={"Origin": "Lua"}),
)

_REFUSALS = (
    _refused(""),
    _refused("[]"),
    _refused("{}"),
    _refused({"Query": {}}),
    _refused({"Level": 1, "Query": {}}),
    _refused({"Level": "Nothing", "Query": {}}),
    _refused({"Level": "None", "Query": {}}),
    _refused({"Level": "Study", "Query": []}, *_QUERY_ARRAY),
    _refused({"Level": "Study", "Query": {"PatientID": 1}}),
    _refused({"Level": "Study", "Query": {"PatientID": ["a"]}}),
    _refused({"Level": "Study", "Query": {"PatientID": None}}),
    _refused({"Level": "Study", "Query": {}, "CaseSensitive": 1}),
    _refused({"Level": "Study", "Query": {}, "Limit": -1}),
    _refused({"Level": "Study", "Query": {}, "Limit": "1"}),
    _refused({"Level": "Study", "Query": {}, "Limit": 1.5}),
    _refused({"Level": "Study", "Query": {}, "Limit": True}),
    _refused({"Level": "Study", "Query": {}, "Since": -1}),
    _refused({"Level": "Study", "Query": {}, "Since": "1"}),
    _refused({"Level": "Study", "Query": {"PatientID": "1CT1"}, "Full": 1}),
    Ask("GET", "/tools/find"),
    Ask("PUT", "/tools/find"),
    Ask("GET", "/tools/bulk-content"),
)


def _bulk(path_field: str = "", **body: Any) -> Ask:
    return Ask("POST", "/tools/bulk-content", json.dumps(body), note=path_field or json.dumps(body)[:80])


_CT_STUDY = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"
_CT_SERIES = "93034833-163e42c3-bc9a428b-194620cf-2c5799e5"
_BULK = (
    _bulk(Resources=[_CT_STUDY]),
    _bulk("several", Resources=[_CT_STUDY, "nope", _CT_SERIES, _CT_STUDY]),
    _bulk("without metadata", Resources=[_CT_STUDY, _CT_SERIES], Metadata=False, Full=True),
    *(
        _bulk(f"at level {level}", Resources=[_CT_STUDY, _CT_STUDY], Level=level, Short=True)
        for level in ("Patient", "Study", "Series", "Instance", "instances")
    ),
    _bulk(Resources=["nope"]),
    _bulk(Resources=[]),
    _bulk(Nothing=1),
    _bulk(Resources="x"),
    _bulk(Resources=[1]),
    _bulk(Resources=[], Level="Nothing"),
    _bulk(Resources=[], Level=3),
    _bulk(Resources=[_CT_STUDY], Metadata="x"),
    _bulk(Resources=[_CT_STUDY], Full=1),
)

_NEW_ROUTES = (
    Ask("GET", "/tools/labels", ours=_NEWER),
    Ask(
        "POST",
        "/tools/count-resources",
        json.dumps({"Level": "Study", "Query": {"PatientID": "1CT1"}}),
        ours=(
            Difference("status", "The route came with Orthanc 1.12.5.", ours=200, theirs=404),
            Difference("body*", "The route came with Orthanc 1.12.5."),
        ),
    ),
    Ask("POST", "/tools/find", json.dumps({"Level": "Study"}), ours=_NO_QUERY, note="no Query"),
)

FINDING = Scenario(
    "finding",
    (
        *(_find("Study", query) for query in _STUDY_QUERIES),
        *(_find("Study", query, CaseSensitive=True) for query in _STUDY_QUERIES),
        *(_find(level, query) for level, query in _OTHER_QUERIES),
        *_BETTER,
        *_SHOWN,
        *_FIELDS,
        *_REFUSALS,
        *_BULK,
        *_NEW_ROUTES,
    ),
    files=None,
)
