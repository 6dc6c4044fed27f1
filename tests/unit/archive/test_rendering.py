"""Pictures of stored instances: what they are, what is kept, what is shared. Anonymised copies."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pydicom
import pytest
from tests.data.images import header, native, text
from tests.data.real import content_of
from tests.unit.archive.places import Place

from ithil.archive import frames, ingest, pseudonyms, rendering
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.archive.rendering import Kind, Subject, View
from ithil.archive.shared_cache import MemoryGate, SharedCache
from ithil.pixels import image_formats
from ithil.pixels.errors import PixelError
from ithil.pixels.viewport import Viewport


def stored(archive: Archive, content: bytes) -> Subject:
    result = ingest.store(archive, content, Origin())
    found = rendering.subject_of(archive, result.instance)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pydicom/CT_small.dcm", Kind.PICTURE),
        ("pydicom/image_dfl.dcm", Kind.PICTURE),
        ("pydicom/rtplan.dcm", Kind.OTHER),
        ("pydicom/waveform_ecg.dcm", Kind.OTHER),
    ],
)
def test_what_an_instance_is(archive: Archive, name: str, kind: Kind) -> None:
    assert stored(archive, content_of(name)).kind is kind


def test_an_unknown_instance_is_none(archive: Archive) -> None:
    assert rendering.subject_of(archive, "nope") is None


def test_a_picture_is_made_once(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = sqlite.open()
    subject = stored(archive, content_of("pydicom/CT_small.dcm"))
    made = []
    encode = image_formats.encode
    started = threading.Event()

    def counting(*arguments: object) -> bytes:
        made.append(arguments)
        started.wait(0.2)
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_formats, "encode", counting)
    with ThreadPoolExecutor(8) as threads:
        pictures = list(threads.map(lambda _: rendering.picture(archive, subject, 0, View()), range(8)))
    assert len(set(pictures)) == 1
    assert len(made) == 1
    rendering.picture(archive, subject, 0, View(quality=50))
    assert len(made) == 2


def test_pictures_take_no_more_memory_than_there_is(sqlite: Place) -> None:
    archive = sqlite.open(dicom_parser_cache_size=1)
    subject = stored(archive, content_of("pydicom/examples_palette.dcm"))
    for quality in range(20, 100):
        rendering.picture(archive, subject, 0, View(quality=quality))
    assert frames._cache.size <= 1 << 20


def test_a_frame_that_is_not_there(archive: Archive) -> None:
    subject = stored(archive, content_of("pydicom/CT_small.dcm"))
    with pytest.raises(PixelError):
        rendering.picture(archive, subject, 1, View())


def test_pseudonyms_are_the_same_for_every_process(place: Place) -> None:
    first, second = place.open(), place.open()
    subject = stored(first, content_of("pydicom/CT_small.dcm"))
    copies = [
        pydicom.dcmread(io.BytesIO(pseudonyms.anonymised(archive, subject.file, subject.sop_instance)))
        for archive in (first, second)
    ]
    assert copies[0].SOPInstanceUID == copies[1].SOPInstanceUID != subject.sop_instance
    assert copies[0].PatientName == "Anonymized"


def test_pseudonyms_of_a_read_only_archive(sqlite: Place) -> None:
    subject = stored(sqlite.open(), content_of("pydicom/CT_small.dcm"))
    reader = sqlite.open(read_only=True)
    copy = pydicom.dcmread(io.BytesIO(pseudonyms.anonymised(reader, subject.file, subject.sop_instance)))
    assert copy.SOPInstanceUID != subject.sop_instance


def test_burned_in_names(archive: Archive) -> None:
    named = native(header(1, 2), b"ab", {0x00280301: text("CS", "YES")}, vr="OB")
    assert rendering.burned_in(archive, stored(archive, named))
    assert not rendering.burned_in(archive, stored(archive, content_of("pydicom/CT_small.dcm")))


def test_memory_is_held_for_what_a_picture_grows_to_until_it_is_a_file(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = stored(archive, native(header(1, 2), b"ab", vr="OB"))
    held = [0]
    seen = []
    encode, share = image_formats.encode, MemoryGate.share

    @contextmanager
    def counting(gate: MemoryGate, size: int, capacity: int) -> Iterator[None]:
        held.append(size)
        with share(gate, size, capacity):
            yield
        held.pop()

    def encoding(*arguments: object) -> bytes:
        seen.append(held[-1])
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(frames, "_cache", SharedCache())
    monkeypatch.setattr(MemoryGate, "share", counting)
    monkeypatch.setattr(image_formats, "encode", encoding)
    rendering.picture(archive, subject, 0, View(viewport=Viewport(2000, 1000)))
    rendering.icon(archive, subject, View(viewport=Viewport(1000, 1000)))
    assert seen[0] >= 2_000_000
    assert seen[1] >= 1_000_000


def test_a_client_that_is_slow_does_not_hold_memory(archive: Archive) -> None:
    content = content_of("pydicom/examples_ybr_color.dcm")
    subject = stored(archive, content)
    pieces = rendering.animation(archive, subject, [0, 1, 2], View(media_type=rendering.GIF))
    for _ in range(2):
        next(pieces)
        assert frames._gate._taken == 0
