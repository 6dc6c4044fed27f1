"""Every real file that pydicom and pydicom-data bring is refused as a whole or comes back byte for byte."""

from __future__ import annotations

from tests.data.real import all_files
from tests.unit.archive.places import Place, files_of, put
from tests.unit.archive.recount import assert_sound

from ithil.archive import resources, retrieve
from ithil.archive.errors import MissingIdentifier
from ithil.archive.model import StoreStatus
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level


def test_what_is_stored_comes_back_byte_for_byte(place: Place) -> None:
    # Compression does not depend on the database, so each of the two has its turn with one of them.
    archive = place.open(storage_compression=place.dialect == "sqlite")
    stored: dict[str, bytes] = {}
    refused = 0
    for path in all_files().values():
        content = path.read_bytes()
        try:
            result = put(archive, content)
        except (DicomError, MissingIdentifier):
            refused += 1
            continue
        if result.status is StoreStatus.SUCCESS:
            stored[result.instance] = content
    assert len(stored) > 100
    assert refused < len(all_files()) / 2
    assert set(resources.list_ids(archive, Level.INSTANCE)) == set(stored)
    assert len(files_of(archive)) == len(stored)
    for instance, content in stored.items():
        file = retrieve.dicom_file(archive, instance)
        assert file is not None
        assert retrieve.read(archive, file) == content
        assert retrieve.verify(archive, file)
    assert_sound(archive)
