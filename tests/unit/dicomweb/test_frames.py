"""Frames as viewers ask for them: the exact requests of OHIF, cornerstone3D, Weasis' kin and dicomweb-client."""

from __future__ import annotations

import io
import threading
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from tests.data.images import Pixels, big_endian, encapsulated, header, native
from tests.data.real import content_of
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb.parts import Part, instance_path, parts_of

from ithil.archive import stored_frames
from ithil.archive.archive import Archive
from ithil.archive.stored_frames import StoredFrames
from ithil.archive.uids import Located
from ithil.dicomweb import frames as skin
from ithil.pixels import frame_transcode

EXPLICIT, RLE, JPEG_BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
JPEG_LS, HTJ2K, JPEG_LOSSLESS = (f"1.2.840.10008.1.2.4.{number}" for number in (80, 201, 70))

CORNERSTONE = "multipart/related; type=application/octet-stream; transfer-syntax=*"
OHIF = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
NO_BLANKS = 'multipart/related;type="application/octet-stream";transfer-syntax=*'
DICOMWEB_CLIENT = 'multipart/related; type="*/*"'

UIDS: dict[int, Any] = {
    0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
    0x00080018: ("UI", b"2.25.30"),
    0x0020000D: ("UI", b"2.25.10"),
    0x0020000E: ("UI", b"2.25.20"),
}


def even(elements: dict[int, Any]) -> dict[int, Any]:
    return {tag: (vr, value + b"\0" * (len(value) & 1)) for tag, (vr, value) in elements.items()}


def stored(client: Client, content: bytes) -> str:
    """The path of the frames of a file that is stored now."""
    assert client.post("/instances", content=content).status_code == 200
    return f"{instance_path(content)}/frames"


def frame(client: Client, path: str, accept: str, number: int | str = 1) -> Part:
    answer = client.get(f"{path}/{number}", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    (part,) = parts_of(answer)
    return part


def pixels(content: bytes) -> bytes:
    return bytes(pydicom.dcmread(io.BytesIO(content)).PixelData)


@pytest.mark.parametrize("accept", [CORNERSTONE, OHIF, NO_BLANKS])
def test_viewers_that_take_what_is_stored_get_its_bytes_and_its_name(
    client: Client, mr: bytes, accept: str
) -> None:
    part = frame(client, stored(client, mr), accept)
    assert part.headers["Content-Type"] == f"application/octet-stream; transfer-syntax={RLE}"
    fragments = pydicom.encaps.get_frame(pixels(mr), 0, number_of_frames=1)
    assert part.content == fragments


@pytest.mark.parametrize("accept", [CORNERSTONE, OHIF, DICOMWEB_CLIENT, "*/*", ""])
def test_native_frames_are_explicit_little_endian(client: Client, ct: bytes, accept: str) -> None:
    part = frame(client, stored(client, ct), accept)
    assert part.headers["Content-Type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert part.content == pixels(ct)


@pytest.mark.parametrize(
    "accept", ["*/*", DICOMWEB_CLIENT, 'multipart/related; type="application/octet-stream"']
)
def test_frames_stored_without_loss_are_decoded_where_no_transfer_syntax_is_named(
    client: Client, mr: bytes, accept: str
) -> None:
    part = frame(client, stored(client, mr), accept)
    assert part.headers["Content-Type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert part.content == pydicom.dcmread(io.BytesIO(mr)).pixel_array.astype("<i2").tobytes()


def test_frames_stored_with_loss_stay_as_they_are_unless_raw_ones_are_wanted(client: Client) -> None:
    content = content_of("pydicom/SC_rgb_jpeg_dcmtk.dcm")
    path = stored(client, content)
    part = frame(client, path, "*/*")
    assert part.headers["Content-Type"] == f"image/jpeg; transfer-syntax={JPEG_BASELINE}"
    assert part.content.startswith(b"\xff\xd8\xff")
    raw = frame(client, path, 'multipart/related; type="application/octet-stream"')
    assert raw.headers["Content-Type"].endswith(EXPLICIT)
    assert len(raw.content) == 100 * 100 * 3


def test_a_part_says_where_it_can_be_had_alone(client: Client, ct: bytes) -> None:
    path = stored(client, ct)
    part = frame(client, path, CORNERSTONE)
    assert part.headers["Content-Location"] == f"http://server{path}/1"
    assert next(iter(part.headers)) == "Content-Type"


def test_one_frame_comes_alone_for_who_names_its_type_alone(client: Client, ct: bytes) -> None:
    answer = client.get(f"{stored(client, ct)}/1", headers={"Accept": "application/octet-stream"})
    assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert answer.content == pixels(ct)


def test_cornerstones_accept_in_the_address_is_htj2k(client: Client, ct: bytes) -> None:
    answer = client.get(f"{stored(client, ct)}/1?accept=image/jhc", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == f"image/jphc; transfer-syntax={HTJ2K}"
    assert imagecodecs.jpeg2k_decode(answer.content).astype("<i2").tobytes() == pixels(ct)


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [("image/jpeg", JPEG_LOSSLESS), ("image/jls", JPEG_LS), ("image/jp2", "1.2.840.10008.1.2.4.90"),
     ("image/jphc", HTJ2K), ("image/dicom-rle", RLE), ("image/x-jls", JPEG_LS)],
)  # fmt: skip
@pytest.mark.parametrize("named", ["; transfer-syntax=*", ""])
def test_ohifs_wishes_for_a_media_type_are_coded_in_its_own_syntax(
    client: Client, ct: bytes, media_type: str, syntax: str, named: str
) -> None:
    part = frame(client, stored(client, ct), f"multipart/related; type={media_type}{named}")
    assert part.headers["Content-Type"].endswith(f"; transfer-syntax={syntax}")
    described = header(128, 128, 16, signed=1)
    again = Pixels(encapsulated({**even(UIDS), **described}, [part.content], syntax)).frame()
    assert again.astype("<i2").tobytes() == pixels(ct)


def test_a_list_is_answered_with_what_is_stored_where_it_is_in_it(client: Client, mr: bytes) -> None:
    accept = (
        'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50, '
        'multipart/related; type="image/dicom-rle"; transfer-syntax=1.2.840.10008.1.2.5, '
        'multipart/related; type="application/octet-stream"'
    )
    part = frame(client, stored(client, mr), accept)
    assert part.headers["Content-Type"] == f"image/dicom-rle; transfer-syntax={RLE}"


def test_quality_decides_before_all_else(client: Client, mr: bytes) -> None:
    accept = "multipart/related; type=image/dicom-rle; q=0.5, multipart/related; type=image/jls"
    assert frame(client, stored(client, mr), accept).headers["Content-Type"].endswith(JPEG_LS)


def test_what_cannot_be_coded_gives_way_to_the_next_wish(client: Client, ct: bytes) -> None:
    accept = "multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50, " + CORNERSTONE
    assert frame(client, stored(client, ct), accept).headers["Content-Type"].endswith(EXPLICIT)


@pytest.mark.parametrize(
    "accept",
    ["text/html", "image/png", "multipart/related; type=image/jpeg; transfer-syntax=1.2.3",
     "multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.5",
     "multipart/related; type=image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50",
     "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2", "video/mp4"],
)  # fmt: skip
def test_a_wish_that_nothing_fulfils_is_refused_with_what_there_is(
    client: Client, ct: bytes, accept: str
) -> None:
    answer = client.get(f"{stored(client, ct)}/1", headers={"Accept": accept})
    assert answer.status_code == 406
    available = answer.json()["ErrorPayload"]["Available"]
    assert available[0] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert f"image/jphc; transfer-syntax={HTJ2K}" in available
    assert not any(one.endswith(JPEG_BASELINE) for one in available)  # 16 bits do not fit


@pytest.mark.parametrize(("numbers", "wanted"), [("2,1", [2, 1]), ("1,%202", [1, 2]), ("1%2C2,2", [1, 2, 2])])
def test_frames_come_in_the_order_of_the_list(client: Client, numbers: str, wanted: list[int]) -> None:
    content = content_of("pydicom/SC_rgb_rle_2frame.dcm")
    path = stored(client, content)
    parts = parts_of(client.get(f"{path}/{numbers}", headers={"Accept": CORNERSTONE}))
    one_by_one = {number: frame(client, path, CORNERSTONE, number) for number in (1, 2)}
    assert [part.content for part in parts] == [one_by_one[number].content for number in wanted]
    assert [part.headers["Content-Location"] for part in parts] == [
        f"http://server{path}/{number}" for number in wanted
    ]


@pytest.mark.parametrize("accept", [CORNERSTONE, "*/*", "application/octet-stream"])
def test_without_a_list_all_frames_come(client: Client, accept: str) -> None:
    content = content_of("pydicom/examples_ybr_color.dcm")
    path = stored(client, content)
    parts = parts_of(client.get(path, headers={"Accept": accept}))
    assert [part.headers["Content-Location"].rpartition("/")[2] for part in parts] == [
        str(number) for number in range(1, 31)
    ]
    part = frame(client, path, 'multipart/related; type="application/octet-stream"', 7)
    if accept != CORNERSTONE:
        assert len(part.content) == 240 * 320 * 3


@pytest.mark.parametrize("numbers", ["0", "2", "-1", "x", "1,2", ",", "1,,1", "1.0", "9999999999", "%D9%A1"])
def test_impossible_numbers_are_a_bad_request(client: Client, ct: bytes, numbers: str) -> None:
    answer = client.get(f"{stored(client, ct)}/{numbers}")
    assert answer.status_code == 400
    assert "frames" in answer.json()["Details"]


def test_there_are_no_frames_of_what_is_unknown_or_has_no_pixels(client: Client, plan: bytes) -> None:
    path = stored(client, plan)
    assert client.get(f"{path}/1").status_code == 404
    assert client.get("/dicom-web/studies/1/series/2/instances/3/frames/1").status_code == 404
    series = path.replace("/series/", "/series/9.")
    assert client.get(f"{series}/1").status_code == 404


def test_a_browser_that_has_a_frame_is_told_so(client: Client, ct: bytes) -> None:
    path = f"{stored(client, ct)}/1"
    first = client.get(path, headers={"Accept": CORNERSTONE})
    tag = first.headers["etag"]
    assert first.headers["vary"] == "Accept"
    again = client.get(path, headers={"Accept": CORNERSTONE, "If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(path, headers={"Accept": "application/octet-stream", "If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("accept", [CORNERSTONE, "application/octet-stream", "image/jls"])
def test_cornerstones_ranges_add_up_to_the_answer(client: Client, ct: bytes, accept: str) -> None:
    path = f"{stored(client, ct)}/1"
    whole = client.get(path, headers={"Accept": accept})
    assert whole.headers["accept-ranges"] == "bytes"
    size, gathered = len(whole.content), b""
    while len(gathered) < size:
        start = len(gathered)
        answer = client.get(path, headers={"Accept": accept, "Range": f"bytes={start}-{start + 9999}"})
        assert answer.status_code == 206
        assert answer.headers["content-type"] == whole.headers["content-type"]
        end = start + len(answer.content)
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        gathered += answer.content
    assert gathered == whole.content


def test_a_range_of_another_version_is_the_whole_and_one_behind_the_end_is_told_the_size(
    client: Client, ct: bytes
) -> None:
    path = f"{stored(client, ct)}/1"
    accept = {"Accept": "application/octet-stream"}
    tag = client.get(path, headers=accept).headers["etag"]
    part = client.get(path, headers={**accept, "Range": "bytes=0-9", "If-Range": tag})
    assert (part.status_code, len(part.content)) == (206, 10)
    whole = client.get(path, headers={**accept, "Range": "bytes=0-9", "If-Range": '"other"'})
    assert (whole.status_code, len(whole.content)) == (200, 32768)
    behind = client.get(path, headers={**accept, "Range": "bytes=32768-"})
    assert (behind.status_code, behind.headers["content-range"]) == (416, "bytes */32768")


def test_an_answer_that_is_kept_is_the_same_again(client: Client, ct: bytes) -> None:
    path = f"{stored(client, ct)}/1"
    for accept in (CORNERSTONE, "application/octet-stream", "image/jls"):
        first, second = (client.get(path, headers={"Accept": accept}) for _ in range(2))
        assert (second.content, second.headers) == (first.content, first.headers)


def test_head_tells_the_length(client: Client, ct: bytes) -> None:
    path = f"{stored(client, ct)}/1"
    answer = client.request("HEAD", path, headers={"Accept": "application/octet-stream"})
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "32768")


def test_frames_of_big_endian_and_deflated_files_are_little_endian(client: Client) -> None:
    samples = bytes(range(12))
    content = big_endian({**even(UIDS), **header(2, 3, 16)}, samples)
    expected = np.frombuffer(samples, ">u2").astype("<u2").tobytes()
    path = stored(client, content)
    assert frame(client, path, CORNERSTONE).content == expected
    part = client.get(f"{path}/1", headers={"Accept": "application/octet-stream", "Range": "bytes=3-6"})
    assert part.content == expected[3:7]
    deflated = content_of("pydicom/image_dfl.dcm")
    answer = client.get(f"{stored(client, deflated)}/1", headers={"Accept": "application/octet-stream"})
    assert answer.content == pixels(deflated)


def test_a_frame_that_begins_inside_a_byte_begins_a_byte_here(client: Client) -> None:
    bits = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1], np.uint8)  # three frames of five pixels
    packed = np.packbits(bits, bitorder="little").tobytes()
    content = native({**even(UIDS), **header(1, 5, 1, frames=3)}, packed, vr="OB")
    path = stored(client, content)
    for number in range(3):
        part = frame(client, path, CORNERSTONE, number + 1)
        unpacked = np.unpackbits(np.frombuffer(part.content, np.uint8), bitorder="little")[:5]
        assert unpacked.tolist() == bits[5 * number : 5 * number + 5].tolist()


VIDEO = "1.2.840.10008.1.2.4.102"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", "video/mp4"), ("video/mp4", "video/mp4"), ("video/*", "video/mp4"),
     (CORNERSTONE, "application/octet-stream")],
)  # fmt: skip
def test_a_video_is_one_frame(client: Client, accept: str, media_type: str) -> None:
    content = encapsulated({**even(UIDS), **header(8, 8, 8, samples=3, frames=90)}, [b"abcd", b"efgh"], VIDEO)
    path = stored(client, content)
    answer = client.get(f"{path}/1", headers={"Accept": accept})
    if accept.startswith("video"):
        assert answer.headers["content-type"] == f"{media_type}; transfer-syntax={VIDEO}"
        assert answer.content == b"abcdefgh"
    else:
        (part,) = parts_of(answer)
        assert part.headers["Content-Type"] == f"{media_type}; transfer-syntax={VIDEO}"
        assert part.content == b"abcdefgh"
    assert client.get(f"{path}/2").status_code == 400
    ranged = client.get(f"{path}/1", headers={"Accept": "video/mp4", "Range": "bytes=2-5"})
    assert ranged.content == b"cdef"


def test_a_large_answer_is_sent_in_pieces_and_in_ranges(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skin, "LARGEST_AT_ONCE", 100)
    content = content_of("pydicom/SC_rgb_rle_2frame.dcm")
    path = stored(client, content)
    whole = client.get(f"{path}/2,1", headers={"Accept": CORNERSTONE})
    assert len(parts_of(whole)) == 2
    assert whole.headers["content-length"] == str(len(whole.content))
    for first, last in ((0, 10), (40, 700), (800, 801), (300, len(whole.content) - 1), (5, 10**9)):
        answer = client.get(f"{path}/2,1", headers={"Accept": CORNERSTONE, "Range": f"bytes={first}-{last}"})
        assert answer.content == whole.content[first : last + 1]


def test_who_asks_for_the_same_coded_frame_at_the_same_time_waits_for_one_coding(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{stored(client, ct)}/1"
    begun, go_on, count = threading.Event(), threading.Event(), []
    original = frame_transcode.transcode_frame

    def slow(*arguments: Any, **options: Any) -> bytes:
        count.append(1)
        begun.set()
        assert go_on.wait(20)
        return original(*arguments, **options)

    monkeypatch.setattr(frame_transcode, "transcode_frame", slow)
    answers: list[bytes] = []
    asks = [
        threading.Thread(
            target=lambda: answers.append(client.get(path, headers={"Accept": "image/jls"}).content)
        )
        for _ in range(3)
    ]
    for ask in asks:
        ask.start()
    assert begun.wait(20)
    go_on.set()
    for ask in asks:
        ask.join(20)
    assert len(set(answers)) == 1
    assert len(answers) == 3
    assert len(count) == 1


def test_a_damaged_frame_is_an_error_that_says_so(client: Client) -> None:
    content = encapsulated({**even(UIDS), **header(8, 8)}, [b"\xff\xd8\xff no JPEG at all"], JPEG_LS)
    path = stored(client, content)
    answer = client.get(f"{path}/1")
    assert answer.status_code == 500
    assert answer.json()["OrthancStatus"] == 15
    assert client.get(f"{path}/1", headers={"Accept": CORNERSTONE}).status_code == 200


def test_a_deleted_frame_is_gone(client: Client, ct: bytes) -> None:
    path = f"{stored(client, ct)}/1"
    assert client.get(path).status_code == 200
    client.delete(f"/instances/{client.get('/instances').json()[0]}")
    assert client.get(path).status_code == 404


def test_a_frame_whose_file_is_missing_is_an_error(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(maximum_storage_cache_size=0)
    path = f"{stored(client, ct)}/1"
    storage = client.app.context.archive.storage
    for uuid, _, _ in storage.all_files():
        storage.remove(uuid)
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["Message"] == "Inexistent file"


def test_links_are_those_that_the_proxy_tells(client: Client, ct: bytes) -> None:
    path = f"{stored(client, ct)}/1"
    forwarded = {"Forwarded": "proto=https;host=pacs.example.org", "Accept": CORNERSTONE}
    (part,) = parts_of(client.get(path, headers=forwarded))
    assert part.headers["Content-Location"].startswith("https://pacs.example.org/dicom-web/studies/")


def test_the_places_of_frames_are_found_once(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{stored(client, ct)}/1"
    looks: list[str] = []
    original = stored_frames._look

    def counted(archive: Archive, found: Located) -> StoredFrames:
        looks.append(found.id)
        return original(archive, found)

    monkeypatch.setattr(stored_frames, "_look", counted)
    for accept in (CORNERSTONE, "*/*", "application/octet-stream"):
        assert client.get(path, headers={"Accept": accept}).status_code == 200
    assert len(looks) == 1


@pytest.mark.parametrize("what", ["", "/rendered"])
def test_a_request_names_so_many_frames_and_no_more(client: Client, ct: bytes, what: str) -> None:
    path = stored(client, ct)
    answer = client.get(f"{path}/{','.join(['1'] * 1001)}{what}")
    assert answer.status_code == 400
    assert "1000" in answer.json()["Details"]
    assert client.get(f"{path}/{','.join(['1'] * 1000)}").status_code == 200
