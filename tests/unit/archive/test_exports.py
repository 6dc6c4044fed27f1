"""The log of exports."""

from __future__ import annotations

from tests.unit.archive.places import Place, image, put
from tests.unit.archive.test_attachments import ids_of

from ithil.archive import delete, exports
from ithil.archive.archive import Archive
from ithil.dicom.level import Level


def test_nothing_is_logged_unless_asked_for(archive: Archive) -> None:
    put(archive, image())
    exports.record(archive, {ids_of(archive)[Level.STUDY]: Level.STUDY}, "PACS")
    assert exports.page(archive).exports == []


def test_entries_have_the_identifiers_down_to_their_level(place: Place) -> None:
    archive = place.open(log_exported_resources=True)
    put(archive, image())
    public_ids = ids_of(archive)
    for level in Level:
        exports.record(archive, {public_ids[level]: level}, "PACS")
    exports.record(archive, {"nope": Level.STUDY}, "PACS")
    found = exports.page(archive)
    assert found.done
    assert [(export.level, export.id) for export in found.exports] == list(
        zip(Level, public_ids, strict=True)
    )
    for export in found.exports:
        identifiers = (
            export.patient_id,
            export.study_instance_uid,
            export.series_instance_uid,
            export.sop_instance_uid,
        )
        assert [bool(identifier) for identifier in identifiers] == [at <= export.level for at in Level]
        assert export.remote_modality == "PACS"


def test_pages_and_clearing(place: Place) -> None:
    archive = place.open(log_exported_resources=True)
    put(archive, image())
    study = ids_of(archive)[Level.STUDY]
    for number in range(3):
        exports.record(archive, {study: Level.STUDY}, f"PACS {number}")
    first = exports.page(archive, limit=2)
    assert (len(first.exports), first.done, first.last) == (2, False, 2)
    rest = exports.page(archive, since=first.last)
    assert (len(rest.exports), rest.done, rest.last) == (1, True, 3)
    assert exports.page(archive, last=True) == rest
    assert exports.page(archive, since=99).last == 99
    delete.delete(archive, Level.STUDY, study)
    assert len(exports.page(archive).exports) == 3  # what was sent was sent
    exports.clear(archive)
    assert exports.page(archive).exports == []
    assert exports.page(archive, last=True).last == 3
    put(archive, image())
    exports.record(archive, {study: Level.STUDY}, "PACS")
    assert exports.page(archive).last == 4
