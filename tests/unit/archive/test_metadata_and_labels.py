"""Metadata and labels: small things that people and programs hang on resources."""

from __future__ import annotations

import pytest
from tests.unit.archive.places import image, put
from tests.unit.archive.recount import assert_nothing_hangs_loose
from tests.unit.archive.test_attachments import ids_of, kinds

from ithil import error_codes as codes
from ithil.archive import labels, metadata, resources
from ithil.archive.archive import Archive
from ithil.archive.model import MetadataValue
from ithil.archive.revisions import Version
from ithil.dicom.level import Level
from ithil.error_codes import CodedError


@pytest.mark.parametrize("level", Level)
def test_metadata_have_revisions(archive: Archive, level: Level) -> None:
    put(archive, image())
    public_id = ids_of(archive)[level]
    assert metadata.put(archive, level, public_id, 1024, "one") == MetadataValue("one", 0)
    assert metadata.put(archive, level, public_id, 1024, "zwei ☀") == MetadataValue("zwei ☀", 1)
    assert metadata.put(archive, level, public_id, 65535, "") == MetadataValue("", 0)
    resource = resources.read(archive, level, public_id)
    assert resource is not None
    assert resource.metadata[1024] == MetadataValue("zwei ☀", 1)
    assert resource.metadata[65535] == MetadataValue("", 0)
    metadata.delete(archive, level, public_id, 1024)
    with pytest.raises(CodedError) as refused:
        metadata.delete(archive, level, public_id, 1024)
    assert refused.value.code == codes.UNKNOWN_RESOURCE
    assert metadata.put(archive, level, public_id, 1024, "again").revision == 0
    assert kinds(archive) == ["UpdatedMetadata"] * 5
    assert_nothing_hangs_loose(archive)


def test_metadata_of_the_system_are_no_news(archive: Archive) -> None:
    put(archive, image())
    study = ids_of(archive)[Level.STUDY]
    metadata.put(archive, Level.STUDY, study, 6, "a study")
    resource = resources.read(archive, Level.STUDY, study)
    assert resource is not None
    assert resource.metadata[6].value == "a study"
    assert kinds(archive) == []


def test_a_change_of_another_version_is_refused(archive: Archive) -> None:
    put(archive, image())
    study = ids_of(archive)[Level.STUDY]
    entry = metadata.put(archive, Level.STUDY, study, 1024, "one", Version(3, "of nothing"))
    right = metadata.version(entry)
    for wrong in (Version(1, right.md5), Version(0, "x")):
        with pytest.raises(CodedError) as refused:
            metadata.put(archive, Level.STUDY, study, 1024, "two", wrong)
        assert refused.value.status == 409
        with pytest.raises(CodedError):
            metadata.delete(archive, Level.STUDY, study, 1024, wrong)
    assert metadata.put(archive, Level.STUDY, study, 1024, "two", right).revision == 1


@pytest.mark.parametrize(("value", "status"), [("a\0b", 400), ("x" * (metadata.LARGEST + 1), 413)])
def test_what_is_no_text_to_keep(archive: Archive, value: str, status: int) -> None:
    put(archive, image())
    with pytest.raises(CodedError) as refused:
        metadata.put(archive, Level.STUDY, ids_of(archive)[Level.STUDY], 1024, value)
    assert refused.value.status == status


@pytest.mark.parametrize("level", Level)
def test_labels(archive: Archive, level: Level) -> None:
    put(archive, image())
    public_id = ids_of(archive)[level]
    labels.add(archive, level, public_id, "urgent", "to-do_2", "x" * 64)
    labels.add(archive, level, public_id, "urgent")
    resource = resources.read(archive, level, public_id)
    assert resource is not None
    assert resource.labels == sorted(["urgent", "to-do_2", "x" * 64])
    labels.remove(archive, level, public_id, "urgent")
    labels.remove(archive, level, public_id, "urgent")
    labels.remove(archive, level, public_id, "no label at all")
    resource = resources.read(archive, level, public_id)
    assert resource is not None
    assert resource.labels == ["to-do_2", "x" * 64]
    assert kinds(archive) == []  # as in Orthanc


@pytest.mark.parametrize("label", ["", "x" * 65, "a b", "a/b", "..", "é", "a\n", "a\0", "\u0661"])
def test_what_is_no_label(archive: Archive, label: str) -> None:
    put(archive, image())
    study = ids_of(archive)[Level.STUDY]
    with pytest.raises(CodedError) as refused:
        labels.add(archive, Level.STUDY, study, "good", label)
    assert refused.value.code == codes.PARAMETER_OUT_OF_RANGE
    resource = resources.read(archive, Level.STUDY, study)
    assert resource is not None
    assert resource.labels == []


@pytest.mark.parametrize("level", Level)
def test_an_unknown_resource_takes_nothing(archive: Archive, level: Level) -> None:
    put(archive, image())
    other = ids_of(archive)[(level + 1) % 4]
    for change in (
        lambda: labels.add(archive, level, other, "x"),
        lambda: labels.remove(archive, level, other, "x"),
        lambda: metadata.put(archive, level, other, 1024, "x"),
        lambda: metadata.delete(archive, level, other, 1024),
    ):
        with pytest.raises(CodedError) as refused:
            change()
        assert refused.value.code == codes.UNKNOWN_RESOURCE
