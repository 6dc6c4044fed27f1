"""Pictures by DICOMweb and WADO-URI, byte for byte where both make JPEG of the same pixels.

Orthanc 1.10's plugin (1.7) has no thumbnails, and it ends when a viewport is 0 or very large, so those are not
asked here.
"""

from __future__ import annotations

from tests.conformance.line import ABSENT, Ask, Difference, Scenario

_MR = (
    "1.3.6.1.4.1.5962.1.2.4.20040826185059.5457",
    "1.3.6.1.4.1.5962.1.3.4.1.20040826185059.5457",
    "1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457",
)
_CINE = (
    "1.2.840.114340.3.8251017118051.1.20160503.120850.2171",
    "1.2.840.114340.3.8251017118051.2.20160503.120850.2171",
    "1.2.840.114340.3.8251017118051.3.20160503.121539.16117.4",
)
_PALETTE = (
    "1.3.46.670589.14.1000.210.4.199999.20110525182825.1.0",
    "1.3.46.670589.14.1000.210.3.199999.20110525182826.1.0",
    "1.3.46.670589.14.1000.210.2.199999.20110525185628.1.0",
)
_PLAN = (
    "1.22.333.4.555555.6.7777777777777777777777777777",
    "1.2.333.444.55.6.7777.8888",
    "1.2.777.777.77.7.7777.7777.20030903150023",
)

_TAG = Difference("header.etag", "Pictures have an entity tag, so that viewers can keep them.", theirs=ABSENT)
_OTHER_PIXELS = Difference(
    "body",
    "Without a window in the request that of the header is applied, as newer versions of the plugin do; "
    "1.7 shows stored values as they are.",
)
_PACKED = Difference("body", "The same pixels, compressed by other means.")
_SCALED = Difference("body", "Pictures are scaled smoothly.")
_SHAPE = Difference("body", "A picture fits into its viewport; Orthanc fills what is left with black.")
_EXACT = Difference("body", "The plugin's linear-exact is not that of PS3.3 C.11.2.1.3.2.")
_CODE = Difference("body.*", "Arguments that make no sense are bad requests, with a reason of their own.")
_ERROR = (
    Difference("header.content-type", "There is an error and no picture."),
    Difference("body*", "There is an error and no picture."),
)
_MORE = "Accept is understood in full: lists, wildcards, parameters, GIF."


def _instance(uids: tuple[str, str, str]) -> str:
    return "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids)


def _accepted(media_type: str) -> tuple[Difference, ...]:
    return (
        Difference("status", _MORE, ours=200, theirs=400),
        Difference("header.content-type", _MORE, ours=media_type),
        Difference("body*", _MORE),
        _TAG,
    )


def _pictures() -> list[Ask]:
    one = f"{_instance(_MR)}/rendered"
    window = "window=600,1600,linear"
    lines = [
        Ask("GET", f"{one}?{query}", ours=(_TAG,))
        for query in (
            window,
            "window=600.5,333.3,linear",
            "window=600,1,linear",
            "window=600,2,linear",
            "window=600,1600,sigmoid",
            f"{window}&quality=1",
            f"{window}&quality=50",
            f"{window}&quality=100",
            f"{window}&viewport=64,64",
            f"{window}&viewport=64,64,0,0,-64,64",
            f"{window}&viewport=64,64,0,0,64,-64",
            f"{window}&viewport=64,64,,,,",
            f"{window}&viewport=32,32,16,16,32,32",
            f"{window}&annotation=patient",
        )
    ]
    lines += [
        Ask("GET", f"{_instance(_MR)}/frames/1/rendered?{window}", ours=(_TAG,)),
        Ask("GET", one, ours=(_TAG, _OTHER_PIXELS)),
        Ask("GET", f"{one}?window=600,1600,linear-exact", ours=(_TAG, _EXACT)),
        Ask("GET", f"{one}?{window}&viewport=128,128", ours=(_TAG, _SCALED)),
        Ask("GET", f"{one}?{window}&viewport=32,32", ours=(_TAG, _SCALED)),
        Ask("GET", f"{one}?{window}&viewport=128,32", ours=(_TAG, _SHAPE)),
        Ask("GET", f"{one}?{window}", headers={"Accept": "image/png"}, ours=(_TAG, _PACKED), note="PNG"),
        Ask("GET", f"/dicom-web/studies/{_MR[0]}/rendered?{window}", ours=(_TAG,)),
        Ask("GET", f"/dicom-web/studies/{_MR[0]}/series/{_MR[1]}/rendered?{window}", ours=(_TAG,)),
        Ask("GET", f"{_instance(_CINE)}/rendered", ours=(_TAG,)),
        Ask("GET", f"{_instance(_CINE)}/frames/7/rendered", ours=(_TAG,)),
        Ask("GET", f"{_instance(_PALETTE)}/rendered", ours=(_TAG,)),
    ]
    return lines


def _refusals() -> list[Ask]:
    one = f"{_instance(_MR)}/rendered"
    lines = [
        Ask("GET", f"{one}?{query}", ours=(_CODE,))
        for query in (
            *("viewport=32", "viewport=a,b", "viewport=-10,10", "viewport=64.5,64", "viewport=1,2,3"),
            *("window=600,1600", "window=600,1600,bla", "window=a,b,linear", "window="),
            *("quality=0", "quality=101", "quality=x"),
        )
    ]
    lines += [
        Ask("GET", f"{_instance(_MR)}/frames/{frame}/rendered", ours=(_CODE,)) for frame in ("0", "2", "a")
    ]
    outside = "A region outside of the image is refused; Orthanc shows black."
    none = "A width that is none is refused."
    lines += [
        Ask("GET", f"{one}?{query}", ours=(Difference("status", reason, ours=400, theirs=200), *_ERROR))
        for query, reason in (("viewport=8,8,160,160,8,8", outside), ("window=600,0,linear", none))
    ]
    lines += [
        Ask("GET", f"/dicom-web{path}/rendered", ours=(_CODE,))
        for path in (
            "/studies/1.2.3",
            f"/studies/{_MR[0]}/series/1.2",
            f"/studies/{_MR[0]}/series/1/instances/2",
        )
    ]
    several = "Several frames are parts of one answer."
    lines += [
        Ask(
            "GET",
            f"{_instance(_MR)}/frames/1,1/rendered",
            ours=(
                Difference("status", several, ours=200, theirs=400),
                Difference("header.content-type", several),
                Difference("body*", several),
            ),
        ),
        Ask(
            "GET",
            f"{_instance(_PLAN)}/rendered",
            ours=(
                Difference("status", "406 is the standard's (PS3.18 10.4.3).", ours=406, theirs=400),
                _CODE,
            ),
        ),
    ]
    return lines


def _accept() -> list[Ask]:
    one = f"{_instance(_MR)}/rendered"
    window = "window=600,1600,linear"
    lines = [
        Ask("GET", f"{one}?{window}", headers={"Accept": accept}, ours=_accepted(media_type), note=accept)
        for accept, media_type in (
            ("image/*", "image/jpeg"),
            ("image/gif", "image/gif"),
            ("image/png, image/jpeg", "image/png"),
            ("image/jpeg;transfer-syntax=*", "image/jpeg"),
            ("", "image/jpeg"),
        )
    ]
    refused = "406 is the standard's for what cannot be had (PS3.18 8.7.8)."
    lines += [
        Ask(
            "GET",
            one,
            headers={"Accept": accept},
            ours=(Difference("status", refused, ours=406, theirs=400), _CODE),
            note=accept,
        )
        for accept in ("text/html", "application/json", "video/mp4")
    ]
    lines += [
        Ask("GET", f"{one}?{window}", headers={"Accept": accept}, ours=(_TAG,), note=accept)
        for accept in ("*/*", "image/jpeg")
    ]
    return lines


def _wado() -> list[Ask]:
    one = "/wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}".format(*_MR)
    plan = "/wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}".format(*_PLAN)
    label = Difference("header.content-type", "JPEG is called JPEG.", ours="image/jpeg", theirs="image/png")
    name = Difference("header.content-disposition", "A file has a name.", theirs=ABSENT)
    unread = "The plugin does not read this argument."
    rounding = Difference("body", "Windows have the half steps of PS3.3 C.11.2.1.2, as for DICOMweb.")
    lines = [
        Ask("GET", f"{one}&contentType=image/jpeg", ours=(_TAG, label, rounding)),
        Ask("GET", one, ours=(_TAG, label, rounding)),
        Ask(
            "GET", f"/wado?requestType=WADO&objectUID={_MR[2]}", ours=(_TAG, label, rounding), note="one UID"
        ),
        Ask("GET", f"{one}&contentType=image/png", ours=(_TAG, _PACKED)),
        Ask("GET", f"{one}&contentType=application/dicom", ours=(name, _TAG)),
        Ask("GET", f"{plan}&contentType=application/dicom", ours=(name, _TAG)),
    ]
    lines += [
        Ask(
            "GET",
            f"{one}&{query}",
            ours=(Difference("body", unread), label, _TAG),
        )
        for query in ("rows=16", "region=0,0,0.5,0.5", "windowCenter=600&windowWidth=10", "imageQuality=10")
    ]
    lines += [
        Ask(
            "GET",
            f"{one}&{query}",
            ours=(Difference("status", unread, ours=400, theirs=200), *_ERROR),
        )
        for query in ("frameNumber=5", "frameNumber=x", "rows=x", "windowCenter=x", "imageQuality=1000")
    ]
    missing = Difference("status", "What is missing or wrong is told: a bad request.", ours=400, theirs=404)
    lines += [
        Ask("GET", path, ours=(missing, _CODE))
        for path in (
            "/wado",
            "/wado?requestType=WADO",
            "/wado?requestType=Foo&studyUID=1&seriesUID=2&objectUID=3",
        )
    ]
    lines += [
        Ask("GET", "/wado?requestType=WADO&studyUID=1&seriesUID=2&objectUID=3"),
        Ask(
            "GET",
            f"{one}&contentType=text/html",
            ours=(Difference("status", "406 is the standard's.", ours=406, theirs=400), _CODE),
        ),
        Ask(
            "GET",
            plan,
            ours=(
                Difference("status", "What is no image is the file it is.", ours=200, theirs=500),
                Difference("header.content-type", "What is no image is the file it is."),
                Difference("body*", "What is no image is the file it is."),
                name,
                _TAG,
            ),
        ),
    ]
    return lines


DICOMWEB_RENDERED = Scenario(
    "dicomweb-rendered",
    (*_pictures(), *_refusals(), *_accept(), *_wado()),
    files=tuple(
        f"pydicom/{name}.dcm" for name in ("MR_small", "examples_ybr_color", "examples_palette", "rtplan")
    ),
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True, "EnableWado": True},
    },
)
