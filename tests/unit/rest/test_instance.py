"""One instance: its tags, the walk into its content, its attachments and metadata."""

from __future__ import annotations

import gzip
import hashlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.datasets import body, part10
from tests.unit.application import CT_INSTANCE, CT_SERIES, CT_STUDY, Client, MakeClient, read

from ithil.error_codes import CodedError
from ithil.http.ranges import requested_range


def upload(client: Client, content: bytes) -> str:
    path: str = client.post("/instances", content=content).json()["Path"]
    return path


@pytest.fixture
def path(client: Client, ct: bytes) -> str:
    return upload(client, ct)


def test_tags(client: Client, path: str) -> None:
    tags = client.get(f"{path}/tags").json()
    assert tags["0010,0020"] == {"Name": "PatientID", "Type": "String", "Value": "1CT1"}
    assert tags["7fe0,0010"] == {"Name": "PixelData", "Type": "Null", "Value": None}
    assert client.get(f"{path}/tags?short").json()["0010,0020"] == "1CT1"
    by_name = client.get(f"{path}/simplified-tags").json()
    assert by_name["PatientID"] == "1CT1"
    assert client.get(f"{path}/tags?simplify").json() == by_name
    assert "fffc,fffc" not in tags
    assert "fffc,fffc" in client.get(f"{path}/tags?whole").json()


def test_header(client: Client, path: str) -> None:
    header = client.get(f"{path}/header?simplify").json()
    assert header["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    assert client.get(f"{path}/header?short").json()["0002,0010"] == "1.2.840.10008.1.2.1"


def test_tags_of_what_is_not_there(client: Client, path: str) -> None:
    for name in ("tags", "simplified-tags", "header", "content", "content/0010-0010", "file"):
        answer = client.get(f"/instances/nope/{name}")
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 17)
    assert client.get(f"{path}/tags?ignore-length=nonsense").json()["OrthancStatus"] == 27


@pytest.mark.parametrize("tag", ["0010-0020", "0010,0020", "00100020", "PatientID"])
def test_the_raw_value_of_an_element(client: Client, path: str, tag: str) -> None:
    answer = client.get(f"{path}/content/{tag}")
    assert (answer.content, answer.headers["content-type"]) == (b"1CT1", "application/octet-stream")


def test_content_of_sequences(client: Client, plan: bytes) -> None:
    path = upload(client, plan) + "/content"
    assert client.get(path).json()[-1] == "300e-0002"
    assert client.get(f"{path}/300a-0010").json() == ["0", "1"]
    assert client.get(f"{path}/300a-0010/1").json()[0] == "300a-0012"
    assert client.get(f"{path}/DoseReferenceSequence/1/DoseReferenceNumber").content == b"2 "
    nested = client.get(f"{path}/300a-00b0/0/300a-0111/0").json()
    assert "300a-0112" in nested


@pytest.mark.parametrize(
    "step",
    [
        "300a-0010/2",
        "300a-0010/x",
        "300a-0010/-1",
        "300a-0010/99999999999999999999",
        "300a-0010/0/300a-0012/0",
        "0010-0010/0",
        "0010-4000",
        "0002-0010",
        "7fe0-0010",
    ],
)
def test_content_that_is_not_there(client: Client, plan: bytes, step: str) -> None:
    answer = client.get(f"{upload(client, plan)}/content/{step}")
    assert (answer.status_code, answer.content) == (404, b"")


def test_content_of_an_unknown_tag(client: Client, path: str) -> None:
    answer = client.get(f"{path}/content/NoSuchTag")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (500, 27)


def test_tags_after_the_pixel_data(client: Client, path: str, ct: bytes) -> None:
    assert client.get(f"{path}/content").json()[-2:] == ["7fe0-0010", "fffc-fffc"]
    assert client.get(f"{path}/content/fffc-fffc").content == ct[-126:]


def test_fragments(client: Client, path: str, ct: bytes, mr: bytes) -> None:
    native = f"{path}/content/7fe0-0010"
    assert client.get(native).json() == ["0"]
    assert client.get(f"{native}/0").content in ct
    assert len(client.get(f"{native}/0").content) == 128 * 128 * 2
    encapsulated = f"{upload(client, mr)}/content/PixelData"
    assert client.get(encapsulated).json() == ["0", "1"]
    assert client.get(f"{encapsulated}/0").content == bytes(4)
    assert client.get(f"{encapsulated}/1").content in mr
    assert client.get(f"{encapsulated}/2").status_code == 404


def test_numbers_are_little_endian(client: Client) -> None:
    path = upload(client, read("MR_small_bigendian.dcm"))
    assert client.get(f"{path}/content/Rows").content == (64).to_bytes(2, "little")


def test_the_file(client: Client, path: str, ct: bytes) -> None:
    for _ in range(2):  # the second from the cache
        answer = client.get(f"{path}/file")
        assert answer.content == ct
        assert answer.headers["content-type"] == "application/dicom"
        uuid = client.get(path).json()["FileUuid"]
        assert answer.headers["content-disposition"] == f'filename="{uuid}.dcm"'


def test_a_file_name_cannot_break_the_header(client: Client, path: str) -> None:
    answer = client.get(f"{path}/file?filename=a%22%0d%0aX-Evil:%201%e2%82%ac.dcm")
    assert answer.headers["content-disposition"] == 'filename="aX-Evil: 1?.dcm"'
    assert "x-evil" not in answer.headers


def test_a_missing_file_is_an_error_answer(client: Client, path: str) -> None:
    storage = client.app.context.settings.storage_directory
    uuid = client.get(path).json()["FileUuid"]
    for file in storage.rglob(uuid):
        file.unlink()
    answer = client.get(f"{path}/file")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, 13)


@pytest.mark.parametrize("compressed", [False, True])
def test_attachments(make_client: MakeClient, ct: bytes, compressed: bool) -> None:
    client = make_client(storage_compression=compressed)
    path = upload(client, ct) + "/attachments"
    md5 = hashlib.md5(ct).hexdigest()
    assert client.get(path).json() == ["dicom"]
    assert client.get(f"{path}?full").json() == {"dicom": 1}
    assert client.get(f"{path}/dicom/size").text == str(len(ct))
    assert client.get(f"{path}/1/md5").text == md5
    assert client.get(f"{path}/dicom/is-compressed").text == str(int(compressed))
    assert client.get(f"{path}/dicom/data").content == ct
    raw = client.get(f"{path}/dicom/compressed-data").content
    assert (raw == ct) is not compressed
    assert client.get(f"{path}/dicom/compressed-size").text == str(len(raw))
    assert client.get(f"{path}/dicom/compressed-md5").text == hashlib.md5(raw).hexdigest()
    info = client.get(f"{path}/dicom/info").json()
    assert (info["UncompressedMD5"], info["CompressedSize"]) == (md5, len(raw))
    assert "data" in client.get(f"{path}/dicom").json()
    for name in ("", "/data", "/size", "/info"):
        assert client.get(f"{path}/dicom{name}").headers["etag"] == f'"0-{md5}"'
    verified = client.post(f"{path}/dicom/verify-md5")
    assert (verified.status_code, verified.json()) == (200, {})


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_file_is_sent_in_pieces(make_client: MakeClient, ct: bytes, compressed: bool) -> None:
    client = make_client(storage_compression=compressed)
    padding = random.Random(1).randbytes(10 * 1024 * 1024)
    large = ct + b"\xfc\xff\xfc\xff" + b"OB\0\0" + len(padding).to_bytes(4, "little") + padding
    path = upload(client, large)
    assert client.get(f"{path}/file").content == large
    data = f"{path}/attachments/dicom/data"
    assert client.get(data, headers={"Range": "bytes=5-9000000"}).content == large[5:9000001]
    raw = client.get(f"{path}/attachments/dicom/compressed-data").content
    assert hashlib.md5(raw).hexdigest() == client.get(f"{path}/attachments/dicom/compressed-md5").text


def test_attachments_that_are_not_there(client: Client, path: str) -> None:
    for name, code in (("nonsense", 7), ("99999", 7), ("dicom-as-json", 17), ("1024", 17)):
        for suffix in ("", "/data", "/size"):
            answer = client.get(f"{path}/attachments/{name}{suffix}")
            assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, code)
    assert client.get(f"/studies/{CT_STUDY}/attachments").json() == []
    assert client.get("/instances/nope/attachments").json()["OrthancStatus"] == 17
    assert client.get(f"{path}/attachments/dicom/nonsense").status_code == 404


def test_a_damaged_file_does_not_verify(client: Client, path: str) -> None:
    storage = client.app.context.settings.storage_directory
    uuid = client.get(path).json()["FileUuid"]
    file = next(iter(storage.rglob(uuid)))
    file.chmod(0o600)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert client.post(f"{path}/attachments/dicom/verify-md5").status_code == 400


def test_ranges(client: Client, path: str, ct: bytes) -> None:
    url = f"{path}/attachments/dicom/data"
    answer = client.get(url, headers={"Range": "bytes=128-131"})
    assert (answer.status_code, answer.content) == (206, b"DICM")
    assert answer.headers["content-range"] == f"bytes 128-131/{len(ct)}"
    assert client.get(url, headers={"Range": "bytes=-4"}).content == ct[-4:]
    assert client.get(url, headers={"Range": "bytes=39000-"}).content == ct[39000:]
    answer = client.get(url, headers={"Range": f"bytes={len(ct)}-"})
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (416, 41)
    assert client.get(url, headers={"Range": "lines=1-2"}).status_code == 200


@given(st.text(max_size=40), st.integers(0, 1000))
def test_any_range_is_in_bounds(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            found = requested_range(text, size)
        except CodedError:
            continue  # behind the end
        assert found is None or 0 <= found[0] < found[1] <= size


def test_what_is_known_already_is_not_sent(client: Client, path: str) -> None:
    for name in ("attachments/dicom/data", "metadata/Origin"):
        tag = client.get(f"{path}/{name}").headers["etag"]
        answer = client.get(f"{path}/{name}", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert client.get(f"{path}/{name}", headers={"If-None-Match": '"7-00"'}).status_code == 200
        assert client.get(f"{path}/{name}", headers={"If-None-Match": "x, W/" + tag}).status_code == 304
        assert client.get(f"{path}/{name}", headers={"If-None-Match": "*"}).status_code == 304
        assert client.get(f"{path}/{name}", headers={"If-None-Match": "x"}).status_code == 200


def test_metadata(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(user_metadata={"my-own": 1024})
    path = upload(client, ct)
    names = client.get(f"{path}/metadata").json()
    assert names[:4] == ["IndexInSeries", "ReceptionDate", "RemoteAET", "Origin"]
    expanded = client.get(f"{path}/metadata?expand").json()
    assert set(expanded) == set(names)
    assert expanded["TransferSyntax"] == "1.2.840.10008.1.2.1"
    assert client.get(f"{path}/metadata?numeric").json()[0] == "1"
    assert client.get(f"{path}/metadata/Origin").text == "RestApi"
    assert client.get(f"{path}/metadata/8").text == "RestApi"
    assert client.get(f"/series/{CT_SERIES}/metadata/LastUpdate").text.startswith("20")
    for name in ("my-own", "1024", "ModifiedFrom", "65535"):
        answer = client.get(f"{path}/metadata/{name}")
        assert (answer.status_code, answer.content) == (404, b"")
    assert client.get(f"{path}/metadata/nonsense").json()["OrthancStatus"] == 7
    assert client.get("/instances/nope/metadata").json()["OrthancStatus"] == 17


def test_labels(client: Client, path: str) -> None:
    assert client.get(f"{path}/labels").json() == []
    assert client.get(f"{path}/labels/urgent").status_code == 404


def test_floating_point_pixel_data(client: Client) -> None:
    values = bytes(range(256)) * 4
    content = part10(body({0x7FE00008: ("OF", values), 0xFFFCFFFC: ("OB", bytes(8))}))
    path = upload(client, content)
    assert client.get(f"{path}/content/7fe0-0008").json() == ["0"]
    assert client.get(f"{path}/content/7fe0-0008/0").content == values
    assert client.get(f"{path}/content").json()[-1] == "fffc-fffc"
    assert client.get(f"{path}/tags?short").json()["0010,0020"] == "P1"


def test_content_of_a_deflated_file(client: Client) -> None:
    path = upload(client, read("image_dfl.dcm"))
    assert "7fe0-0010" in client.get(f"{path}/content").json()
    assert client.get(f"{path}/tags").json()["7fe0,0010"]["Name"] == "PixelData"


def test_an_instance_that_came_compressed(client: Client, ct: bytes) -> None:
    answer: Any = client.post(
        "/instances", content=gzip.compress(ct), headers={"Content-Encoding": "gzip"}
    ).json()
    assert answer["ID"] == CT_INSTANCE
