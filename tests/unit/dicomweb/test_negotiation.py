"""Which form an answer has, for every way in which clients wish."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.dicomweb.negotiation import Form, Wish, _wishes, form_of_frames, forms_of_instance
from ithil.error_codes import CodedError

EXPLICIT, IMPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
JPEG, JPEG_LOSSLESS, JPEG_LS, J2K, J2K_LOSSY, HTJ2K, MP4 = (
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 70, 80, 90, 91, 201, 102)
)
OCTETS = "application/octet-stream"


def chosen(accept: str, stored: str, possible: bool = True) -> Form:
    return form_of_frames(_wishes(accept), stored, lambda syntax: possible)


@pytest.mark.parametrize(
    ("accept", "wish"),
    [
        ("", Wish(True, "*/*", "")),
        ("*/*", Wish(True, "*/*", "")),
        ("*", Wish(True, "*/*", "")),
        ("multipart/related", Wish(True, "*/*", "")),
        ("multipart/*; transfer-syntax=*", Wish(True, "*/*", "*")),
        ('multipart/related; type=""', Wish(True, "*/*", "")),
        ("image/jhc", Wish(False, "image/jphc", "")),
        ("IMAGE/JPEG; Transfer-Syntax=1.2", Wish(False, "image/jpeg", "1.2")),
        (f'multipart/related; type="{OCTETS}; transfer-syntax=*"', Wish(True, OCTETS, "*")),
        (f'multipart/related; start="x"; type="{OCTETS}"; transfer-syntax="*"', Wish(True, OCTETS, "*")),
        (f"multipart/related; transfer-syntax=*; type={OCTETS}; q=0.5", Wish(True, OCTETS, "*", 0.5)),
    ],
)
def test_wishes_are_read_however_they_are_written(accept: str, wish: Wish) -> None:
    assert _wishes(accept) == (wish,)


@pytest.mark.parametrize(
    ("accept", "stored", "media_type", "syntax"),
    [
        ("*/*", EXPLICIT, OCTETS, EXPLICIT),
        ("*/*", J2K, OCTETS, EXPLICIT),
        ("*/*", J2K_LOSSY, "image/jp2", J2K_LOSSY),
        ("*/*", MP4, "video/mp4", MP4),
        ("*/*; transfer-syntax=*", J2K, "image/jp2", J2K),
        (f"*/*; transfer-syntax={HTJ2K}", J2K, "image/jphc", HTJ2K),
        (OCTETS, J2K_LOSSY, OCTETS, EXPLICIT),
        (f"{OCTETS}; transfer-syntax=*", J2K_LOSSY, OCTETS, J2K_LOSSY),
        (f"{OCTETS}; transfer-syntax={IMPLICIT}", RLE, OCTETS, EXPLICIT),
        (f"{OCTETS}; transfer-syntax={HTJ2K}", EXPLICIT, OCTETS, HTJ2K),
        ("image/jpeg", JPEG, "image/jpeg", JPEG),
        ("image/jpeg", EXPLICIT, "image/jpeg", JPEG_LOSSLESS),
        ("image/jls; transfer-syntax=*", RLE, "image/jls", JPEG_LS),
        ("image/*", RLE, "image/dicom-rle", RLE),
        ("image/*", EXPLICIT, "image/jpeg", JPEG_LOSSLESS),
        (f"image/*; transfer-syntax={J2K}", EXPLICIT, "image/jp2", J2K),
        (f"image/jpeg, {OCTETS}", EXPLICIT, OCTETS, EXPLICIT),
        (f"image/jpeg; transfer-syntax={JPEG}, image/jls", EXPLICIT, "image/jls", JPEG_LS),
        ("image/jls, image/jp2", EXPLICIT, "image/jls", JPEG_LS),
        (f"application/dicom+json, {OCTETS}; q=0.1, image/jls; q=0.2", EXPLICIT, "image/jls", JPEG_LS),
    ],
)
def test_frames(accept: str, stored: str, media_type: str, syntax: str) -> None:
    form = chosen(accept, stored)
    assert (form.media_type, form.transfer_syntax) == (media_type, syntax)


def test_what_cannot_be_decoded_comes_as_it_is_stored_if_any_form_is_welcome() -> None:
    assert chosen("*/*", J2K, possible=False).transfer_syntax == J2K
    assert chosen(OCTETS, MP4, possible=False) == Form(False, OCTETS, MP4)
    with pytest.raises(CodedError) as refusal:
        chosen("image/jls", J2K, possible=False)
    assert refusal.value.status == 406
    assert refusal.value.payload == {"Available": [f"image/jp2; transfer-syntax={J2K}"]}


@pytest.mark.parametrize(
    ("accept", "stored", "syntaxes"),
    [
        ("*/*", RLE, [EXPLICIT, RLE]),
        ("application/dicom", JPEG, [JPEG]),
        ("multipart/related; type=application/dicom; transfer-syntax=*", RLE, [RLE]),
        (f"application/dicom; transfer-syntax={HTJ2K}", RLE, [HTJ2K]),
        (f"application/dicom; transfer-syntax={MP4}", MP4, [MP4]),
        (f"application/dicom; transfer-syntax={MP4}", RLE, []),
        ("application/*", RLE, [EXPLICIT, RLE]),
        ("image/jpeg", RLE, []),
        (
            f"application/dicom; transfer-syntax={JPEG}, application/dicom; transfer-syntax=*",
            RLE,
            [RLE, JPEG],
        ),
    ],
)
def test_instances(accept: str, stored: str, syntaxes: list[str]) -> None:
    assert [form.transfer_syntax for form in forms_of_instance(_wishes(accept), stored)] == syntaxes


@given(st.text(max_size=300))
def test_no_header_is_too_strange(accept: str) -> None:
    assert _wishes(accept)
    with suppress(CodedError):
        assert chosen(accept, J2K).transfer_syntax
