"""Searches by DICOMweb, beside those of Orthanc's DICOMweb plugin.

Orthanc gives results in no order, so they are compared without regard to it.
"""

from __future__ import annotations

from tests.conformance.line import ABSENT, ANY, Ask, Difference, Scenario

_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
_SERIES = "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
_FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/MR_small.dcm",
    "pydicom/rtplan.dcm",
    "pydicom/JPEG2000.dcm",
    "pydicom/image_dfl.dcm",
    "charset/chrGreek.dcm",
    "charset/chrH31.dcm",
)


_UTF8 = Difference(
    "body.*.00080005.Value.0",
    "JSON is in UTF-8, and SpecificCharacterSet says so (PS3.18 F.2), as in newer versions of the plugin.",
    ours="ISO_IR 192",
)
_ADDED = Difference(
    "body.*",
    "More attributes of the tables of PS3.18 10.6.3.3 are shown, those without a value too.",
    theirs=ABSENT,
    when=lambda _, ours: isinstance(ours, dict) and "vr" in ours,
)
_NAMED = Difference(
    "body.*",
    "Attributes of what the path names are not repeated in each result (PS3.18 10.6.3.3), as in newer versions.",
    ours=ABSENT,
    when=lambda theirs, _: isinstance(theirs, dict) and "vr" in theirs,
)
_USUAL = (_UTF8, _ADDED)
_NEGATIVE = (
    Difference("status", "A negative number is a bad request; Orthanc fails.", ours=400, theirs=500),
    Difference("header.content-type", "Errors say of what type they are."),
    Difference("body*", "The error says what is wrong."),
)


def _found(where: str, reason: str) -> tuple[Difference, ...]:
    """Ithil finds something else than Orthanc."""
    return (Difference(where, reason),)


_BELOW = _found(
    "body.*", "An attribute of a level below is that of some resource there; Orthanc finds nothing."
)
_COUNTED = _found("body.*", "Counts can be searched by; Orthanc finds nothing.")
_SEQUENCE = _found("body.*", "Sequences can be searched in; Orthanc passes their attributes over.")
_REPEATED = _found("body.*", "A repeated attribute is a list of values; Orthanc takes the last.")


def _ask(path: str, *ours: Difference, accept: str = "", note: str = "") -> Ask:
    headers = {"Host": "archive", **({"Accept": accept} if accept else {})}
    return Ask("GET", f"/dicom-web{path}", headers=headers, unordered=True, ours=ours, note=note)


_SCRIPTS = Difference("body.*.00100010.Value*", "Names of all scripts are shown; Orthanc 1.10 loses them.")
_DECODED = _found("body.length", "Values are decoded as URLs have it; the plugin 1.7 takes %5E as it stands.")
_SAME_QUESTIONS = (
    "PatientID=1CT1",
    "00100020=1CT1",
    "PatientID=1CT1,4MR1",
    "PatientName=compressedsamples*",
    "StudyDate=20040101-20041231",
    "StudyDate=20040826-",
    "StudyInstanceUID=1.2,{0}",
    "ModalitiesInStudy=CT",
    "ModalitiesInStudy=CT,MR",
    "PatientID=&PatientSex=O",
    "Unknown=1&PatientID=1CT1",
    "includefield=Manufacturer&PatientID=1CT1",
    "includefield=00080070,00081030&PatientID=1CT1",
    "includefield=all&PatientID=4MR1",
    "limit=0&PatientID=1CT1",
    "fuzzymatching=false&PatientID=1CT1",
    "limit=100&offset=0&PatientName=*CT1*",
)
_NOTHING = ("PatientID=nobody", "StudyDate=19000101", "PatientName=X*&limit=5", "offset=100", "PatientID=1CT")
_BAD = ("limit=a", "offset=x")

QIDO = Scenario(
    "qido",
    (
        _ask("/studies", *_USUAL, _SCRIPTS),
        _ask("/series", *_USUAL, _SCRIPTS),
        _ask("/instances", *_USUAL, _SCRIPTS),
        *(_ask(f"/studies?{each.format(_STUDY)}", *_USUAL) for each in _SAME_QUESTIONS),
        _ask("/studies?StudyDate=-20031231", *_USUAL, _SCRIPTS),
        _ask("/studies?PatientName=CompressedSamples^CT?", *_USUAL),
        _ask("/studies?PatientName=CompressedSamples%5ECT?", *_DECODED),
        _ask(f"/studies?StudyInstanceUID={_STUDY}%5C1.2", *_DECODED),
        *(_ask(f"/studies?{each}") for each in _NOTHING),
        *(Ask("GET", f"/dicom-web/studies?{each}", compare="status") for each in _BAD),
        Ask("GET", "/dicom-web/studies?fuzzymatching=perhaps", compare="status"),
        Ask("GET", "/dicom-web/studies?StudyDate=2004*", compare="status"),
        Ask("GET", "/dicom-web/series/nope", compare="status"),
        Ask("GET", "/dicom-web/studies?limit=-1", ours=_NEGATIVE),
        Ask("GET", "/dicom-web/studies?offset=-1", ours=_NEGATIVE),
        _ask("/series?Modality=CT&PatientName=*", *_USUAL),
        _ask("/series?Modality=RTPLAN,MR&StudyDate=20030716", *_USUAL),
        _ask(f"/series?SeriesInstanceUID={_SERIES}", *_USUAL),
        _ask("/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.2", *_USUAL),
        _ask("/instances?Modality=MR&InstanceNumber=1", *_USUAL),
        _ask(f"/studies/{_STUDY}/series", *_USUAL, _NAMED),
        _ask(f"/studies/{_STUDY}/series?Modality=CT&includefield=0008103E,00080021", *_USUAL, _NAMED),
        _ask(f"/studies/{_STUDY}/series?Modality=MR"),
        _ask(f"/studies/{_STUDY}/instances", *_USUAL, _NAMED),
        _ask(f"/studies/{_STUDY}/series/{_SERIES}/instances", *_USUAL, _NAMED),
        _ask(f"/studies/{_STUDY}/series/1.2/instances"),
        _ask("/studies/1.2/series"),
        _ask("/studies?Modality=CT", *_BELOW),
        _ask("/studies?NumberOfStudyRelatedSeries=1&PatientID=1CT1", *_COUNTED),
        _ask("/studies?00400275.00400007=x", *_SEQUENCE),
        _ask("/studies?PatientID=1CT1&PatientID=4MR1", *_REPEATED),
        _ask("/studies?PatientID=1CT1", *_USUAL, accept="application/json"),
        _ask("/studies?PatientID=1CT1", *_USUAL, accept="image/png"),
        _ask(
            "/studies?PatientID=1CT1",
            Difference("body*", "The same in XML, with more attributes and less white space.", ours=ANY),
            accept="application/dicom+xml",
        ),
        Ask("POST", "/dicom-web/series", compare="status"),
    ),
    files=_FILES,
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True},
    },
)
