"""A series that announces how many instances it has is logged as complete when the last one comes."""

from __future__ import annotations

from tests.data.datasets import body, part10
from tests.unit.archive.places import put

from ithil.archive import changes, resources
from ithil.archive.archive import Archive
from ithil.dicom.level import Level


def instance(number: int, announced: bytes = b"3 ") -> bytes:
    """An instance of a series that will have three (CardiacNumberOfImages)."""
    return part10(
        body(
            {
                0x00080018: ("UI", b"1.2.3.4.%d" % (10 + number)),
                0x00181090: ("IS", announced),
                0x00200013: ("IS", b"%d " % number),
            }
        )
    )


def completed(archive: Archive) -> int:
    """How often the log says that a series was completed."""
    return len(changes.page(archive, kinds=["CompletedSeries"]).changes)


def test_the_last_instance_completes_the_series(archive: Archive) -> None:
    put(archive, instance(2))
    result = put(archive, instance(1))
    assert completed(archive) == 0
    put(archive, instance(3))
    assert completed(archive) == 1
    found = resources.read(archive, Level.SERIES, result.series)
    assert found is not None
    assert found.expected_instances == 3
    assert found.metadata[4].value == "3"
    put(archive, instance(3))
    assert completed(archive) == 1


def test_as_many_instances_with_other_numbers_do_not(archive: Archive) -> None:
    for number in (0, 1, 2):
        put(archive, instance(number))
    assert completed(archive) == 0
    for number in (5, 3):
        put(archive, instance(number))
    assert completed(archive) == 0


def test_a_series_that_announces_nothing_is_never_complete(archive: Archive) -> None:
    put(archive, instance(1, announced=b""))
    found = resources.read(archive, Level.SERIES, resources.list_ids(archive, Level.SERIES)[0])
    assert found is not None
    assert found.expected_instances is None
    assert completed(archive) == 0
