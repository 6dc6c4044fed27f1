"""`/rendered`: pictures of studies, series, instances and frames (PS3.18 10.4.1.1.3)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tests.unit.application import Client, MakeClient, read
from tests.unit.dicomweb.images import (
    ROOT,
    files_of,
    image,
    lose,
    parts_of,
    path,
    ramp,
    shown,
    store,
)

PNG, JPEG, GIF = ({"Accept": f"image/{kind}"} for kind in ("png", "jpeg", "gif"))


@pytest.fixture
def stored(client: Client) -> Client:
    """A server with one image of 32 by 64 pixels."""
    store(client, image(ramp()))
    return client


def test_an_image_is_what_the_header_s_window_shows(stored: Client) -> None:
    answer = stored.get(f"{path()}/rendered", headers=PNG)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert np.array_equal(shown(answer.content), ramp())


@pytest.mark.parametrize("place", ["", "/series/1.2.3.4", "/series/1.2.3.4/instances/1.2.3.4.5"])
def test_every_level_has_a_picture(stored: Client, place: str) -> None:
    answer = stored.get(f"{ROOT}/studies/1.2.3{place}/rendered")
    assert answer.headers["content-type"] == "image/jpeg"
    assert shown(answer.content).shape == (32, 64)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png, image/jpeg", "image/png"),
        ("image/png;q=0.1, image/jpeg", "image/jpeg"),
        ("image/jpeg;transfer-syntax=*", "image/jpeg"),
        ("application/json, image/gif;q=0.5", "image/gif"),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "image/jpeg"),
    ],
)
def test_the_media_type_is_the_best_that_the_client_takes(
    stored: Client, accept: str, media_type: str
) -> None:
    assert stored.get(f"{path()}/rendered", headers={"Accept": accept}).headers["content-type"] == media_type


def test_the_argument_comes_before_the_header(stored: Client) -> None:
    answer = stored.get(f"{path()}/rendered?accept=image/png", headers=JPEG)
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("accept", ["text/html", "video/mp4", "application/dicom+json"])
def test_what_cannot_be_had_is_refused_with_what_can(stored: Client, accept: str) -> None:
    answer = stored.get(f"{path()}/rendered", headers={"Accept": accept})
    assert answer.status_code == 406
    assert "image/jpeg, image/png, image/gif" in answer.json()["Details"]


def test_a_window(stored: Client) -> None:
    answer = stored.get(f"{path()}/rendered?window=100,2,linear-exact", headers=PNG)
    assert np.array_equal(shown(answer.content) > 128, ramp() > 100)


def test_a_viewport_keeps_the_shape(stored: Client) -> None:
    for viewport, shape in (("16,16", (8, 16)), ("128,128", (64, 128)), ("1000,16", (16, 32))):
        answer = stored.get(f"{path()}/rendered?viewport={viewport}")
        assert shown(answer.content).shape == shape


def test_a_region_of_the_viewport(stored: Client) -> None:
    answer = stored.get(f"{path()}/rendered?viewport=16,8,32,16,-16,8", headers=PNG)
    assert np.array_equal(shown(answer.content), ramp()[16:24, 32:48][:, ::-1])


def test_quality_is_felt(stored: Client) -> None:
    sizes = [len(stored.get(f"{path()}/rendered?quality={quality}").content) for quality in (1, 50, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


@pytest.mark.parametrize(
    "query",
    [
        *("viewport=32", "viewport=a,b", "viewport=0,0", "viewport=-10,10", "viewport=64.5,64"),
        *("viewport=99999,99999", "viewport=1,1,1", "viewport=8,8,a,0,1,1", "viewport=8,8,-1,0,1,1"),
        *("viewport=8,8,64,0,8,8", "viewport=8,8,1e99,0,1,1", "viewport=", "viewport=8,8,0,0,8,8,8"),
        *("window=600,1600", "window=600,1600,bla", "window=a,b,linear", "window=1,0,linear", "window="),
        *("window=nan,1,linear", "window=1,inf,linear", "window=1,-5,sigmoid", "window=1,2,3,4"),
        *("quality=0", "quality=101", "quality=x", "quality=", "quality=1.5", "quality=-1"),
        "iccprofile=none-such",
    ],
)
def test_arguments_that_make_no_sense_say_what_is_allowed(stored: Client, query: str) -> None:
    answer = stored.get(f"{path()}/rendered?{query}")
    assert answer.status_code == 400
    assert len(answer.json()["Details"]) > 20


def test_annotations_are_accepted_with_a_warning(stored: Client) -> None:
    answer = stored.get(f"{path()}/rendered?annotation=patient,technique&iccprofile=srgb")
    assert answer.status_code == 200
    assert answer.headers["warning"].startswith("299 ")
    assert "patient,technique" in answer.headers["warning"]
    assert "warning" not in stored.get(f"{path()}/rendered").headers


def test_an_answer_can_be_kept_and_asked_about(stored: Client) -> None:
    first = stored.get(f"{path()}/rendered")
    assert first.headers["cache-control"] == "private, no-cache"
    tag = first.headers["etag"]
    again = stored.get(f"{path()}/rendered", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for other in ("quality=50", "viewport=8,8", "window=1,2,sigmoid"):
        answer = stored.get(f"{path()}/rendered?{other}", headers={"If-None-Match": tag})
        assert answer.status_code == 200


def test_head_has_the_length(stored: Client) -> None:
    answer = stored.request("HEAD", f"{path()}/rendered")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(stored.get(f"{path()}/rendered").content)


@pytest.mark.parametrize(
    "place",
    [
        "/studies/9.9",
        "/studies/1.2.3/series/9",
        "/studies/1.2.3/series/1.2.3.4/instances/9",
        "/studies/1.2.3",
    ],
)
def test_what_is_not_there_is_not_found(client: Client, place: str) -> None:
    assert client.get(f"{ROOT}{place}/rendered").status_code == 404


def test_a_plan_has_no_picture(client: Client, plan: bytes) -> None:
    store(client, plan)
    place = "/studies/1.22.333.4.555555.6.7777777777777777777777777777"
    answer = client.get(f"{ROOT}{place}/rendered")
    assert answer.status_code == 406
    assert answer.json()["Details"]


def cine(client: Client, count: int = 5, **more: object) -> list[np.ndarray]:
    frames = [ramp(20, 30) // (number + 1) for number in range(count)]
    store(client, image(np.stack(frames), **more))
    return frames


def test_frames(client: Client) -> None:
    frames = cine(client)
    for number in (1, 3, 5):
        answer = client.get(f"{path()}/frames/{number}/rendered", headers=PNG)
        assert np.array_equal(shown(answer.content), frames[number - 1])
    assert np.array_equal(shown(client.get(f"{path()}/rendered", headers=PNG).content), frames[0])


@pytest.mark.parametrize("frames", ["0", "6", "a", "-1", "1,", "1,6", "1.0", "99999999999", "1;2"])
def test_frames_that_are_not_there(client: Client, frames: str) -> None:
    cine(client)
    answer = client.get(f"{path()}/frames/{frames}/rendered")
    assert answer.status_code == 400
    assert "1" in answer.json()["Details"]


def test_several_frames_are_parts(client: Client) -> None:
    frames = cine(client)
    answer = client.get(f"{path()}/frames/4,2/rendered", headers=PNG)
    assert answer.headers["content-type"].startswith('multipart/related; type="image/png"')
    parts = parts_of(answer.content, answer.headers["content-type"])
    assert [kind for kind, _ in parts] == ["image/png"] * 2
    assert np.array_equal(shown(parts[0][1]), frames[3])
    assert np.array_equal(shown(parts[1][1]), frames[1])


def test_frames_as_gif_are_an_animation(client: Client) -> None:
    frames = cine(client, FrameTime="40")
    for place, numbers in (("", range(5)), ("/frames/2,4", (1, 3))):
        answer = client.get(f"{path()}{place}/rendered", headers=GIF)
        moving = Image.open(io.BytesIO(answer.content))
        assert moving.info["duration"] == 40
        for position, number in enumerate(numbers):
            moving.seek(position)
            assert np.array_equal(np.asarray(moving.convert("L")), frames[number])


def test_an_animation_is_bounded(client: Client) -> None:
    store(client, image(np.zeros((1001, 2, 2), np.uint8)))
    answer = client.get(f"{path()}/rendered", headers=GIF)
    assert answer.status_code == 413
    assert "1000" in answer.json()["Details"]
    too_large = client.get(f"{path()}/frames/1,2,3/rendered?viewport=16384,16384&accept=image/gif")
    assert too_large.status_code == 400


@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_a_picture_that_would_be_too_large(client: Client, what: str) -> None:
    store(client, image(np.zeros((4, 4), np.uint8)))
    answer = client.get(f"{path()}/{what}?viewport=16384,16384")
    assert answer.status_code == 400
    assert "pixels" in answer.json()["Details"]


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream"])
def test_parts_of_an_instance(client: Client, kind: str) -> None:
    cine(client)
    answer = client.get(f"{path()}/rendered", headers={"Accept": f'multipart/related; type="{kind}"'})
    parts = parts_of(answer.content, answer.headers["content-type"])
    assert [part[0] for part in parts] == ["image/jpeg"] * 5


def test_parts_of_a_series_are_its_pictures(client: Client, plan: bytes) -> None:
    store(client, *(image(ramp() // number, f"1.2.3.4.{number}") for number in (1, 2, 3)))
    answer = client.get(
        f"{ROOT}/studies/1.2.3/rendered", headers={"Accept": "multipart/related; type=image/png"}
    )
    parts = parts_of(answer.content, answer.headers["content-type"])
    assert len(parts) == 3
    store(client, plan)
    none = client.get(
        f"{ROOT}/studies/1.22.333.4.555555.6.7777777777777777777777777777/rendered",
        headers={"Accept": "multipart/related; type=image/png"},
    )
    assert none.status_code == 406


def test_the_representative_is_in_the_middle_of_the_first_series_of_images(client: Client) -> None:
    for number in (3, 1, 2, 4, 5):
        store(
            client, image(np.full((4, 4), 10 * number, np.uint8), f"1.2.3.4.{number}", InstanceNumber=number)
        )
    store(
        client,
        image(np.full((4, 4), 200, np.uint8), "1.2.3.5.1", series="1.2.3.5", SeriesNumber=1, Modality="SEG"),
        image(np.full((4, 4), 210, np.uint8), "1.2.3.6.1", series="1.2.3.6", SeriesNumber=7, Modality="CT"),
    )
    seen = shown(client.get(f"{ROOT}/studies/1.2.3/series/1.2.3.4/rendered", headers=PNG).content)
    assert seen[0, 0] == 30
    assert shown(client.get(f"{ROOT}/studies/1.2.3/rendered", headers=PNG).content)[0, 0] == 210


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("examples_palette.dcm", (350, 800, 3)),
        ("SC_rgb_dcmtk_+eb+cy+n1.dcm", (100, 100, 3)),
        ("SC_ybr_full_422_uncompressed.dcm", (100, 100, 3)),
        ("examples_jpeg2k.dcm", (480, 640, 3)),
        ("JPEG2000.dcm", (1024, 256)),
        ("image_dfl.dcm", (512, 512)),
        ("MR_small_RLE.dcm", (64, 64)),
    ],
)
def test_real_images_of_all_kinds(client: Client, name: str, shape: tuple[int, ...]) -> None:
    content = read(name)
    stored = client.post("/instances", content=content).json()
    tags = client.get(f"/instances/{stored['ID']}/simplified-tags").json()
    place = path(tags["SOPInstanceUID"], tags["SeriesInstanceUID"], tags["StudyInstanceUID"])
    for kind in (PNG, JPEG, GIF):
        answer = client.get(f"{place}/rendered", headers=kind)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind["Accept"])
        assert shown(answer.content).shape[:2] == shape[:2]


def test_monochrome1_is_turned_round(client: Client) -> None:
    store(client, image(ramp(), PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(shown(client.get(f"{path()}/rendered", headers=PNG).content), 255 - ramp())


def test_pixels_that_are_damaged_are_refused(client: Client) -> None:
    store(client, image(ramp(), Rows=32, Columns=64, PixelData=b"ab"))
    answer = client.get(f"{path()}/rendered")
    assert answer.status_code == 406
    assert "shorter" in answer.json()["Details"]


def test_a_study_that_is_stored_for_two_patients_is_shown(client: Client) -> None:
    store(client, image(ramp()), image(ramp(), PatientID="P2"))
    assert client.get(f"{path()}/rendered").status_code == 200


def test_a_small_image_does_not_grow_without_an_end(client: Client) -> None:
    store(client, image(np.zeros((8, 8), np.uint8)))
    for query in ("viewport=8192,8192", "viewport=4097,4097", "viewport=8192,8192,0,0,1,1"):
        answer = client.get(f"{path()}/rendered?{query}")
        assert answer.status_code == 400
        assert "pixels" in answer.json()["Details"]
    assert client.get("/wado?requestType=WADO&objectUID=1.2.3.4.5&rows=8192").status_code == 400
    assert shown(client.get(f"{path()}/rendered?viewport=640,480").content).shape == (480, 480)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_parts_of_a_series_leave_out_what_cannot_be_read(
    make_client: MakeClient, damage: str, compressed: bool
) -> None:
    client = make_client(storage_compression=compressed)
    store(client, image(ramp(), "1.2.3.4.1"))
    [first] = files_of(client)
    store(client, image(ramp(), "1.2.3.4.2"))
    lose(client, first, damage)
    place = f"{ROOT}/studies/1.2.3/rendered"
    answer = client.get(place, headers={"Accept": "multipart/related; type=image/png"})
    assert answer.status_code == 200
    assert len(parts_of(answer.content, answer.headers["content-type"])) == 1
    assert "etag" not in answer.headers
