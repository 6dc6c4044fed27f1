"""Modification, anonymisation, split and merge.

New identifiers are random in both servers, so most answers name resources that only one of them has. Where all
identifiers are given by the request, the edited data set is compared tag by tag.
"""

from __future__ import annotations

import json
from typing import Any

from ithil.dicom.identifiers import public_ids
from tests.conformance.line import ABSENT, Ask, Difference, Scenario

_CT, _MR = "pydicom/CT_small.dcm", "pydicom/MR_small.dcm"
_PLAN = "pydicom/rtplan.dcm"
_SERIES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))
_GIVEN = {
    "PatientID": "NEW",
    "StudyInstanceUID": "1.2.99",
    "SeriesInstanceUID": "1.2.99.1",
    "SOPInstanceUID": "1.2.99.1.1",
}
_PATIENT, _STUDY, _SERIES_ID, _INSTANCE = public_ids("NEW", "1.2.99", "1.2.99.1", "1.2.99.1.1")
_LEVELS = (("patients", "patient"), ("studies", "study"), ("series", "series"), ("instances", "instance"))

_NEW_IDS = tuple(
    Difference(f"body.{name}", "New identifiers are random, and so are the names of what has them.")
    for name in ("ID", "Path")
)
_NEW_PATIENT = Difference(
    "body.PatientID", "New identifiers are random, and so are the names of what has them."
)
_SOURCES = Difference("body.ParentResources", "Jobs name their sources in Orthanc 1.13.", theirs=ABSENT)
_FORCED = (
    Difference(
        "*",
        "With `Force` any identifier can be kept or replaced at any level, as in Orthanc 1.13.",
    ),
)
_METHOD = Difference(
    "body.0012,0063*",
    "The method names the server, as in Orthanc 1.13, even if the profile was changed.",
)
_NEW_UIDS = Difference(
    "body.*",
    "New UIDs are random.",
    when=lambda theirs, ours: (
        str(theirs).startswith("1.2.276.0.7230010.3.1.") and str(ours).startswith("2.25.")
    ),
)
_NESTED = Difference(
    "body.0010,1002.Value.*.0010,0020.Value",
    "PatientID is replaced inside of sequences by every edition; by that of 2008, Orthanc 1.10 leaves it.",
)
_WORSE = Difference(
    "*", "A transfer syntax that is unknown is refused; Orthanc 1.10 does not look at it when it anonymises."
)


def _json(**body: Any) -> str:
    return json.dumps(body)


def _given(**more: Any) -> dict[str, Any]:
    return {"Replace": {**_GIVEN, **more}, "Force": True}


# Refused, whatever the level and the action.
_REFUSED = (
    *("", "[]", "null", '"text"', "{"),
    *(_json(Replace={name: "1.2"}) for name in _GIVEN),
    *(_json(Keep=[name]) for name in _GIVEN),
    *(_json(Remove=[name]) for name in _GIVEN),
    *(_json(Remove=[name], Force=True) for name in _GIVEN),
    *(_json(**{field: value}) for field in ("Replace", "Remove", "Keep") for value in ("x", 5, None)),
    _json(Replace=[]),
    _json(Remove=[5]),
    _json(Replace={"Nope": "x"}),
    _json(Remove=["Nope"]),
    _json(Keep=["Nope"]),
    _json(Replace={"OtherPatientIDsSequence.PatientID": "x"}),
    _json(Replace={"OtherPatientIDsSequence[-1].PatientID": "x"}),
    _json(Replace={"OtherPatientIDsSequence[a].PatientID": "x"}),
    _json(Force=5),
    _json(PrivateCreator=5),
)
_REFUSED_OF_JOBS = tuple(
    _json(**{field: "x"}) for field in ("KeepSource", "Synchronous", "Asynchronous", "Permissive", "Priority")
)
# Edits of a single instance that both make, compared by what they answer.
_EDITS = (
    {},
    {"Replace": {"PatientName": "X"}},
    {"Replace": {"(0010,0010)": "X"}},
    {"Replace": {"OtherPatientIDsSequence": [{"PatientID": "A"}]}},
    {"Replace": {"OtherPatientIDsSequence": ""}},
    {"Replace": {"PixelData": "data:application/octet-stream;base64,QUJD"}},
    {"Replace": {"Rows": "5"}},
    {"Replace": {"Rows": "x"}},
    {"Replace": {"Rows": "5\\6"}},
    {"Replace": {"Rows": 5}},
    {"Replace": {"PatientName": ["X"]}},
    {"Replace": {"OtherPatientIDsSequence": ["X"]}},
    {"Replace": {"OtherPatientIDsSequence": "X"}},
    {"Remove": ["PatientName"]},
    {"RemovePrivateTags": True},
    {"RemovePrivateTags": 5},
    {"Unknown": 1},
    {"Transcode": "nope"},
    {"Transcode": 5},
    {"Transcode": "1.2.840.10008.1.2.4.70"},
)


def _refusals() -> list[Ask]:
    lines = []
    for plural, level in _LEVELS:
        for action in ("modify", "anonymize"):
            path = f"/{plural}/{{{level}:CT_small}}/{action}"
            bodies = _REFUSED + (_REFUSED_OF_JOBS if plural != "instances" else ())
            lines += [Ask("POST", path, body, note=body[:60]) for body in bodies]
            lines += [
                Ask("GET", path),
                Ask("POST", f"/{plural}/nope/{action}", "{}"),
            ]
        lines += [
            Ask("POST", f"/{plural}/{{{level}:CT_small}}/anonymize", body, note=body)
            for body in (_json(DicomVersion="1999"), _json(DicomVersion=5), _json(KeepPrivateTags="yes"))
        ]
    return lines


REFUSED = Scenario("edits that are refused", (*_refusals(), Ask("GET", "/statistics")), files=(_CT,))

INSTANCES = Scenario(
    "editing an instance",
    (
        *(
            Ask(
                "POST",
                "/instances/{instance:CT_small}/modify",
                _json(**body),
                compare="status",
                note=str(body),
            )
            for body in _EDITS
        ),
        *(
            Ask("POST", "/instances/{instance}/anonymize", _json(**body), compare="status", note=str(body))
            for body in (
                {},
                {"DicomVersion": "2008"},
                {"KeepPrivateTags": True},
                {"Keep": ["StudyDescription"]},
            )
        ),
        Ask(
            "POST",
            "/instances/{instance:CT_small}/anonymize",
            _json(Transcode="nope"),
            compare="status",
            ours=(_WORSE,),
        ),
        Ask("GET", "/statistics"),
    ),
    files=(_CT, _MR, _PLAN),
)

_MADE = (
    Ask("GET", f"/instances/{_INSTANCE}/metadata"),
    Ask("GET", f"/instances/{_INSTANCE}"),
    Ask("GET", f"/series/{_SERIES_ID}"),
    Ask("GET", f"/studies/{_STUDY}"),
    Ask("GET", f"/patients/{_PATIENT}"),
    Ask("GET", f"/instances/{_INSTANCE}/metadata/TransferSyntax"),
    Ask("GET", f"/instances/{_INSTANCE}/content/PixelData/0"),
)


def _edited(name: str, file: str, action: str, body: dict[str, Any], *tags: Difference) -> Scenario:
    """A patient with one instance, edited with all identifiers given, and all that is known of the result."""
    stem = file.rpartition("/")[2].removesuffix(".dcm")
    size = Difference("body.FileSize", "Each server writes its own file meta information.")
    lines = [Ask("POST", f"/patients/{{patient:{stem}}}/{action}", json.dumps(body), ours=(_SOURCES,))]
    lines.append(Ask("GET", f"/instances/{_INSTANCE}/tags", ours=tags))
    for line in _MADE:
        ours = (size,) if line.path == f"/instances/{_INSTANCE}" else ()
        if "PixelData" in line.path and file == _PLAN:
            continue
        lines.append(Ask(line.method, line.path, ours=ours))
    return Scenario(name, (*lines, Ask("GET", "/statistics", compare="status")), files=(file,))


_SEQUENCE = [{"PatientID": "A", "IssuerOfPatientID": "I"}, {"0010,0020": "B"}]

COMPARED = (
    _edited(
        "modification tag by tag",
        _CT,
        "modify",
        {
            **_given(PatientName="Jérôme", OtherPatientIDsSequence=_SEQUENCE, Rows="64", StudyDescription=""),
            "Remove": ["PatientBirthDate", "0043,1029"],
            "Keep": ["PatientSex"],
        },
    ),
    _edited("modification without private tags", _CT, "modify", {**_given(), "RemovePrivateTags": True}),
    _edited(
        "modification inside of sequences",
        _PLAN,
        "modify",
        {
            **_given(
                **{
                    "BeamSequence[0].BeamName": "first",
                    "BeamSequence[*].ControlPointSequence[1].NominalBeamEnergy": "9",
                    "(300a,00b0)[7].(300a,00c2)": "nowhere",
                }
            ),
            "Remove": ["DoseReferenceSequence[*].DoseReferenceUID", "ToleranceTableSequence"],
        },
    ),
    *(
        _edited(
            f"anonymisation by the edition {version} of {file.rpartition('/')[2]}",
            file,
            "anonymize",
            {**_given(), "DicomVersion": version},
            _METHOD,
            _NEW_UIDS,
            *((_NESTED,) if version == "2008" and file == _CT else ()),
        )
        for version in ("2008", "2017c", "2021b")
        for file in (_CT, _MR, _PLAN)
    ),
)

_COUNTED = (Ask("GET", "/statistics", compare="status"),)

JOBS = Scenario(
    "edits as jobs",
    (
        Ask("POST", "/series/{series:CT_small}/modify", "{}", ours=(*_NEW_IDS, _SOURCES)),
        Ask("POST", "/studies/{study:CT_small}/modify", "{}", ours=(*_NEW_IDS, _SOURCES)),
        *(
            Ask(
                "POST",
                f"/{plural}/{{{level}:17106}}/anonymize",
                "{}",
                ours=(*_NEW_IDS, _NEW_PATIENT, _SOURCES),
            )
            for plural, level in _LEVELS[:3]
        ),
        Ask(
            "POST",
            "/series/{series:CT_small}/modify",
            _json(Replace={"PatientID": "X"}, Force=True),
            ours=_FORCED,
        ),
        Ask(
            "POST",
            "/studies/{study:17106}/modify",
            _json(Keep=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], Force=True),
            ours=_FORCED,
            note="in place",
        ),
        Ask(
            "POST",
            "/studies/{study:17106}/modify",
            _json(Replace={"SOPInstanceUID": "1.2"}, Force=True),
            note="the same for several",
        ),
        Ask("POST", "/tools/bulk-modify", "{}"),
        Ask("POST", "/tools/bulk-modify", _json(Resources=[]), ours=(_SOURCES,)),
        Ask("POST", "/tools/bulk-modify", _json(Resources=["nope"])),
        Ask("POST", "/tools/bulk-modify", _json(Resources="x")),
        Ask("POST", "/tools/bulk-modify", _json(Resources=[], Level="Nope")),
        Ask("POST", "/tools/bulk-anonymize", "{}"),
        Ask("POST", "/tools/bulk-anonymize", _json(Resources=[]), ours=(_SOURCES,)),
        Ask("POST", "/tools/bulk-anonymize", _json(Resources=["nope"])),
        Ask("GET", "/tools/bulk-modify"),
        *_COUNTED,
    ),
    files=(_CT, *_SERIES),
)

_TARGETS = tuple(
    Difference(f"body.{name}", "New identifiers are random, and so are the names of what has them.")
    for name in ("TargetStudy", "TargetStudyUID")
)

STUDIES = Scenario(
    "splitting and merging studies",
    (
        *(
            Ask("POST", "/studies/{study:17106}/split", body, note=body[:60])
            for body in (
                *("", "{}", _json(Series=[]), _json(Series="x"), _json(Series=[5]), _json(Series=["nope"])),
                *(_json(Instances=["nope"]), _json(Instances="x")),
            )
        ),
        Ask("POST", "/studies/nope/split", _json(Series=["x"])),
        Ask("GET", "/studies/{study:17106}/split"),
        *(
            Ask("POST", "/studies/{study:CT_small}/merge", body, note=body[:60])
            for body in ("", "{}", _json(Resources=[]), _json(Resources="x"), _json(Resources=["nope"]))
        ),
        Ask("POST", "/studies/nope/merge", _json(Resources=["x"])),
        Ask("GET", "/studies/{study:CT_small}/merge"),
        Ask("GET", "/statistics"),
    ),
    files=(_CT, *_SERIES),
)

EDITING = (REFUSED, INSTANCES, *COMPARED, JOBS, STUDIES)
