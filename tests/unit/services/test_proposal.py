"""Which presentation contexts are proposed for what is to be sent, and which of those accepted is used."""

from __future__ import annotations

import pytest

from ithil.dicom.uids import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE
from ithil.network.association import PresentationContext
from ithil.services.proposal import Conversion, choose, contexts_for

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG, JPEG_2000, JPEG_LS = (f"1.2.840.10008.1.2.4.{number}" for number in (50, 90, 80))
VIDEO = "1.2.840.10008.1.2.4.102"
NOTHING_TRANSCODED = Conversion(transcode=False)


def accepted(*syntaxes: str, scu: bool = True) -> list[PresentationContext]:
    return [
        PresentationContext(2 * number + 1, CT, syntax, scu, not scu)
        for number, syntax in enumerate(syntaxes)
    ]


def chosen(conversion: Conversion, stored: str, *syntaxes: str) -> str | None:
    context = choose(accepted(*syntaxes), (CT, stored), conversion)
    return None if context is None else context.transfer_syntax


def test_what_is_stored_and_a_way_out() -> None:
    assert contexts_for({(CT, EXPLICIT_LITTLE)}, Conversion()) == [
        (CT, (EXPLICIT_LITTLE,)),
        (CT, (IMPLICIT_LITTLE,)),
    ]
    assert contexts_for({(CT, JPEG)}, Conversion()) == [
        (CT, (JPEG,)),
        (CT, (EXPLICIT_LITTLE, IMPLICIT_LITTLE)),
    ]
    assert contexts_for({(CT, JPEG), (CT, EXPLICIT_LITTLE), (CT, IMPLICIT_LITTLE)}, Conversion()) == [
        (CT, (IMPLICIT_LITTLE,)),
        (CT, (EXPLICIT_LITTLE,)),
        (CT, (JPEG,)),
    ]


def test_a_preferred_compressed_syntax_has_a_context_of_its_own() -> None:
    assert contexts_for({(CT, RLE)}, Conversion(preferred=JPEG_2000)) == [
        (CT, (RLE,)),
        (CT, (JPEG_2000,)),
        (CT, (EXPLICIT_LITTLE, IMPLICIT_LITTLE)),
    ]


def test_without_transcoding_compressed_images_go_as_they_are_or_not_at_all() -> None:
    assert contexts_for({(CT, JPEG)}, NOTHING_TRANSCODED) == [(CT, (JPEG,))]
    assert contexts_for({(CT, VIDEO)}, Conversion()) == [(CT, (VIDEO,))]
    assert chosen(NOTHING_TRANSCODED, JPEG, EXPLICIT_LITTLE) is None
    assert chosen(Conversion(), VIDEO, EXPLICIT_LITTLE) is None
    assert chosen(NOTHING_TRANSCODED, EXPLICIT_LITTLE, IMPLICIT_LITTLE) == IMPLICIT_LITTLE


@pytest.mark.parametrize(
    ("stored", "syntaxes", "expected"),
    [
        (JPEG, [EXPLICIT_LITTLE, JPEG], JPEG),
        (EXPLICIT_BIG, [EXPLICIT_LITTLE, IMPLICIT_LITTLE], EXPLICIT_LITTLE),
        (DEFLATED, [IMPLICIT_LITTLE], IMPLICIT_LITTLE),
        (JPEG, [EXPLICIT_BIG], EXPLICIT_BIG),
        (EXPLICIT_LITTLE, [JPEG_LS], JPEG_LS),
        (EXPLICIT_LITTLE, [JPEG], None),  # a coding with loss would make another instance
        (EXPLICIT_LITTLE, [], None),
    ],
)
def test_the_accepted_syntax_that_changes_least(
    stored: str, syntaxes: list[str], expected: str | None
) -> None:
    assert chosen(Conversion(), stored, *syntaxes) == expected


def test_a_lossy_preference_is_not_followed() -> None:
    assert chosen(Conversion(preferred=JPEG), RLE, JPEG, IMPLICIT_LITTLE) == IMPLICIT_LITTLE


def test_only_contexts_in_which_this_side_is_the_user_count() -> None:
    assert choose(accepted(EXPLICIT_LITTLE, scu=False), (CT, EXPLICIT_LITTLE), Conversion()) is None
    assert choose(accepted(EXPLICIT_LITTLE), ("1.2.3", EXPLICIT_LITTLE), Conversion()) is None
