"""Instances of a study, a series and alone, as Weasis, dicomweb-client and browsers ask for them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.data.real import content_of
from tests.data.synthetic import series, study
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb.parts import instance_path, parts_of

from ithil.archive import retrieval
from ithil.archive.errors import FileMissing
from ithil.dicomweb import retrieve as skin

EXPLICIT, RLE, JPEG_BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
HTJ2K, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.70"

WEASIS = 'multipart/related;type="application/dicom";transfer-syntax=*'
DICOMWEB_CLIENT = 'multipart/related; type="application/dicom"'


def stored(client: Client, content: bytes) -> str:
    """The path of a file that is stored now."""
    assert client.post("/instances", content=content).status_code == 200
    return instance_path(content)


def syntax_of(content: bytes) -> str:
    return str(pydicom.dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID)


def get(client: Client, path: str, accept: str, **headers: str) -> Any:
    return client.get(path, headers={"Accept": accept, **headers})


def test_weasis_gets_the_file_as_it_is_stored(client: Client, mr: bytes) -> None:
    path = stored(client, mr)
    (part,) = parts_of(get(client, path, WEASIS))
    assert part.content == mr
    assert part.headers == {
        "Content-Type": f"application/dicom; transfer-syntax={RLE}",
        "Content-Length": str(len(mr)),
        "Content-Location": f"http://server{path}",
    }


@pytest.mark.parametrize("accept", [DICOMWEB_CLIENT, "*/*", "", "multipart/related", "application/dicom"])
def test_who_names_no_transfer_syntax_gets_explicit_little_endian(
    client: Client, mr: bytes, accept: str
) -> None:
    answer = get(client, stored(client, mr), accept)
    content = answer.content if accept == "application/dicom" else parts_of(answer)[0].content
    assert syntax_of(content) == EXPLICIT
    again, before = pydicom.dcmread(io.BytesIO(content)), pydicom.dcmread(io.BytesIO(mr))
    assert (again.pixel_array == before.pixel_array).all()


def test_what_is_stored_with_loss_stays_so(client: Client) -> None:
    content = content_of("pydicom/SC_rgb_jpeg_dcmtk.dcm")
    (part,) = parts_of(get(client, stored(client, content), DICOMWEB_CLIENT))
    assert part.content == content
    assert part.headers["Content-Type"].endswith(JPEG_BASELINE)


@pytest.mark.parametrize("syntax", [HTJ2K, JPEG_LOSSLESS, RLE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
def test_a_named_transfer_syntax_is_given(client: Client, ct: bytes, syntax: str) -> None:
    (part,) = parts_of(get(client, stored(client, ct), f"{DICOMWEB_CLIENT}; transfer-syntax={syntax}"))
    assert part.headers["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"
    assert syntax_of(part.content) == syntax


def test_a_file_without_pixels_says_what_it_is_really_in(client: Client, plan: bytes) -> None:
    (part,) = parts_of(get(client, stored(client, plan), f"{DICOMWEB_CLIENT}; transfer-syntax={HTJ2K}"))
    assert part.headers["Content-Type"].endswith(f"={syntax_of(part.content)}")
    assert syntax_of(part.content) == syntax_of(plan)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize(
    "accept",
    ["text/html", "image/jpeg", f"{DICOMWEB_CLIENT}; transfer-syntax=1.2.3",
     'multipart/related; type="application/octet-stream"', "application/zip; transfer-syntax=1.2.3"],
)  # fmt: skip
def test_what_nobody_can_give_is_refused_with_what_there_is(
    client: Client, ct: bytes, accept: str, level: str
) -> None:
    path = stored(client, ct)
    path = path if level == "instance" else path.partition("/instances")[0]
    path = path.partition("/series")[0] if level == "study" else path
    answer = get(client, path, accept)
    assert answer.status_code == 406
    available = answer.json()["ErrorPayload"]["Available"]
    assert available[0] == "application/dicom; transfer-syntax=*"
    assert "application/zip" in available


def test_pixels_that_do_not_fit_are_refused_and_not_offered(client: Client, ct: bytes) -> None:
    answer = get(client, stored(client, ct), f"{DICOMWEB_CLIENT}; transfer-syntax={JPEG_BASELINE}")
    assert answer.status_code == 406
    available = answer.json()["ErrorPayload"]["Available"]
    assert f"application/dicom; transfer-syntax={HTJ2K}" in available
    assert f"application/dicom; transfer-syntax={JPEG_BASELINE}" not in available


@pytest.mark.parametrize("level", ["series", "instance"])
def test_one_instance_comes_alone_for_who_asks_so(client: Client, ct: bytes, level: str) -> None:
    path = stored(client, ct)
    place = path if level == "instance" else path.partition("/instances")[0]
    answer = get(client, place, "application/dicom; transfer-syntax=*")
    assert answer.content == ct
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert answer.headers["content-location"] == f"http://server{path}"


def test_many_instances_come_in_parts_though_one_alone_was_wished(client: Client) -> None:
    made = list(series(3))
    paths = [stored(client, one.content) for one in made]
    parts = parts_of(get(client, paths[0].partition("/instances")[0], "application/dicom; transfer-syntax=*"))
    assert [part.content for part in parts] == [one.content for one in made]
    assert [part.headers["Content-Location"] for part in parts] == [f"http://server{path}" for path in paths]


def test_a_study_comes_whole_series_by_series(client: Client) -> None:
    made = list(study(2, 30))
    for one in reversed(made):
        stored(client, one.content)
    answer = get(client, f"/dicom-web/studies/{made[0].study_uid}", WEASIS)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert sorted(part.content for part in parts_of(answer)) == sorted(one.content for one in made)
    again = get(
        client, f"/dicom-web/studies/{made[0].study_uid}", WEASIS, **{"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_pages_of_the_index_follow_each_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_BATCH", 7)
    monkeypatch.setattr(retrieval, "_OF_STUDY", retrieval._of())
    made = list(study(3, 9))
    for one in made:
        stored(client, one.content)
    parts = parts_of(get(client, f"/dicom-web/studies/{made[0].study_uid}", WEASIS))
    assert [part.content for part in parts] == [one.content for one in made]


def test_of_many_what_cannot_be_transcoded_comes_as_it_is_stored(client: Client, ct: bytes) -> None:
    ds = pydicom.dcmread(io.BytesIO(ct))
    for number, syntax in enumerate((EXPLICIT, EXPLICIT)):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"2.25.10{number}"
        if number:
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
            ds.PixelData = bytes(128 * 128)
        buffer = io.BytesIO()
        ds.save_as(buffer)
        path = stored(client, buffer.getvalue())
        assert syntax_of(buffer.getvalue()) == syntax
    answer = get(
        client, path.partition("/instances")[0], f"{DICOMWEB_CLIENT}; transfer-syntax={JPEG_BASELINE}"
    )
    assert answer.status_code == 200
    said = [part.headers["Content-Type"].rpartition("=")[2] for part in parts_of(answer)]
    assert sorted(said) == sorted([EXPLICIT, JPEG_BASELINE])
    assert said == [syntax_of(part.content) for part in parts_of(answer)]


def test_a_large_file_is_read_while_it_is_sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "WHOLE_BYTES", 100)
    monkeypatch.setattr(skin, "LARGEST_AT_ONCE", 100)
    monkeypatch.setattr(skin, "_OUT_BYTES", 1000)
    made = list(series(2))
    path, _ = (stored(client, one.content) for one in made)
    parts = parts_of(get(client, path.partition("/instances")[0], WEASIS))
    assert [part.content for part in parts] == [one.content for one in made]
    whole = get(client, path, WEASIS)
    assert [part.content for part in parts_of(whole)] == [made[0].content]
    ranged = get(client, path, WEASIS, Range="bytes=150-5000")
    assert ranged.status_code == 206
    assert ranged.content == whole.content[150:5001]


def test_a_zip_file_has_the_files_of_the_study(client: Client) -> None:
    made = list(study(2, 2))
    paths = [stored(client, one.content) for one in made]
    for place, count in (
        (paths[0], 1), (paths[0].partition("/instances")[0], 2), (paths[0].partition("/series")[0], 4),
    ):  # fmt: skip
        answer = get(client, place, "application/zip")
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            contents = [archive.read(name) for name in archive.namelist()]
        assert len(contents) == count
        assert set(contents) <= {one.content for one in made}
    answer = get(client, paths[0], f"application/zip; transfer-syntax={RLE}")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert syntax_of(archive.read(archive.namelist()[0])) == RLE


def test_a_range_of_an_instance_can_be_had(client: Client, ct: bytes) -> None:
    path = stored(client, ct)
    alone = "application/dicom; transfer-syntax=*"
    answer = get(client, path, alone, Range="bytes=128-131")
    assert (answer.status_code, answer.content) == (206, b"DICM")
    assert answer.headers["content-range"] == f"bytes 128-131/{len(ct)}"
    tag = get(client, path, alone).headers["etag"]
    assert get(client, path, alone, **{"If-None-Match": tag}).status_code == 304
    assert get(client, path, WEASIS, **{"If-None-Match": tag}).status_code == 200
    assert client.request("HEAD", path, headers={"Accept": alone}).headers["content-length"] == str(len(ct))


def test_a_missing_file_makes_the_answer_a_partial_one(make_client: MakeClient) -> None:
    client = make_client(maximum_storage_cache_size=0)
    made = list(series(3))
    for one in made:
        stored(client, one.content)
    storage = client.app.context.archive.storage
    uuids = [uuid for uuid, _, _ in storage.all_files()]
    storage.remove(uuids[0])
    path = f"/dicom-web/studies/{made[0].study_uid}"
    for accept in (WEASIS, "application/zip"):
        answer = get(client, path, accept)
        assert answer.status_code == 206
        assert answer.headers["warning"] == '299 ithil "1 of 3 instances cannot be read"'
    assert len(parts_of(get(client, path, WEASIS))) == 2
    for uuid in uuids[1:]:
        Path(storage.path(uuid)).write_bytes(b"cut")
    assert get(client, path, WEASIS).status_code == 500


def test_what_is_deleted_meanwhile_cuts_the_answer_off(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(maximum_storage_cache_size=0)
    made = list(series(4, size=512))
    for one in made:
        stored(client, one.content)
    archive = client.app.context.archive
    items = retrieval.items
    walks = []

    def once_more(*arguments: Any) -> Any:
        walks.append(1)
        if len(walks) == 2:
            assert client.delete(f"/instances/{client.get('/instances').json()[1]}").status_code == 200
        return items(*arguments)

    monkeypatch.setattr(retrieval, "items", once_more)
    whole = sum(len(one.content) for one in made)
    seen = retrieval.overview(archive, retrieval.items(archive, made[0].study_uid), lambda item: 1)
    contents = retrieval.contents(
        archive, retrieval.items(archive, made[0].study_uid), seen, lambda item: item.transfer_syntax, 1
    )
    with pytest.raises(FileMissing):
        assert sum(content.size for content in contents) < whole


def test_what_comes_meanwhile_is_not_in_the_answer(make_client: MakeClient) -> None:
    client = make_client()
    made = list(series(4))
    for one in made[1:]:
        stored(client, one.content)
    archive, uid = client.app.context.archive, made[0].study_uid
    seen = retrieval.overview(archive, retrieval.items(archive, uid), lambda item: 1)
    stored(client, made[0].content)  # by its Instance Number the first
    found = retrieval.contents(
        archive, retrieval.items(archive, uid), seen, lambda item: item.transfer_syntax, 1
    )
    assert [content.whole for content in found] == [one.content for one in made[1:]]


@pytest.mark.parametrize("path", ["/studies/1", "/studies/1/series/2", "/studies/1/series/2/instances/3"])
def test_what_is_unknown_is_not_found(client: Client, path: str) -> None:
    answer = client.get(f"/dicom-web{path}")
    assert answer.status_code == 404
    assert answer.json()["Details"].startswith("There is no such")


def test_a_study_of_two_patients_is_found_whole(client: Client, ct: bytes) -> None:
    path = stored(client, ct).partition("/series")[0]
    ds = pydicom.dcmread(io.BytesIO(ct))
    ds.PatientID = "another"
    buffer = io.BytesIO()
    ds.save_as(buffer)
    stored(client, buffer.getvalue())
    assert len(parts_of(get(client, path, WEASIS))) == 2
