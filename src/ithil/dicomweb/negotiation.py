"""Which media type and which transfer syntax an answer with DICOM or pixel data has (PS3.18 8.7.3.5).

A client lists what it would take, in the header `Accept` or in the argument `accept`. Viewers write that list in
every way there is, and some leave things out, so it is read leniently:

- `multipart/related; type="X"` wants parts of type X, X alone a single part; `*/*`, or nothing, is what the
  resource gives by default, in parts.
- `transfer-syntax=*` wants what is stored. A UID wants just that. Without it, what is stored with loss (or is
  a video) comes as it is stored, all else as Explicit VR Little Endian.
- Among wishes of the same quality, first comes what can be given as it is stored, then what can be given without
  loss, then what cannot; among these the order of the list decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from ithil import error_codes as codes
from ithil.archive.transcoding import stays_as_stored
from ithil.dicom.resource_paths import segment
from ithil.dicom.uids import EXPLICIT_LITTLE, RLE
from ithil.error_codes import CodedError
from ithil.http.accept import MediaRange, parse_accept, unwrapped
from ithil.http.request import Request
from ithil.pixels.syntaxes import ENCODABLE, LOSSY_METHODS, TARGETS

DICOM = "application/dicom"
ZIP = "application/zip"
OCTET_STREAM = "application/octet-stream"
ANYTHING = "*/*"
AS_STORED = "*"

_JPEG, _JLS, _JP2, _JPX = "image/jpeg", "image/jls", "image/jp2", "image/jpx"
_JPHC, _JXL, _RLE = "image/jphc", "image/jxl", "image/dicom-rle"
_MPEG, _MP4, _H265 = "video/mpeg", "video/mp4", "video/h265"
_FIRST = "1.2.840.10008.1.2.4."

_MEDIA_TYPES = {
    RLE: _RLE,
    **{f"{_FIRST}{number}": _JPEG for number in (*range(50, 67), 70)},
    **dict.fromkeys((f"{_FIRST}80", f"{_FIRST}81"), _JLS),
    **dict.fromkeys((f"{_FIRST}90", f"{_FIRST}91"), _JP2),
    **dict.fromkeys((f"{_FIRST}92", f"{_FIRST}93"), _JPX),
    **dict.fromkeys((f"{_FIRST}201", f"{_FIRST}202", f"{_FIRST}203"), _JPHC),
    **dict.fromkeys((f"{_FIRST}110", f"{_FIRST}111", f"{_FIRST}112"), _JXL),
    **{f"{_FIRST}{number}{end}": _MPEG for number in (100, 101) for end in ("", ".1")},
    **{f"{_FIRST}{number}{end}": _MP4 for number in range(102, 107) for end in ("", ".1")},
    **dict.fromkeys((f"{_FIRST}107", f"{_FIRST}108"), _H265),
}
"""PS3.18 Table 8.7.3-5, and the retired transfer syntaxes that old archives still hold."""

_DEFAULTS = {
    _JPEG: f"{_FIRST}70",
    _JLS: f"{_FIRST}80",
    _JP2: f"{_FIRST}90",
    _JPHC: f"{_FIRST}201",
    _RLE: RLE,
}
"""The transfer syntax that a media type stands for where nothing else is said; of those that can be made here."""

_OTHER_NAMES = {
    "image/x-jls": _JLS,
    "image/x-dicom-rle": _RLE,
    "image/x-jpeg": _JPEG,
    "image/jpg": _JPEG,
    "image/jhc": _JPHC,  # cornerstone's documentation
    "video/mpeg2": _MPEG,
    "*": ANYTHING,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that a client would take.

    `media_type` is that of the parts if it wants a `multipart` answer, and may be a range such as `image/*`.
    `transfer_syntax` is a UID, `AS_STORED`, or "" where the client does not say.
    """

    multipart: bool
    media_type: str
    transfer_syntax: str
    quality: float = 1.0

    def takes(self, media_type: str) -> bool:
        """Whether content of this type is welcome."""
        return MediaRange(self.media_type, {}).takes(media_type)


@dataclass(frozen=True, slots=True)
class Form:
    """What a client gets: the media type and transfer syntax of a frame or an instance.

    `multipart` says how it is wrapped.
    """

    multipart: bool
    media_type: str
    transfer_syntax: str

    @property
    def content_type(self) -> str:
        """The header of the part, or of an answer of one part; viewers want the UID without quotes."""
        return f"{self.media_type}; transfer-syntax={segment(self.transfer_syntax)}"


def wishes(request: Request) -> tuple[Wish, ...]:
    """What the client would take, the best first; everything if it does not say."""
    return _wishes(request.query.get("accept") or request.headers.get("accept", ""))


@lru_cache(maxsize=256)
def _wishes(header: str) -> tuple[Wish, ...]:
    found = tuple(_wish(one) for one in parse_accept(header))
    return found or (Wish(multipart=True, media_type=ANYTHING, transfer_syntax=""),)


def _wish(one: MediaRange) -> Wish:
    in_parts, wanted = unwrapped(one)
    media_type = _OTHER_NAMES.get(wanted.media_type, wanted.media_type)
    syntax = wanted.parameters.get("transfer-syntax", "")
    return Wish(in_parts or media_type == ANYTHING, media_type, syntax, one.quality)


def media_type_of(transfer_syntax: str) -> str:
    """The media type of frames in a transfer syntax."""
    return _MEDIA_TYPES.get(transfer_syntax, OCTET_STREAM)


def form_of_frames(wanted: Sequence[Wish], stored: str, possible: Callable[[str], bool]) -> Form:
    """How frames that are stored in a transfer syntax (native ones: `EXPLICIT_LITTLE`) are given.

    `possible` says whether they can be coded in another one. Raises CodedError (406) with what there is.
    """
    for form in _in_order(wanted, lambda wish: _forms_of_frames(wish, stored), stored):
        if form.transfer_syntax == stored or possible(form.transfer_syntax):
            return form
    there = [stored, *(syntax for syntax in sorted({EXPLICIT_LITTLE, *ENCODABLE}) if syntax != stored)]
    raise not_acceptable(
        f"{media_type_of(syntax)}; transfer-syntax={syntax}"
        for syntax in there
        if syntax == stored or possible(syntax)
    )


def forms_of_instance(wanted: Sequence[Wish], stored: str) -> list[Form]:
    """How an instance in a transfer syntax may be given, the best first; trying tells whether it can."""
    return list(_in_order(wanted, lambda wish: _forms_of_instance(wish, stored), stored))


def not_acceptable(available: Iterable[str]) -> CodedError:
    """The refusal (406) that lists the media types there are."""
    listed = list(available)
    return CodedError(
        codes.NOT_ACCEPTABLE,
        'This is not there as wished; ErrorPayload lists what is, alone or in multipart/related; type="..."',
        payload={"Available": listed},
    )


def _in_order(wanted: Sequence[Wish], forms: Callable[[Wish], list[Form]], stored: str) -> Iterable[Form]:
    for _, group in groupby(wanted, lambda wish: wish.quality):
        equal = [fulfilling for fulfilling in map(forms, group) if fulfilling]
        # What is behind the first form of a wish is for the case that nothing else can be had.
        equal.sort(key=lambda fulfilling: _cost(fulfilling[0].transfer_syntax, stored))
        yield from (form for fulfilling in equal for form in fulfilling)


def _cost(transfer_syntax: str, stored: str) -> int:
    if transfer_syntax == stored:
        return 0
    return 2 if transfer_syntax in LOSSY_METHODS else 1


def _forms_of_frames(wish: Wish, stored: str) -> list[Form]:
    """What would fulfil a wish, the best first."""
    syntax = wish.transfer_syntax
    own = media_type_of(stored)
    if wish.media_type == OCTET_STREAM:
        if syntax in ("", AS_STORED):
            given = [EXPLICIT_LITTLE, stored] if not syntax else [stored]
        else:
            given = [_native(syntax)]
        return [Form(wish.multipart, OCTET_STREAM, each) for each in given]
    if syntax not in ("", AS_STORED):
        syntax = _native(syntax)
        media_type = media_type_of(syntax)
        return [Form(wish.multipart, media_type, syntax)] if wish.takes(media_type) else []
    if wish.media_type == ANYTHING:
        if syntax == AS_STORED or stays_as_stored(stored):
            return [Form(wish.multipart, own, stored)]
        return [
            Form(wish.multipart, OCTET_STREAM, EXPLICIT_LITTLE),
            Form(wish.multipart, own, stored),
        ]
    if wish.takes(own):
        return [Form(wish.multipart, own, stored)]
    return [Form(wish.multipart, each, syntax) for each, syntax in _DEFAULTS.items() if wish.takes(each)]


def _forms_of_instance(wish: Wish, stored: str) -> list[Form]:
    if not wish.takes(DICOM):
        return []
    syntax = wish.transfer_syntax
    if syntax == AS_STORED or (not syntax and stays_as_stored(stored)):
        given = [stored]
    elif not syntax:
        given = [EXPLICIT_LITTLE, stored]
    else:
        given = [syntax] if syntax == stored or syntax in TARGETS else []
    return [Form(wish.multipart, DICOM, each) for each in given]


def _native(transfer_syntax: str) -> str:
    """Frames of the two little endian transfer syntaxes are the same bytes."""
    return EXPLICIT_LITTLE if transfer_syntax == "1.2.840.10008.1.2" else transfer_syntax
