"""Bytes of strangers: an edit gives a file that can be read, or refuses; it never fails otherwise."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.data.real import content_of
from tests.unit.edit.test_values import make

from ithil.dicom.dataset import parse
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.edit.apply import apply
from ithil.edit.recipe import PATIENT_NAME, parse_anonymization, parse_modification
from ithil.error_codes import CodedError

FILES = [
    content_of(f"pydicom/{name}.dcm")
    for name in ("rtplan", "image_dfl", "JPEG2000", "ExplVR_BigEnd", "MR_small_implicit", "UN_sequence")
]
RECIPES = [
    parse_anonymization({}, server="Test").with_values({PATIENT_NAME: "Nobody"}),
    parse_anonymization(
        {"DicomVersion": "current", "ProfileOptions": ["RetainLongitudinalModifiedDates", "RetainUIDs"]},
        server="Test",
    ),
    parse_modification(
        {
            "Replace": {
                "PatientName": "山田",
                "BeamSequence[*].BeamName": "é",
                "SpecificCharacterSet": "ISO_IR 192",
            },
            "Remove": ["DoseReferenceSequence[*].DoseReferenceUID"],
            "RemovePrivateTags": True,
        },
        Level.STUDY,
    ),
]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(FILES),
    st.sampled_from(RECIPES),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), max_size=6),
    st.none() | st.integers(0, 4000),
)
def test_damaged_files(
    content: bytes, recipe: object, changes: list[tuple[int, bytes]], cut: int | None
) -> None:
    damaged = bytearray(content)
    for position, new in changes:
        damaged[position : position + len(new)] = new
    with suppress(DicomError, CodedError):
        made = apply(recipe, bytes(damaged[:cut]))  # type: ignore[arg-type]
        parse(made, stop_at_pixel_data=False)


def test_sequences_without_bottom_are_refused() -> None:
    item = Dataset()
    item.PatientName = "Deep^Name"
    for _ in range(200):
        outer = Dataset()
        outer.ReferencedSeriesSequence = Sequence([item])
        item = outer
    content = make(ReferencedSeriesSequence=Sequence([item]))
    with pytest.raises(DicomError):
        apply(RECIPES[0], content)
    assert b"Deep" not in apply(RECIPES[0], content, limits=ScanLimits(maximum_depth=210))


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(DicomError):
        apply(RECIPES[0], content_of("pydicom/rtplan.dcm"), limits=ScanLimits(maximum_elements=20))
