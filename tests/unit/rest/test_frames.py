"""Frames over HTTP: their list, stored bytes, pictures and arrays, and what bad requests get."""

from __future__ import annotations

import gzip
import io

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from tests.data.datasets import body, part10
from tests.data.images import encapsulated, header, native, text
from tests.data.real import content_of, path_of
from tests.unit.application import CT_INSTANCE, Client, MakeClient

from ithil.archive.storage.local import LocalStorage

PAM = "image/x-portable-arbitrarymap"
CT = f"/instances/{CT_INSTANCE}"


def upload(client: Client, content: bytes) -> str:
    """The path of the instance."""
    answer = client.post("/instances", content=content)
    assert answer.status_code == 200, answer.text
    return "/instances/" + answer.json()["ID"]


def picture(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as image:
        return np.array(image)


@pytest.fixture
def one(client: Client, ct: bytes) -> Client:
    """A client of an archive with the CT image."""
    upload(client, ct)
    return client


@pytest.fixture
def colour(client: Client) -> str:
    """The path of a colour image with 30 JPEG frames."""
    return upload(client, content_of("pydicom/examples_ybr_color.dcm"))


def test_the_list_of_frames(client: Client, colour: str, plan: bytes) -> None:
    assert client.get(f"{colour}/frames").json() == list(range(30))
    assert client.get(upload(client, plan) + "/frames").json() == [0]


def test_what_can_be_asked_of_a_frame(one: Client) -> None:
    names = [
        "image-int16",
        "image-uint16",
        "image-uint8",
        "matlab",
        "numpy",
        "preview",
        "raw",
        "raw.gz",
        "rendered",
    ]
    assert one.get(f"{CT}/frames/0").json() == names
    assert one.get("/instances/nope/frames/7").json() == names


def test_raw_bytes(one: Client) -> None:
    stored = pydicom.dcmread(path_of("pydicom/CT_small.dcm")).PixelData
    answer = one.get(f"{CT}/frames/0/raw")
    assert answer.content == stored
    assert answer.headers["content-type"] == "application/octet-stream"
    zipped = one.get(f"{CT}/frames/0/raw.gz")
    assert gzip.decompress(zipped.content) == stored
    assert zipped.headers["content-type"] == "application/gzip"


def test_raw_bytes_of_a_coded_frame(client: Client, colour: str) -> None:
    answer = client.get(f"{colour}/frames/29/raw")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (320, 240)


def test_videos_are_served_as_they_are(client: Client) -> None:
    video = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8
    path = upload(
        client, encapsulated(header(8, 8, frames=99), [video[:1000], video[1000:]], "1.2.840.10008.1.2.4.102")
    )
    answer = client.get(f"{path}/frames/0/raw")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content == video[:1000]
    assert client.get(f"{path}/preview").status_code == 415


def test_a_video_in_many_fragments_is_one_frame(client: Client) -> None:
    video = bytes(range(256)) * 8
    parts = [video[start : start + 512] for start in range(0, len(video), 512)]
    path = upload(client, encapsulated(header(8, 8), parts, "1.2.840.10008.1.2.4.100"))
    answer = client.get(f"{path}/frames/0/raw")
    assert answer.content == video
    assert answer.headers["content-type"] == "video/mpeg"


def test_pictures_are_png_without_a_wish(one: Client) -> None:
    for name in ("preview", "rendered", "image-uint8"):
        for path in (CT, f"{CT}/frames/0"):
            answer = one.get(f"{path}/{name}")
            assert answer.headers["content-type"] == "image/png"
            assert picture(answer).dtype == np.uint8
    stored = pydicom.dcmread(path_of("pydicom/CT_small.dcm")).pixel_array
    deep = picture(one.get(f"{CT}/image-uint16"))
    assert deep.astype(np.int32).tolist() == stored.tolist()
    assert picture(one.get(f"{CT}/image-int16")).astype(np.int32).tolist() == stored.tolist()
    assert picture(one.get(f"{CT}/image-uint8")).tolist() == np.minimum(stored, 255).tolist()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/png", "image/png"),
        ("image/jpeg", "image/jpeg"),
        (PAM, PAM),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/jpeg, image/png", "image/jpeg"),
        ("image/png;q=0.1, image/jpeg", "image/jpeg"),
        ("text/html, image/webp, */*;q=0.8", "image/png"),
        ("IMAGE/JPEG; quality=3", "image/jpeg"),
        ("", "image/png"),
    ],
)
def test_the_format_that_is_wished(one: Client, accept: str, media_type: str) -> None:
    answer = one.get(f"{CT}/preview", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize(
    "accept",
    [
        "image/gif",
        "text/html",
        "application/json",
        "image/png;q=0",
        "image/png;q=9e9",
        ";;;",
        "image/gif," * 10_000,
    ],
)
def test_a_format_that_is_not_offered(one: Client, accept: str) -> None:
    answer = one.get(f"{CT}/preview", headers={"Accept": accept})
    assert (answer.status_code, answer.content) == (406, b"")


@pytest.mark.parametrize("name", ["image-uint16", "image-int16"])
def test_jpeg_does_not_hold_16_bits(one: Client, name: str) -> None:
    assert one.get(f"{CT}/{name}", headers={"Accept": "image/jpeg"}).status_code == 406
    assert one.get(f"{CT}/{name}", headers={"Accept": "image/jpeg, image/png;q=0.1"}).status_code == 200


def test_the_quality_of_jpeg(one: Client) -> None:
    sizes = [
        len(one.get(f"{CT}/preview?quality={quality}", headers={"Accept": "image/jpeg"}).content)
        for quality in (1, 90, 100)
    ]
    default = len(one.get(f"{CT}/preview", headers={"Accept": "image/jpeg"}).content)
    assert sizes[0] < sizes[1] == default < sizes[2]


@pytest.mark.parametrize("quality", ["0", "101", "-1", "abc", "1e2", "99999999999999999999999"])
def test_a_quality_that_is_none(one: Client, quality: str) -> None:
    assert one.get(f"{CT}/preview?quality={quality}").status_code == 400


def test_a_rendered_frame_takes_window_and_size(one: Client) -> None:
    values = pydicom.dcmread(path_of("pydicom/CT_small.dcm")).pixel_array.astype(int) - 1024
    shown = picture(one.get(f"{CT}/rendered?window-center=40&window-width=400"))
    assert shown.tolist() == np.clip((values + 160) * 255 // 400, 0, 255).tolist()
    assert picture(one.get(f"{CT}/rendered?width=64&height=32")).shape == (32, 32)
    assert picture(one.get(f"{CT}/rendered?width=300&smooth=1")).shape == (300, 300)
    plain, smooth = (picture(one.get(f"{CT}/rendered?width=40&smooth={n}")) for n in (0, 1))
    assert plain.astype(int).std() > smooth.astype(int).std()


@pytest.mark.parametrize(
    "query",
    ["window-center=abc", "window-center=", "window-center=nan", "window-width=inf", "window-width=1e999"]
    + ["window-center=0x10", "window-center=%20600", "window-center=" + "9" * 5000, "width=abc", "height=1.5"]
    + ["width=1000000000", "width=99999", "height=18446744073709551616", "smooth=perhaps"],
)
def test_arguments_that_make_no_sense(one: Client, query: str) -> None:
    assert one.get(f"{CT}/rendered?{query}").status_code == 400


@pytest.mark.parametrize(
    "frame", ["1", "-1", "x", "0.0", "4294967296", "99999999999999999999", "%201", "1" * 3000]
)
def test_pictures_of_frames_that_are_not_there(one: Client, frame: str) -> None:
    answer = one.get(f"{CT}/frames/{frame}/preview")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(("frame", "status"), [("1", 400), ("-1", 400), ("x", 404), ("4294967296", 404)])
@pytest.mark.parametrize("name", ["raw", "raw.gz", "matlab"])
def test_bytes_of_frames_that_are_not_there(one: Client, frame: str, status: int, name: str) -> None:
    assert one.get(f"{CT}/frames/{frame}/{name}").status_code == status


@pytest.mark.parametrize("frame", ["1", "x"])
def test_arrays_of_frames_that_are_not_there(one: Client, frame: str) -> None:
    assert one.get(f"{CT}/frames/{frame}/numpy").json()["OrthancStatus"] == 3


def test_unknown_instances(client: Client) -> None:
    for name in ("frames", "numpy", "matlab", "pdf", "frames/0/raw", "frames/0/raw.gz", "frames/0/numpy"):
        assert client.get(f"/instances/nope/{name}").json()["OrthancStatus"] == 17
    for name in ("preview", "rendered", "image-uint8", "frames/0/preview"):
        answer = client.get(f"/instances/nope/{name}")
        assert (answer.status_code, answer.content) == (404, b"")
    assert client.get("/series/nope/numpy").json()["OrthancStatus"] == 17


def test_what_cannot_be_shown(client: Client, plan: bytes) -> None:
    path = upload(client, plan)
    for name in ("preview", "rendered", "image-uint8", "frames/0/preview", "frames/5/preview"):
        answer = client.get(f"{path}/{name}")
        assert (answer.status_code, answer.content) == (415, b"")
    for name in ("numpy", "matlab", "frames/0/raw", "frames/0/raw.gz", "frames/0/numpy"):
        answer = client.get(f"{path}/{name}")
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (500, 2)


@pytest.mark.parametrize("name", ["preview", "frames/0/rendered"])
def test_a_picture_instead_of_what_cannot_be_shown(client: Client, plan: bytes, name: str) -> None:
    answer = client.get(f"{upload(client, plan)}/{name}?returnUnsupportedImage")
    assert answer.status_code == 307
    assert picture(client.get(str(answer.url.join(answer.headers["location"])))).ndim == 2


def test_pictures_of_damaged_frames(client: Client) -> None:
    """Codestreams that lie about their size, and palettes that are cut off, are refused one by one."""
    path = upload(client, encapsulated(header(8, 8), [b"\xff\xd8\xff\xd9"], "1.2.840.10008.1.2.4.50"))
    assert client.get(f"{path}/preview").status_code == 415
    assert client.get(f"{path}/frames/0/raw").content == b"\xff\xd8\xff\xd9"
    assert client.get("/system").status_code == 200


def test_colour_has_no_grey_values(client: Client, colour: str) -> None:
    for name in ("image-uint8", "image-uint16", "image-int16"):
        assert client.get(f"{colour}/{name}").status_code == 415


def loaded(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    return np.load(io.BytesIO(answer.content))  # type: ignore[no-any-return]


def test_arrays_of_grey_frames(one: Client) -> None:
    stored = pydicom.dcmread(path_of("pydicom/CT_small.dcm")).pixel_array
    rescaled = loaded(one.get(f"{CT}/numpy"))
    assert (rescaled.shape, rescaled.dtype) == ((1, 128, 128, 1), np.float32)
    assert (rescaled[0, ..., 0] == stored - 1024).all()
    plain = loaded(one.get(f"{CT}/frames/0/numpy?rescale=0"))
    assert (plain.shape, plain.dtype) == ((128, 128, 1), np.int16)
    assert (plain[..., 0] == stored).all()
    assert (loaded(one.get(f"{CT}/numpy?compress"))["arr_0"] == rescaled).all()


@pytest.mark.parametrize("value", ["abc", "2", "yes"])
@pytest.mark.parametrize("name", ["compress", "rescale"])
def test_switches_that_are_none(one: Client, name: str, value: str) -> None:
    assert one.get(f"{CT}/numpy?{name}={value}").status_code == 400


def test_arrays_of_colour_frames(client: Client, colour: str) -> None:
    """Six megabytes, which are sent frame by frame."""
    frames = loaded(client.get(f"{colour}/numpy"))
    assert (frames.shape, frames.dtype) == ((30, 240, 320, 3), np.uint8)
    assert (frames[7] == picture(client.get(f"{colour}/frames/7/preview"))).all()
    assert (loaded(client.get(f"{colour}/numpy?compress=1"))["arr_0"] == frames).all()


def test_arrays_of_series_in_the_order_of_space(client: Client) -> None:
    def slice_at(position: int, number: int, shade: int) -> bytes:
        extra = {
            0x00080018: text("UI", f"1.2.3.4.{number}"),
            0x00200013: text("IS", str(number)),
            0x00200032: text("DS", f"0\\0\\{position}"),
            0x00200037: text("DS", "1\\0\\0\\0\\1\\0"),
        }
        return native(header(2, 2), bytes([shade]) * 4, extra)

    for position, number, shade in ((30, 1, 3), (10, 2, 1), (20, 3, 2)):
        upload(client, slice_at(position, number, shade))
    (series,) = client.get("/series").json()
    assert loaded(client.get(f"/series/{series}/numpy"))[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_series_whose_frames_differ(client: Client) -> None:
    upload(client, native(header(2, 2), bytes(4), {0x00080018: text("UI", "1.2.3.4.1")}))
    upload(client, native(header(2, 4), bytes(8), {0x00080018: text("UI", "1.2.3.4.2")}))
    (series,) = client.get("/series").json()
    assert client.get(f"/series/{series}/numpy").json()["OrthancStatus"] == 24


def test_series_whose_numbers_differ(client: Client) -> None:
    upload(client, native(header(2, 2), bytes(4), {0x00080018: text("UI", "1.2.3.4.1")}))
    upload(client, native(header(2, 2, 16), bytes(8), {0x00080018: text("UI", "1.2.3.4.2")}))
    (series,) = client.get("/series").json()
    assert client.get(f"/series/{series}/numpy?rescale=0").json()["OrthancStatus"] == 23
    assert loaded(client.get(f"/series/{series}/numpy")).shape == (2, 2, 2, 1)


def test_matlab(one: Client) -> None:
    answer = one.get(f"{CT}/matlab")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.text.startswith("double([ 175 180 166 ")
    assert answer.text.count(";") == 127
    assert one.get(f"{CT}/frames/0/matlab").content == answer.content


def pdf(mime: str = "application/pdf") -> bytes:
    elements = {0x00420011: ("OB", b"%PDF-1.4 x"), 0x00420012: text("LO", mime)}
    return part10(body(elements))


def test_an_encapsulated_pdf(client: Client, one: Client) -> None:
    answer = client.get(upload(client, pdf()) + "/pdf")
    assert answer.content == b"%PDF-1.4 x"
    assert answer.headers["content-type"] == "application/pdf"
    assert one.get(f"{CT}/pdf").status_code == 404


def test_a_large_image_is_not_read_to_learn_that_it_is_no_pdf(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = upload(client, native(header(1024, 1024), bytes(1024 * 1024)))
    most = 0
    real = LocalStorage.read

    def read(storage: LocalStorage, uuid: str, start: int = 0, end: int | None = None) -> bytes:
        nonlocal most
        content = real(storage, uuid, start, end)
        most = max(most, len(content))
        return content

    monkeypatch.setattr(LocalStorage, "read", read)
    assert client.get(f"{path}/pdf").status_code == 404
    assert most < 10_000


def test_an_encapsulated_document_that_is_no_pdf(client: Client) -> None:
    assert client.get(upload(client, pdf("text/html")) + "/pdf").status_code == 404


def test_pictures_change_with_the_instance(make_client: MakeClient) -> None:
    """What is kept belongs to a stored file, so another file of the same instance is another picture."""
    client = make_client(overwrite_instances="Always")
    first = native(header(2, 2), bytes([9] * 4))
    path = upload(client, first)
    assert (picture(client.get(f"{path}/image-uint8")) == 9).all()
    upload(client, native(header(2, 2), bytes([8] * 4)))
    assert (picture(client.get(f"{path}/image-uint8")) == 8).all()
    client.delete(path)
    assert client.get(f"{path}/image-uint8").status_code == 404
