"""Frames as bytes, pictures and arrays, pixel for pixel.

PNG and JPEG are compressed by other means here, so pixels are compared as PAM, which has them as they are.
Several real files are versions of one image with one UID; of each image there is one here.
"""

from __future__ import annotations

from tests.conformance.line import ABSENT, Ask, Difference, Scenario

PAM = {"Accept": "image/x-portable-arbitrarymap"}
PICTURES = ("preview", "rendered", "image-uint8", "image-uint16", "image-int16")
GREY_VALUES = PICTURES[2:]

WITH_WINDOW = ("MR_small", "693_UNCI", "examples_overlay", "RG3_UNCI", "RG1_UNCI")
WITHOUT_WINDOW = ("CT_small", "image_dfl", "emri_small_big_endian", "JPEG-LL", "vlut_04", "chrArab")
ONE_BIT = ("liver_1frame",)
COLOUR = (
    "SC_rgb",
    "color-pl",
    "US1_UNCI",
    "examples_ybr_color",
    "SC_jpeg_no_color_transform",
    "SC_rgb_dcmtk_+eb+cy+n1",
    "SC_rgb_small_odd_big_endian",
    "examples_palette",
    "ExplVR_BigEnd",
)
ONLY_HERE_GREY = ("JPEG2000", "MR2_J2KR")
ONLY_HERE_COLOUR = ("GDCMJ2K_TextGBR",)
NO_PIXELS = ("rtplan", "reportsi")
SCALED = ("6154",)
HIDDEN_BITS = ("mlut_18",)
FUNCTIONAL_GROUPS = ("eCT_Supplemental",)

_MORE = "More images are decoded: JPEG 2000, HTJ2K, colour in YBR or 16 bits, values of 32 bits."
_DECODED = (
    Difference("status", _MORE, ours=200),
    Difference("header.content-type", _MORE),
    Difference("body*", _MORE),
)
_NO_WINDOW = (
    Difference(
        "body",
        "Without a window in the header, the values of the frame fill the picture (or a VOI LUT is applied); "
        "Orthanc takes all values that the stored bits can have, which shows most CT images black.",
    ),
)
_GROUPS = (Difference("body", "Windows and slopes in functional groups are applied."),)
_HIDDEN = (
    Difference(
        "body", "Bits outside of Bits Stored are no part of the value, and modality LUTs are applied."
    ),
)
_FRACTIONS = (Difference("body", "Rescaled values keep their fractions; Orthanc cuts them off."),)
_MATLAB_ORDER = (
    Difference("body", "Colour in an image that is no square: Orthanc takes its rows for columns."),
)
_LITTLE_32 = (
    Difference("body", "Values of 32 bits in big endian come in little endian, not in a mixture of both."),
)
_NOT_ACCEPTABLE = (Difference("status", "406 since Orthanc 1.12.", ours=406, theirs=404),)
_NO_WISH = (
    Difference("status", "An empty Accept header wishes nothing.", ours=200, theirs=404),
    Difference("header.content-type", "An empty Accept header wishes nothing.", theirs=ABSENT),
    Difference("body*", "An empty Accept header wishes nothing."),
)
_BAD_ARGUMENT = (
    Difference("status", "An argument that makes no sense is a bad request, and says why.", ours=400),
    Difference("header.content-type", "An argument that makes no sense is a bad request.", theirs=ABSENT),
    Difference("body*", "An argument that makes no sense is a bad request."),
)
_NAN = (
    Difference("status", "A window that is no number is a bad request.", ours=400, theirs=200),
    Difference("header.content-type", "A window that is no number is a bad request."),
    Difference("body*", "A window that is no number is a bad request."),
)
_SWITCH = (Difference("body.*", "A switch that is none has the code of a bad type, as everywhere."),)
_NEGATIVE = (
    Difference("status", "A negative size counts as 0, which is no limit.", ours=200, theirs=404),
    Difference("header.content-type", "A negative size counts as 0.", theirs=ABSENT),
    Difference("body*", "A negative size counts as 0."),
)
_SMOOTH = (
    Difference("status", "An argument without a value is true.", ours=200, theirs=415),
    Difference("header.content-type", "An argument without a value is true.", theirs=ABSENT),
    Difference("body*", "An argument without a value is true."),
)
_DETAILS = (Difference("body.Details", "Errors say more.", theirs=ABSENT),)
_REASONS = (Difference("body.Details", "The reason is worded differently."),)
_REDIRECTION = (Difference("status", "Redirections are 307 since Orthanc 1.12.4.", ours=307, theirs=301),)
_ZIPPED = (Difference("body", "The same content, compressed by other means."),)


def _named(name: str) -> str:
    return f"/instances/{{instance:{name}}}"


def _pixels(name: str, what: str, differences: tuple[Difference, ...] = ()) -> Ask:
    return Ask("GET", f"{_named(name)}/{what}", headers=PAM, ours=differences)


def _pictures() -> list[Ask]:
    lines = []
    for name in (*WITH_WINDOW, *ONE_BIT):
        lines += [_pixels(name, what) for what in PICTURES]
        lines += [_pixels(name, f"frames/0/{what}") for what in PICTURES]
    for name in WITHOUT_WINDOW:
        lines += [_pixels(name, what, _NO_WINDOW if what == "rendered" else ()) for what in PICTURES]
    for name in COLOUR:
        lines += [_pixels(name, what) for what in PICTURES]
    for name in ONLY_HERE_GREY:
        lines += [_pixels(name, what, _DECODED) for what in PICTURES]
    lines += [_pixels("rtdose_expb_1frame", what, _DECODED) for what in PICTURES]
    for name in ONLY_HERE_COLOUR:
        lines += [_pixels(name, what, _DECODED) for what in PICTURES[:2]]
        lines += [_pixels(name, what) for what in GREY_VALUES]
    for name in HIDDEN_BITS:
        lines += [_pixels(name, what, _HIDDEN) for what in PICTURES]
    for name in FUNCTIONAL_GROUPS:
        lines += [
            _pixels(name, f"frames/1/{what}", _GROUPS if what == "rendered" else ()) for what in PICTURES
        ]
    for frame in (0, 9):
        lines += [
            _pixels("emri_small_big_endian", f"frames/{frame}/{what}") for what in ("preview", *GREY_VALUES)
        ]
    lines += [_pixels("examples_ybr_color", "frames/29/preview")]
    for name in NO_PIXELS:
        lines += [_pixels(name, what) for what in PICTURES]
    return lines


def _rendered() -> list[Ask]:
    lines = [
        _pixels("MR_small", f"rendered?{query}")
        for query in (
            "window-center=700&window-width=50",
            "window-center=700.5&window-width=33.3",
            "window-center=7e2&window-width=1e1",
            "window-center=700",
            "window-width=100",
            "window-center=700&window-width=0",
            "window-center=700&window-width=-50",
            "width=32",
            "width=50&smooth=0",
            "width=50&smooth=1",
            "width=200&smooth=1",
            "width=100&height=10",
            "width=0",
            "height=1",
        )
    ]
    lines += [
        _pixels("examples_ybr_color", f"frames/3/rendered?{query}")
        for query in ("width=101", "height=77&smooth=1", "width=7", "window-center=1&window-width=1")
    ]
    lines += [
        _pixels("MR_small", f"rendered?{query}", _BAD_ARGUMENT)
        for query in (
            "window-center=abc",
            "window-center=",
            "window-center=%20600&window-width=1",
            "width=abc",
            "height=1.5",
            "width=abc&returnUnsupportedImage",
            "quality=0",
            "quality=101",
            "quality=abc",
        )
    ]
    lines += [
        _pixels("MR_small", "rendered?window-center=nan", _NAN),
        _pixels("MR_small", "rendered?width=-1", _NEGATIVE),
        _pixels("MR_small", "rendered?width=60&smooth", _SMOOTH),
    ]
    return lines


def _formats() -> list[Ask]:
    one = _named("MR_small")
    jpeg = ("image/jpeg", "image/jpeg, image/png", "image/png;q=0.1, image/jpeg")
    lines = [
        Ask(
            "GET",
            f"{one}/preview",
            headers={"Accept": accept},
            ours=() if accept in jpeg else _ZIPPED,
            note=accept,
        )
        for accept in ("image/png", "image/*", "*/*", *jpeg)
    ]
    lines += [
        Ask("GET", f"{_named(name)}/preview?quality={quality}", headers={"Accept": "image/jpeg"}, note="JPEG")
        for name in ("MR_small", "SC_rgb", "US1_UNCI")
        for quality in (10, 90, 100)
    ]
    lines += [
        Ask("GET", f"{one}/preview", headers={"Accept": accept}, ours=_NOT_ACCEPTABLE, note=accept)
        for accept in ("image/gif", "text/html", "application/json")
    ]
    lines += [
        Ask("GET", f"{one}/{name}", headers={"Accept": "image/jpeg"}, ours=_NOT_ACCEPTABLE, note="JPEG")
        for name in ("image-uint16", "image-int16")
    ]
    lines += [
        Ask("GET", f"{one}/preview", headers={"Accept": ""}, ours=_NO_WISH, note="empty Accept"),
        Ask("GET", f"{one}/preview?returnUnsupportedImage", headers=PAM),
    ]
    for path in ("preview", "rendered", "frames/0/preview"):
        for query in ("", "=false"):
            lines.append(
                Ask("GET", f"{_named('rtplan')}/{path}?returnUnsupportedImage{query}", ours=_REDIRECTION)
            )
    return lines


def _bytes() -> list[Ask]:
    lines = [Ask("GET", "/instances/{instance}/frames"), Ask("GET", "/instances/{instance}/frames/0")]
    names = (*WITH_WINDOW, *WITHOUT_WINDOW, *ONE_BIT, *COLOUR, *ONLY_HERE_GREY, *ONLY_HERE_COLOUR, *SCALED)
    lines += [Ask("GET", f"{_named(name)}/frames/0/raw") for name in names]
    lines += [
        Ask("GET", f"{_named('examples_ybr_color')}/frames/29/raw"),
        Ask("GET", f"{_named('emri_small_big_endian')}/frames/9/raw"),
        Ask("GET", f"{_named('rtdose_expb_1frame')}/frames/0/raw", ours=_LITTLE_32),
        Ask("GET", f"{_named('CT_small')}/frames/0/raw.gz"),
        Ask("GET", f"{_named('CT_small')}/pdf"),
        Ask("GET", "/instances/nope/pdf"),
    ]
    return lines


def _arrays() -> list[Ask]:
    lines = []
    small = (
        "MR_small",
        "CT_small",
        "image_dfl",
        "emri_small_big_endian",
        "chrArab",
        "liver_1frame",
        "SC_rgb",
    )
    for name in (*small, "examples_palette", "examples_ybr_color"):
        queries = ("", "?rescale=0", "?rescale=true", "?compress=0")
        lines += [Ask("GET", f"{_named(name)}/frames/0/numpy{query}") for query in queries]
        lines.append(Ask("GET", f"{_named(name)}/numpy"))
        lines.append(Ask("GET", f"/series/{{series:{name}}}/numpy"))
        matlab = _MATLAB_ORDER if name.startswith("examples") else ()
        lines += [Ask("GET", f"{_named(name)}/{part}matlab", ours=matlab) for part in ("", "frames/0/")]
    one = _named("CT_small")
    lines += [
        Ask("GET", f"{one}/numpy?compress", ours=_ZIPPED),
        Ask("GET", f"{one}/numpy?compress=foo", ours=_SWITCH),
        Ask("GET", f"{one}/numpy?rescale=foo", ours=_SWITCH),
        Ask("GET", f"{_named('6154')}/numpy", ours=_FRACTIONS),
        Ask("GET", f"{_named('JPEG2000')}/numpy", ours=_DECODED),
        Ask("GET", f"{_named('JPEG2000')}/matlab", ours=_DECODED),
    ]
    return lines


def _missing() -> list[Ask]:
    lines = []
    for frame in ("1", "-1", "x", "0.0", "+0", "00", "4294967296", "0x0", "%201"):
        path = f"{_named('CT_small')}/frames/{frame}"
        lines.append(_pixels("CT_small", f"frames/{frame}/preview"))
        lines.append(Ask("GET", path))
        lines += [Ask("GET", f"{path}/{what}") for what in ("raw", "matlab")]
        reasons = _REASONS if frame in ("x", "0.0", "4294967296", "0x0", "%201") else ()
        lines.append(Ask("GET", f"{path}/numpy", ours=reasons))
    lines.append(Ask("GET", f"{_named('CT_small')}/frames/1/raw.gz"))
    for what in ("frames", "frames/0", "numpy", "matlab", "frames/0/raw", "frames/0/numpy", *PICTURES):
        lines.append(Ask("GET", f"/instances/nope/{what}"))
    lines.append(Ask("GET", "/series/nope/numpy"))
    for name in NO_PIXELS:
        for what in ("numpy", "matlab", "frames/0/raw", "frames/0/raw.gz", "frames/0/numpy"):
            lines.append(Ask("GET", f"{_named(name)}/{what}", ours=_DETAILS))
    for method in ("POST", "PUT", "DELETE"):
        lines += [
            Ask(method, f"{_named('CT_small')}/{what}") for what in ("preview", "frames", "frames/0/raw")
        ]
    return lines


_FILES = (
    *(
        f"pydicom/{name}.dcm"
        for name in ("MR_small", "examples_overlay", "CT_small", "image_dfl", "liver_1frame")
    ),
    *(
        f"pydicom/{name}.dcm"
        for name in ("examples_ybr_color", "SC_jpeg_no_color_transform", "rtplan", "reportsi")
    ),
    *(
        f"pydicom/{name}.dcm"
        for name in ("SC_rgb_dcmtk_+eb+cy+n1", "SC_rgb_small_odd_big_endian", "ExplVR_BigEnd")
    ),
    *(f"pydicom/{name}.dcm" for name in ("examples_palette", "GDCMJ2K_TextGBR", "JPEG2000")),
    *(f"pydicom/{name}.dcm" for name in ("rtdose_expb_1frame",)),
    *(f"pydicom-data/{name}.dcm" for name in ("693_UNCI", "RG3_UNCI", "RG1_UNCI", "emri_small_big_endian")),
    *(f"pydicom-data/{name}.dcm" for name in ("JPEG-LL", "vlut_04", "SC_rgb", "color-pl", "US1_UNCI")),
    *(f"pydicom-data/{name}.dcm" for name in ("MR2_J2KR", "mlut_18", "eCT_Supplemental")),
    "charset/chrArab.dcm",
    "pydicom/dicomdirtests/77654033/CR1/6154",
)

PICTURING = Scenario(
    "picturing",
    (*_pictures(), *_rendered(), *_formats(), *_bytes(), *_arrays(), *_missing()),
    files=_FILES,
)
