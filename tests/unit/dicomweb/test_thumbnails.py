"""`/thumbnail` (PS3.18 10.4.1.1.4), and the very requests with which viewers ask for it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.application import Client, read
from tests.unit.dicomweb import images
from tests.unit.dicomweb.images import (
    ROOT,
    document,
    files_of,
    image,
    instance,
    lose,
    parts_of,
    path,
    ramp,
    shown,
    store,
    video,
)

LEVELS = (
    "/studies/1.2.3",
    "/studies/1.2.3/series/1.2.3.4",
    "/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.5",
)


@pytest.fixture
def stored(client: Client) -> Client:
    """A server with one image of 300 by 500 pixels."""
    store(client, image(ramp(300, 500)))
    return client


@pytest.mark.parametrize("place", [*LEVELS, f"{LEVELS[-1]}/frames/1"])
def test_every_level_has_a_small_picture(stored: Client, place: str) -> None:
    answer = stored.get(f"{ROOT}{place}/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert shown(answer.content).shape == (77, 128)


def test_a_small_image_stays_small(client: Client) -> None:
    store(client, image(ramp(10, 20)))
    assert shown(client.get(f"{path()}/thumbnail").content).shape == (10, 20)


def test_it_is_smooth(client: Client) -> None:
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    store(client, image(board, WindowCenter=128, WindowWidth=256))
    small = shown(client.get(f"{path()}/thumbnail", headers={"Accept": "image/png"}).content)
    assert small.shape == (128, 128)
    assert small.min() >= 127
    assert small.max() <= 129


def test_ohif_asks_with_a_viewport(stored: Client) -> None:
    answer = stored.get(f"{ROOT}{LEVELS[1]}/thumbnail?viewport=256,256", headers={"Accept": "image/jpeg"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert shown(answer.content).shape == (154, 256)


@pytest.mark.parametrize("place", LEVELS)
def test_ohif_asks_for_bulk_data_with_an_argument(stored: Client, place: str) -> None:
    wish = {"Accept": 'multipart/related; type="application/octet-stream"'}
    answer = stored.get(f"{ROOT}{place}/thumbnail?accept=image/jpeg", headers=wish)
    assert answer.headers["content-type"] == "image/jpeg"
    assert shown(answer.content).shape == (77, 128)


def test_ohif_asks_for_parts(stored: Client) -> None:
    for kind in ("image/jpeg", "application/octet-stream"):
        wish = {"Accept": f'multipart/related; type="{kind}"; transfer-syntax=*'}
        answer = stored.get(f"{ROOT}{LEVELS[1]}/thumbnail", headers=wish)
        assert answer.headers["content-type"].startswith("multipart/related")
        [(media_type, content)] = parts_of(answer.content, answer.headers["content-type"])
        assert media_type == "image/jpeg"
        assert shown(content).shape == (77, 128)


def test_weasis_asks_with_an_encoded_viewport(stored: Client) -> None:
    wish = {"Accept": "image/jpeg"}
    series = stored.get(f"{ROOT}{LEVELS[1]}/thumbnail?viewport=128%2C128", headers=wish)
    assert shown(series.content).shape == (77, 128)
    fallback = stored.get(f"{path()}/rendered?viewport=128%2C128", headers=wish)
    assert fallback.content == series.content


def test_a_cine_loop_shows_its_middle(client: Client) -> None:
    frames = np.stack([np.full((8, 8), 20 * number, np.uint8) for number in range(9)])
    store(client, image(frames))
    small = client.get(f"{path()}/thumbnail", headers={"Accept": "image/png"})
    assert shown(small.content)[0, 0] == 80
    first = client.get(f"{path()}/frames/2/thumbnail", headers={"Accept": "image/png"})
    assert shown(first.content)[0, 0] == 20


def test_it_can_be_kept_and_asked_about(stored: Client) -> None:
    answer = stored.get(f"{ROOT}{LEVELS[0]}/thumbnail")
    assert answer.headers["cache-control"].startswith("private, max-age=")
    tag = answer.headers["etag"]
    assert stored.get(f"{ROOT}{LEVELS[0]}/thumbnail", headers={"If-None-Match": tag}).status_code == 304
    store(stored, *(image(ramp(), f"1.2.3.4.{number}", InstanceNumber=number) for number in (6, 7)))
    assert stored.get(f"{ROOT}{LEVELS[0]}/thumbnail", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        document(images.PDF, b"%PDF-1.4", "application/pdf", "1.2.3.4.5"),
        document(images.CDA, b"<a/>", "text/xml", "1.2.3.4.5"),
        document(images.STL, b"solid", "model/stl", "1.2.3.4.5"),
        instance(images.SR, "1.2.3.4.5", {"Modality": "SR"}),
        instance(images.ECG, "1.2.3.4.5", {"Modality": "ECG"}),
        instance("1.2.840.10008.5.1.4.1.1.66", "1.2.3.4.5", {}),
        images.presentation("9.9.9")
        .replace(b"1.2.3.7.1\0", b"1.2.3.4.5\0")
        .replace(b"1.2.3.7\0", b"1.2.3.4\0"),
        image(ramp(), PixelData=b"ab"),
    ],
)
def test_what_has_no_picture_has_an_icon(client: Client, content: bytes) -> None:
    store(client, content)
    seen = set()
    for place in LEVELS:
        answer = client.get(f"{ROOT}{place}/thumbnail")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert shown(answer.content).shape == (128, 128)
        seen.add(answer.content)
    assert len(seen) == 1
    larger = client.get(f"{ROOT}{LEVELS[0]}/thumbnail?viewport=200,50&accept=image/png")
    assert shown(larger.content).shape == (50, 50)


def test_a_video_has_an_icon(client: Client) -> None:
    store(client, video(b"\0\0\0\x18ftypmp42" + bytes(1000)))
    assert shown(client.get(f"{ROOT}/studies/1.2.3/thumbnail").content).shape == (128, 128)


@pytest.mark.parametrize("place", ["/studies/9", "/studies/1.2.3/series/9", f"{LEVELS[1]}/instances/9"])
def test_what_is_not_there_is_not_found(stored: Client, place: str) -> None:
    assert stored.get(f"{ROOT}{place}/thumbnail").status_code == 404


@pytest.mark.parametrize("query", ["viewport=0,1", "quality=0", "window=1", "viewport=8,8,900,0,1,1"])
def test_arguments_that_make_no_sense(stored: Client, query: str) -> None:
    assert stored.get(f"{path()}/thumbnail?{query}").status_code == 400


@pytest.mark.parametrize("frame", ["0", "2", "a", "1,1"])
def test_frames_that_are_not_there(stored: Client, frame: str) -> None:
    assert stored.get(f"{path()}/frames/{frame}/thumbnail").status_code == 400


def test_a_format_that_there_is_not(stored: Client) -> None:
    assert stored.get(f"{path()}/thumbnail", headers={"Accept": "image/webp"}).status_code == 406


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"]
)
def test_real_files_of_all_kinds(client: Client, name: str) -> None:
    stored = client.post("/instances", content=read(name)).json()
    tags = client.get(f"/instances/{stored['ID']}/simplified-tags").json()
    place = path(tags["SOPInstanceUID"], tags["SeriesInstanceUID"], tags["StudyInstanceUID"])
    answer = client.get(f"{place}/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


@pytest.mark.parametrize("damage", ["gone", "short"])
@pytest.mark.parametrize("place", [*LEVELS, f"{LEVELS[-1]}/frames/1"])
def test_what_cannot_be_read_now_has_an_icon_that_nobody_keeps(
    client: Client, place: str, damage: str
) -> None:
    store(client, image(ramp(300, 500)))
    [file] = files_of(client)
    content = lose(client, file, damage)
    answer = client.get(f"{ROOT}{place}/thumbnail")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert shown(answer.content).shape == (128, 128)
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    file.write_bytes(content)
    assert shown(client.get(f"{ROOT}{place}/thumbnail").content).shape == (77, 128)


def test_a_presentation_state_shows_the_image_that_is_there_now(client: Client) -> None:
    place = f"{path('1.2.3.7.1', '1.2.3.7')}/thumbnail"
    store(client, images.presentation())
    icon = client.get(place)
    assert shown(icon.content).shape == (128, 128)
    store(client, image(ramp()))
    answer = client.get(place, headers={"If-None-Match": icon.headers["etag"]})
    assert answer.status_code == 200
    assert shown(answer.content).shape == (32, 64)
