"""The instance that stands for a series and for a study, on every database."""

from __future__ import annotations

from tests.data.datasets import body, part10
from tests.data.images import header, native, text

from ithil.archive import ingest
from ithil.archive.archive import Archive
from ithil.archive.model import Origin, StoreResult
from ithil.archive.representative import representative
from ithil.dicom.level import Level


def put(archive: Archive, series: str, number: int | None, *, image: bool = True, **more: str) -> StoreResult:
    """Store an instance; `more` are its `modality` and the `order` of its series."""
    uid = f"{series}.{number or 0}.{int(image)}"
    elements = {
        0x00080018: text("UI", uid),
        0x0020000E: text("UI", series),
        0x00080060: text("CS", more.get("modality", "CT")),
        0x00200011: text("IS", more.get("order", "")),
    }
    if number is not None:
        elements[0x00200013] = text("IS", str(number))
    if image:
        content = native(header(1, 2), b"ab", elements, vr="OB")
    else:
        content = part10(body({**elements}))
    return ingest.store(archive, content, Origin())


def test_the_middle_of_a_series_by_number(archive: Archive) -> None:
    stored = {number: put(archive, "1.2.4", number) for number in (5, 1, 20, 3, 4)}
    assert representative(archive, Level.SERIES, stored[1].series) == stored[4].instance
    put(archive, "1.2.4", None)  # without a number it comes last
    assert representative(archive, Level.SERIES, stored[1].series) == stored[5].instance


def test_images_come_before_what_is_none(archive: Archive) -> None:
    report = put(archive, "1.2.4", 1, image=False)
    assert representative(archive, Level.SERIES, report.series) == report.instance
    assert representative(archive, Level.STUDY, report.study) == report.instance
    put(archive, "1.2.4", 2, image=False)
    image = put(archive, "1.2.4", 3)
    assert representative(archive, Level.SERIES, report.series) == image.instance


def test_the_first_series_of_images_by_number(archive: Archive) -> None:
    put(archive, "1.2.9", 1, order="1", modality="SEG")
    put(archive, "1.2.8", 1, order="2", image=False)
    put(archive, "1.2.7", 1)
    put(archive, "1.2.6", 1, order="10")
    third = put(archive, "1.2.5", 1, order="3")
    assert representative(archive, Level.STUDY, third.study) == third.instance


def test_a_segmentation_alone_stands_for_its_study(archive: Archive) -> None:
    only = put(archive, "1.2.9", 1, modality="SEG")
    assert representative(archive, Level.STUDY, only.study) == only.instance


def test_an_instance_stands_for_itself_and_nothing_for_what_is_unknown(archive: Archive) -> None:
    stored = put(archive, "1.2.9", 1)
    assert representative(archive, Level.INSTANCE, stored.instance) == stored.instance
    for level in (Level.STUDY, Level.SERIES):
        assert representative(archive, level, "nope") is None
