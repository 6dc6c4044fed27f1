"""Requests that change nothing, on servers that hold every real file that both accept."""

from __future__ import annotations

from tests.conformance.line import ABSENT, ANY, Ask, Difference, Scenario

_EXPAND_VALUE = Difference("body*", "`expand=false` is read as such since Orthanc 1.12.2.")
_LIMIT_ZERO = Difference("body*", "`limit=0` means no limit since Orthanc 1.12.5.")
_NO_VALUE = (
    Difference("status", "An argument without a value reads as 1 in Orthanc 1.13.", ours=200),
    Difference("body*", "An argument without a value reads as 1 in Orthanc 1.13."),
)
_NOTHING_FOUND = (
    Difference("body.length", "Looking up nothing finds nothing, not the patient whose id is empty.", ours=0),
)
_OPERATIONS = (
    Difference("body.*", "Orthanc 1.10 lists the operation `uuid` as well, which it does not have."),
)
_OWN_PAGE = (
    Difference("status", "The first page is Ithil's own, without a redirection.", ours=200, theirs=301),
)
_NUMERIC = Difference("body*", "`numeric` shows the numbers of metadata since Orthanc 1.12.")
_SYSTEM = (
    Difference("body.Version", "Ithil speaks the API of Orthanc 1.13.0.", ours="1.13.0"),
    Difference("body.ApiVersion", "Ithil speaks the API of Orthanc 1.13.0.", ours=31),
    Difference("body.PluginsEnabled", "Orthanc's binary plugins cannot be loaded.", ours=ANY),
    *(
        Difference(f"body.{name}", "A field of Orthanc 1.13 or of Ithil.", theirs=ABSENT)
        for name in (
            "Capabilities",
            "DatabaseServerIdentifier",
            "DicomDefaultRetrieveMethod",
            "HasLabels",
            "IngestTranscoding",
            "IthilVersion",
            "MainDicomTags",
            "MaximumPatientCount",
            "MaximumStorageMode",
            "MaximumStorageSize",
            "OverwriteInstances",
            "OverwriteInstancesMode",
            "PatientLevelEnabled",
            "Performance",
            "ReadOnly",
            "StorageCompression",
            "StoreMD5ForAttachments",
            "ThirdPartyPatches",
            "ThirdPartyVersions",
            "UserMetadata",
        )
    ),
)

_LEVELS = (("patients", "patient"), ("studies", "study"), ("series", "series"), ("instances", "instance"))
_PAGES = (
    "since=0&limit=5",
    "since=3&limit=4",
    "limit=4&since=3",
    "since=100000&limit=5",
    "since=0&limit=5&expand",
    "since=1&limit=2&expand=true",
    "since=1&limit=2&expand&short",
    "since=1&limit=2&expand&full",
    "since=1&limit=2&expand&simplify",
    "since=0&limit=1&limit=3",
    "expand",
    "since=0",
    "limit=1",
    "since=a&limit=2",
    "since=0&limit=b",
    "since=1.5&limit=2",
    "since=0x1&limit=2",
)
_CHILDREN = (
    ("patients", "patient", ("studies", "series", "instances")),
    ("studies", "study", ("series", "instances")),
    ("series", "series", ("instances",)),
)
_PARENTS = (
    ("studies", "study", ("patient",)),
    ("series", "series", ("study", "patient")),
    ("instances", "instance", ("series", "study", "patient")),
)
_ATTACHMENT_PARTS = (
    "data",
    "compressed-data",
    "size",
    "compressed-size",
    "md5",
    "compressed-md5",
    "is-compressed",
    "info",
)


def _lists() -> list[Ask]:
    lines = []
    for plural, _ in _LEVELS:
        lines += [Ask("GET", f"/{plural}"), Ask("GET", f"/{plural}/")]
        lines += [Ask("GET", f"/{plural}?{page}") for page in _PAGES]
        lines += [
            Ask("GET", f"/{plural}?since=0&limit=0", ours=(_LIMIT_ZERO,)),
            Ask("GET", f"/{plural}?since=0&limit=2&expand=false", ours=(_EXPAND_VALUE,)),
            Ask("GET", f"/{plural}?since=&limit=2", ours=_NO_VALUE),
            Ask("PUT", f"/{plural}"),
            Ask("DELETE", f"/{plural}"),
        ]
        if plural != "instances":
            lines.append(Ask("POST", f"/{plural}"))
    return lines


def _resources() -> list[Ask]:
    lines = []
    for plural, level in _LEVELS:
        one = f"/{plural}/{{{level}}}"
        named = f"/{plural}/{{{level}:CT_small}}"
        lines += [
            Ask("GET", one),
            Ask("GET", f"{one}?short"),
            Ask("GET", f"{one}?full"),
            Ask("GET", f"{one}?simplify"),
            Ask("GET", f"{named}/"),
            Ask("GET", f"/{plural}/nope"),
            Ask("GET", f"{named}/nope"),
            Ask("POST", named),
            Ask("PUT", named),
            Ask("DELETE", f"/{plural}/nope"),
            Ask("GET", f"{one}/statistics"),
            Ask("GET", f"/{plural}/nope/statistics"),
            Ask("GET", named, headers={"Accept": "application/xml"}, note="XML", ours=_XML_LABELS),
            Ask("GET", named, headers={"Accept": "text/html"}, note="HTML wanted"),
        ]
    for plural, level, children in _CHILDREN:
        for child in children:
            lines.append(Ask("GET", f"/{plural}/{{{level}}}/{child}", unordered=True))
            lines.append(Ask("GET", f"/{plural}/nope/{child}"))
    for plural, level, parents in _PARENTS:
        for parent in parents:
            lines.append(Ask("GET", f"/{plural}/{{{level}}}/{parent}"))
            lines.append(Ask("GET", f"/{plural}/nope/{parent}"))
    lines.append(Ask("GET", "/studies/{study:CT_small}/patients"))
    return lines


_XML_LABELS = (Difference("body", "Labels came with Orthanc 1.12.0, in XML as well."),)


def _metadata() -> list[Ask]:
    lines = []
    for plural, level in _LEVELS:
        one = f"/{plural}/{{{level}:CT_small}}"
        lines += [
            Ask("GET", f"{one}/metadata"),
            Ask("GET", f"/{plural}/{{{level}}}/metadata?expand"),
            Ask("GET", f"{one}/metadata?expand&numeric", ours=(_NUMERIC,)),
            Ask("GET", f"{one}/metadata/LastUpdate"),
            Ask("GET", f"{one}/metadata/7"),
            Ask("GET", f"{one}/metadata/9999"),
            Ask("GET", f"{one}/metadata/Nope"),
            Ask("GET", f"/{plural}/nope/metadata"),
            Ask("GET", f"/{plural}/nope/metadata/LastUpdate"),
            Ask("GET", f"{one}/attachments"),
            Ask("GET", f"{one}/attachments?full"),
            Ask("GET", f"{one}/attachments/nope"),
            Ask("GET", f"{one}/attachments/1024"),
            Ask("GET", f"{one}/attachments/dicom-as-json/size"),
            Ask("GET", f"/{plural}/nope/attachments"),
            Ask("GET", f"/{plural}/nope/attachments/dicom/size"),
            Ask("POST", f"{one}/metadata"),
        ]
    for name in (
        "IndexInSeries",
        "ReceptionDate",
        "RemoteAET",
        "Origin",
        "TransferSyntax",
        "SopClassUid",
        "RemoteIP",
        "CalledAET",
        "HttpUsername",
        "ModifiedFrom",
    ):
        lines.append(Ask("GET", f"/instances/{{instance}}/metadata/{name}"))
    for name in ("CT_small", "JPEG2000", "rtplan", "MR_small"):
        lines.append(Ask("GET", f"/instances/{{instance:{name}}}/metadata/PixelDataOffset"))
    lines.append(Ask("GET", "/series/{series}/metadata/ExpectedNumberOfInstances"))
    md5 = "6a51804f85f17e32298545094d1ebafb"  # of RestApi
    origin = "/instances/{instance:CT_small}/metadata/Origin"
    lines += [
        Ask("GET", origin, headers={"If-None-Match": f'"0-{md5}"'}, note="the same"),
        Ask("GET", origin, headers={"If-None-Match": '"0-x"'}, note="another"),
    ]
    return lines


def _attachments() -> list[Ask]:
    one = "/instances/{instance:CT_small}/attachments/dicom"
    above = [f"/{plural}/{{{level}:CT_small}}/attachments/dicom" for plural, level in _LEVELS[:3]]
    lines = [Ask("GET", f"/instances/{{instance}}/attachments/dicom/{part}") for part in _ATTACHMENT_PARTS]
    lines += [Ask("GET", f"{path}/{part}") for path in above for part in _ATTACHMENT_PARTS]
    lines += [Ask("POST", f"{path}/verify-md5") for path in above]
    lines += [
        Ask("GET", one, ours=_OPERATIONS),
        Ask("GET", f"{one}/nope"),
        Ask("GET", "/instances/{instance:CT_small}/attachments/1/size"),
        Ask("GET", "/instances/{instance:CT_small}/attachments/Dicom/size"),
        Ask("POST", f"{one}/verify-md5"),
        Ask("GET", f"{one}/verify-md5"),
        Ask("POST", f"{one}/data"),
        Ask(
            "GET",
            f"{one}/md5",
            headers={"If-None-Match": '"0-ccf71ca6735bc1c52fbe33e29eb42886"'},
            note="the same",
        ),
        Ask(
            "GET",
            f"{one}/data",
            headers={"Range": "bytes=0-9"},
            note="range",
            ours=(
                Difference("status", "Ranges are answered since Orthanc 1.12.5.", ours=206),
                Difference("body", "Ranges are answered since Orthanc 1.12.5."),
            ),
        ),
    ]
    return lines


def _contents() -> list[Ask]:
    one = "/instances/{instance:CT_small}"
    lines = [
        Ask("GET", "/instances/{instance}/file"),
        Ask("GET", "/instances/{instance}/tags"),
        Ask("GET", "/instances/{instance}/tags?short"),
        Ask("GET", "/instances/{instance}/simplified-tags"),
        Ask("GET", "/instances/{instance}/header"),
        Ask("GET", "/instances/{instance}/header?simplify"),
        Ask("GET", "/instances/{instance}/header?short"),
        Ask("GET", "/instances/{instance}/content"),
        Ask("GET", "/instances/{instance}/content/PatientName"),
        Ask("GET", "/instances/{instance}/content/7fe0-0010"),
        Ask("GET", "/instances/{instance}/content/7fe0-0010/0"),
        Ask("GET", "/instances/{instance}/content/7fe0-0010/1"),
        Ask("GET", "/instances/{instance}/tags?ignore-length=0009-1001,PixelData"),
        Ask("GET", f"{one}/tags?simplify"),
        Ask("GET", f"{one}/tags?full"),
        Ask("POST", f"{one}/tags"),
    ]
    for path in (
        "content/",
        "content/0008-0005",
        "content/0010,0010",
        "content/00100010",
        "content/PatientName/",
        "content/PatientName/0",
        "content/0009-0010",
        "content/0009-1001",
        "content/0040-0275",
        "content/OtherPatientIDsSequence",
        "content/OtherPatientIDsSequence/0",
        "content/OtherPatientIDsSequence/1",
        "content/OtherPatientIDsSequence/7",
        "content/OtherPatientIDsSequence/x",
        "content/OtherPatientIDsSequence/0/PatientID",
        "content/OtherPatientIDsSequence/0/PatientID/0",
        "content/PixelData",
        "content/7fe0-0010/9",
        "content/7FE0-0010",
    ):
        lines += [Ask("GET", f"{one}/{path}")]
    for name, path in (
        ("rtplan", "300a-0070"),
        ("rtplan", "300a-0070/0"),
        ("rtplan", "300a-00b0/0/300a-0111/0/300a-0112"),
        ("rtplan", "BeamSequence/0/ControlPointSequence/1"),
        ("reportsi", "0040-a730/0/0040-a043/0/0008-0104"),
        ("JPEG2000", "7fe0-0010/0"),
        ("MR_small_RLE", "7fe0-0010/1"),
        ("image_dfl", "PatientName"),
    ):
        lines += [Ask("GET", f"/instances/{{instance:{name}}}/content/{path}")]
    for part in (
        "file",
        "tags",
        "simplified-tags",
        "header",
        "content",
        "content/x",
        "attachments/dicom/data",
    ):
        lines += [Ask("GET", f"/instances/nope/{part}")]
    return lines


def _others() -> list[Ask]:
    return [
        Ask("GET", "/", compare="status", ours=_OWN_PAGE),
        Ask("GET", "/favicon.ico", compare="status", ours=_OWN_PAGE),
        Ask("GET", "/system", ours=_SYSTEM),
        Ask("GET", "/system/", ours=_SYSTEM),
        Ask("GET", "//system", ours=_SYSTEM),
        Ask("GET", "/system/x"),
        Ask("GET", "/statistics"),
        Ask("GET", "/nope"),
        Ask("GET", "/nope?a=b"),
        Ask("GET", "/Patients"),
        Ask("GET", "/tools/now"),
        Ask("GET", "/tools/now-local"),
        Ask("GET", "/tools/lookup"),
        Ask("GET", "/tools/generate-uid?level=patient"),
        *(
            Ask("GET", f"/tools/generate-uid?level={level}", compare="status")
            for level in ("study", "series")
        ),
        Ask("GET", "/tools/generate-uid?level=instance", compare="status"),
        *(
            Ask("GET", f"/tools/generate-uid{query}")
            for query in ("", "?level", "?level=x", "?level=Patient")
        ),
        Ask("GET", "/exports"),
        Ask("GET", "/exports?last"),
        Ask("GET", "/patients/{patient}/protected"),
        Ask("GET", "/changes"),
        Ask("GET", "/changes/"),
        Ask("GET", "/changes?limit=3"),
        Ask("GET", "/changes?since=2&limit=2"),
        Ask("GET", "/changes?since=0&limit=100000"),
        Ask("GET", "/changes?since=100000"),
        Ask("GET", "/changes?since=100000&limit=1"),
        Ask("GET", "/changes?last"),
        Ask("GET", "/changes?last=0"),
        Ask("GET", "/changes?since=abc&limit=2"),
        Ask("GET", "/changes?since=2&limit=x"),
        Ask("POST", "/changes"),
        *(Ask(method, "/system") for method in ("POST", "PUT", "DELETE")),
        *(Ask("POST", "/tools/lookup", text, note=f"{text!r}") for text in _LOOKED_UP),
        Ask("POST", "/tools/lookup", "", note="nothing", ours=_NOTHING_FOUND),
    ]


_LOOKED_UP = (
    "1CT1",
    "1ct1",
    " 1CT1 ",
    "1CT1\n",
    "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
    "1.3.6.1.4.1.5962",
    "CompressedSamples^CT1",
    "nope",
)

READING = Scenario(
    "reading",
    (*_others(), *_lists(), *_resources(), *_metadata(), *_attachments(), *_contents()),
    files=None,
)
