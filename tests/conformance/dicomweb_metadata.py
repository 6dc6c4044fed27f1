"""Metadata and bulk data by DICOMweb, against Orthanc 1.10 with version 1.7 of its plugin."""

from __future__ import annotations

from tests.conformance.line import ABSENT, Ask, Difference, Scenario

_CT = (
    "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
)
_MR = (
    "1.3.6.1.4.1.5962.1.2.4.20040826185059.5457",
    "1.3.6.1.4.1.5962.1.3.4.1.20040826185059.5457",
    "1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457",
)
_PLAN = (
    "1.22.333.4.555555.6.7777777777777777777777777777",
    "1.2.333.444.55.6.7777.8888",
    "1.2.777.777.77.7.7777.7777.20030903150023",
)
_REPORT = (
    "1.2.276.0.7230010.3.1.4.2139363186.7819.982086466.2",
    "1.2.276.0.7230010.3.1.4.2139363186.7819.982086466.3",
    "1.2.276.0.7230010.3.1.4.2139363186.7819.982086466.4",
)
_ECG = (
    "1.3.76.13.65829.2.20130125082826.1072139.2",
    "1.3.6.1.4.1.20029.40.20130125105919.5407.1",
    "1.3.6.1.4.1.20029.40.20130125105919.5407.1.1",
)
_OCTETS = {"Accept": 'multipart/related; type="application/octet-stream"'}
_HOST = {"Host": "server.example"}  # so that both write the same links
_XML = {**_HOST, "Accept": 'multipart/related; type="application/dicom+xml"'}


def _study(uids: tuple[str, str, str]) -> str:
    return f"/dicom-web/studies/{uids[0]}"


def _series(uids: tuple[str, str, str]) -> str:
    return f"{_study(uids)}/series/{uids[1]}"


def _instance(uids: tuple[str, str, str]) -> str:
    return f"{_series(uids)}/instances/{uids[2]}"


_TAG = Difference("header.etag", "Metadata and bulk data have an entity tag.", theirs=ABSENT)
_CHARSET = Difference("body.*00080005.Value.*", "DICOM JSON is in UTF-8, and says so.", ours="ISO_IR 192")
_SMALL = "Binary values of up to 1,024 bytes stand in the document, so that nobody asks for each of them."
_INLINE = (
    Difference("body.*.BulkDataURI", _SMALL, ours=ABSENT),
    Difference("body.*.InlineBinary", _SMALL, theirs=ABSENT),
)
_ENCAPSULATED = Difference("body.*.7FE00010", "Encapsulated pixel data has a link too.", theirs=ABSENT)
_AFTER = Difference("body.*.FFFCFFFC", "What comes after the pixel data is padding.", ours=ABSENT)
_LOCATION = Difference("body.*.content-location", "A part says where it is to be had alone.", theirs=ABSENT)


def _metadata() -> list[Ask]:
    differences = {
        _CT: (_CHARSET, _AFTER, *_INLINE),
        _MR: (_AFTER, _ENCAPSULATED),
        _PLAN: (),
        _REPORT: (_CHARSET,),
        _ECG: (_CHARSET, *_INLINE),
    }
    return [
        Ask("GET", f"{path(uids)}/metadata", headers=_HOST, ours=(_TAG, *declared))
        for uids, declared in differences.items()
        for path in (_study, _series, _instance)
    ]


def _bulk_data() -> list[Ask]:
    fragments = (
        Difference("body.length", "A part is a frame; Orthanc's parts are fragments.", ours=1),
        Difference("body.0.content*", "The first part is the first frame, not the offset table."),
    )
    return [
        Ask("GET", f"{_instance(uids)}/bulk/{path}", headers=_OCTETS, ours=(_TAG, _LOCATION, *declared))
        for uids, path, declared in (
            (_CT, "7fe00010", ()),
            (_CT, "7FE00010", ()),
            (_CT, "00431029", ()),
            (_CT, "00100010", ()),
            (_PLAN, "300a00b0/1/300a00c2", ()),
            (_ECG, "54000100/1/54001010", ()),
            (_MR, "7fe00010", fragments),
        )
    ]


def _forms() -> list[Ask]:
    """What the header Accept gets."""
    metadata, value = f"{_series(_PLAN)}/metadata", f"{_instance(_CT)}/bulk/7fe00010"
    given = Difference("header.content-type", "Each form that there is can be asked for.")
    more = (Difference("status", "Each form that there is can be asked for.", ours=200, theirs=400), given)
    body = Difference("body*", "Each form that there is can be asked for.")
    refused = (
        Difference("status", "What there is not is not acceptable, as HTTP has it.", ours=406, theirs=400),
        Difference("body*", "The refusal says what there is."),
        Difference("header.content-type", "The refusal says what there is."),
    )
    alone = Difference("header.content-type", "Who does not ask for parts gets the value alone.")
    return [
        Ask("GET", metadata, headers={"Accept": "application/dicom+json"}, ours=(_TAG,)),
        Ask("GET", metadata, headers={"Accept": "*/*"}, ours=(_TAG,)),
        Ask("GET", metadata, headers={"Accept": "application/json"}, ours=(_TAG, given)),
        Ask("GET", metadata, headers={"Accept": "image/jpeg"}, ours=refused),
        Ask("GET", metadata, headers={"Accept": "text/html, */*;q=0.1"}, ours=(_TAG,)),
        Ask(
            "GET",
            metadata,
            headers=_XML,
            ours=(_TAG, Difference("body.*.content", "The same model without white space.")),
        ),
        Ask("GET", value, headers={"Accept": "application/octet-stream"}, ours=(_TAG, body, *more)),
        Ask("GET", value, headers={"Accept": "*/*"}, ours=(_TAG, alone, body)),
        Ask("GET", value, headers={"Accept": "text/html"}, ours=refused),
    ]


def _refusals() -> list[Ask]:
    reason = Difference("body.Details", "What is wrong is said in other words.")
    no_tag = (
        Difference("status", "A path that is none is a bad request.", ours=400, theirs=500),
        Difference("body.*", "A path that is none is a bad request."),
    )
    ahead = "The plugin builds metadata ahead since version 1.15."
    return [
        Ask("GET", "/dicom-web/studies/1.2.3/metadata", ours=(reason,)),
        Ask("GET", f"{_study(_CT)}/series/1.2.3/metadata", ours=(reason,)),
        Ask("GET", f"{_series(_CT)}/instances/1.2.3/metadata", ours=(reason,)),
        Ask("GET", f"{_series(_CT)}/instances/1.2.3/bulk/7fe00010", headers=_OCTETS, ours=(reason,)),
        Ask("GET", f"{_instance(_CT)}/bulk/99990010", headers=_OCTETS, ours=(reason,)),
        Ask("GET", f"{_instance(_CT)}/bulk/zz", headers=_OCTETS, ours=no_tag),
        Ask("POST", f"{_study(_CT)}/metadata", body=b""),
        Ask(
            "POST",
            "/studies/{study:CT_small}/update-dicomweb-cache",
            body=b"",
            ours=(
                Difference("status", ahead, ours=200, theirs=404),
                Difference("body*", ahead),
                Difference("header.content-type", ahead),
            ),
        ),
    ]


DICOMWEB_METADATA = Scenario(
    "dicomweb-metadata",
    (*_metadata(), *_bulk_data(), *_forms(), *_refusals()),
    files=tuple(
        f"pydicom/{name}.dcm" for name in ("CT_small", "MR_small_RLE", "rtplan", "test-SR", "waveform_ecg")
    ),
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True},
    },
)
