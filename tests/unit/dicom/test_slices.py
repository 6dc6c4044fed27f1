"""The order of slices; each rule was observed in Orthanc's answers for the same positions."""

from __future__ import annotations

import pytest

from ithil.dicom.slices import Slice, in_sequence, in_volume

AXIAL = r"1\0\0\0\1\0"
CORONAL = r"1\0\0\0\0\-1"


def at(z: float, number: int | None = None, orientation: str = AXIAL) -> Slice:
    return Slice(f"{z}/{number}", rf"0\0\{z}", orientation, number)


def order(found: list[Slice] | None) -> list[str] | None:
    return None if found is None else [one.id for one in found]


def test_a_volume_is_ordered_along_its_normal() -> None:
    assert order(in_volume([at(1), at(3), at(2)])) == ["1/None", "2/None", "3/None"]


def test_the_first_slice_tells_the_direction() -> None:
    flipped = r"1\0\0\0\-1\0"
    assert order(in_volume([at(1, 1, flipped), at(5, 2), at(2, 3)])) == ["5/2", "2/3", "1/1"]


def test_orientations_may_be_scaled() -> None:
    assert order(in_volume([at(2), at(1, None, r"2\0\0\0\2\0")])) == ["1/None", "2/None"]


@pytest.mark.parametrize(
    "slices",
    [
        [at(1)],
        [at(1), at(1), at(2)],
        [at(1), at(1.000001)],
        [at(1), at(2, None, CORONAL)],
        [at(1), at(2, None, r"1\0\0\0\1\0.005")],
        [at(1), at(2, None, "")],
        [at(1), at(2, None, r"1\0\0\1\0\0")],
        [at(1), Slice("x", r"0\0", AXIAL)],
        [at(1), Slice("x", r"0\0\nan", AXIAL)],
        [at(1), Slice("x", r"0\0\two", AXIAL)],
        [at(1), Slice("x", "0\\0\\" + "9" * 5000, AXIAL)],
        [at(1), Slice("x", r"0\0\1", r"1e300\0\0\0\1e300\0")],
    ],
)
def test_what_is_no_volume(slices: list[Slice]) -> None:
    assert in_volume(slices) is None
    assert in_volume(slices[::-1]) is None


def test_near_slices_are_still_two() -> None:
    assert order(in_volume([at(1.00001), at(1)])) == ["1/None", "1.00001/None"]


def test_a_sequence_is_ordered_by_number() -> None:
    assert order(in_sequence([at(1, 3), at(2, -1), at(3, 3), at(4, 2)])) == ["2/-1", "4/2", "1/3", "3/3"]
    assert order(in_sequence([at(1)])) == ["1/None"]
    assert in_sequence([at(1), at(2, 1)]) is None
