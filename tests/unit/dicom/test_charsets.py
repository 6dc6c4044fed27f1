"""Character sets, with the examples of PS3.5 annexes H, I, J and K."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.dicom.charsets import ORTHANC_ENCODINGS, decoder, defined_term


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        # H.3.1
        (
            rb"\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        # H.3.2
        (
            rb"ISO 2022 IR 13\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
            b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        # I.2
        (
            rb"\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        # J.1 and J.3
        (b"ISO_IR 192", b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=", "Wang^XiaoDong=王^小東="),
        (b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
        (b"GBK", b"\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东"),
        # K.2
        (
            rb"\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (b"ISO_IR 101", b"W\xb3odek", "Włodek"),
        (b"ISO_IR 109", b"\xa6", "Ĥ"),
        (b"ISO_IR 110", b"\xa1", "Ą"),
        (b"ISO_IR 144", b"\xbb\xee\xda", "\u041b\u044e\u043a"),
        (b"ISO_IR 127", b"\xe2\xc8", "\u0642\u0628"),
        (b"ISO_IR 126", b"\xc4\xe9", "\u0394\u03b9"),
        (b"ISO_IR 138", b"\xf9\xf8", "\u05e9\u05e8"),
        (b"ISO_IR 148", b"\xdd", "İ"),
        (b"ISO_IR 203", b"\xa4", "€"),
        (b"ISO_IR 166", b"\xa1", "\u0e01"),
        # An initial charset with G1, and another that is switched to and back.
        (rb"ISO 2022 IR 100\ISO 2022 IR 144", b"\xe9\x1b-L\xbb\\\xe9", "é\u041b\\é"),
        # Spellings seen in files.
        (b"ISO-IR 100 ", b"\xe9", "é"),
        (b"ISO IR 192", "é".encode(), "é"),
        (b"iso_ir_100", b"\xe9", "é"),
    ],
)
def test_charsets_of_the_standard(charset: bytes, raw: bytes, text: str) -> None:
    assert decoder(charset)(raw) == text


def test_without_a_charset_the_default_encoding_holds() -> None:
    assert decoder(None)(b"\xe9") == "é"
    assert decoder(b"")(b"\xe9") == "é"
    assert decoder(None, "Cyrillic")(b"\xbb") == "\u041b"
    assert decoder(None, "Windows1251")(b"\xcb") == "\u041b"
    assert decoder(None, "Utf8")("é".encode()) == "é"


@pytest.mark.parametrize("charset", [b"ISO_IR 6", b"NOBODY KNOWS"])
def test_ascii_and_unknown_charsets_lose_other_bytes_as_in_orthanc(charset: bytes) -> None:
    assert decoder(charset)(b"M\xfcller") == "Mller"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_decoding_never_fails(charset: bytes, raw: bytes) -> None:
    decoder(charset)(raw).encode("utf-8")
    for known in (rb"\ISO 2022 IR 87\ISO 2022 IR 159", rb"\ISO 2022 IR 149", b"ISO_IR 192", b"GB18030"):
        decoder(known)(b"\x1b" + raw).encode("utf-8")


def test_all_of_orthancs_names_are_known() -> None:
    for name in ORTHANC_ENCODINGS:
        assert decoder(None, name)(b"a1") == "a1"


@pytest.mark.parametrize("encoding", sorted(ORTHANC_ENCODINGS))
def test_every_default_encoding_has_a_term_that_is_read_back(encoding: str) -> None:
    alone = defined_term(encoding)
    assert "\\" not in alone  # no code extensions unless they are welcome
    for term in (alone, defined_term(encoding, extensions=True)):
        assert decoder(term.encode())(b"A^b") == "A^b"


def test_terms_of_encodings_with_code_extensions() -> None:
    assert defined_term("Korean", extensions=True) == "\\ISO 2022 IR 149"
    assert defined_term("Korean") == defined_term("Windows1251") == "ISO_IR 192"
    assert defined_term("Ascii") == ""


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("Cyrillic", b"\xbb"),
        ("Greek", b"\xc1"),
        ("Arabic", b"\xc7"),
        ("Hebrew", b"\xe0"),
        ("Latin2", b"\xb1"),
    ],
)
def test_a_term_means_what_its_encoding_means(encoding: str, raw: bytes) -> None:
    assert decoder(defined_term(encoding).encode())(raw) == decoder(None, encoding)(raw)
