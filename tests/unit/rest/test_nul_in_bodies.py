"""Identifiers with NUL in bodies, which PostgreSQL refuses to look for: they are unknown like any other."""

from __future__ import annotations

import pytest
from tests.unit.archive.conftest import archive, place  # noqa: F401

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.error_codes import CodedError
from ithil.rest import create_dicom, modify_fields


def test_resources_to_be_edited() -> None:
    assert modify_fields.texts({"Resources": ["a\0b"]}, "Resources") == ["ab"]


def test_the_parent_of_a_new_instance(archive: Archive) -> None:  # noqa: F811
    with pytest.raises(CodedError) as refused:
        create_dicom._inherited(archive, "a\0b")
    assert refused.value.code == codes.CREATE_DICOM_BAD_PARENT
