"""WADO-RS metadata as viewers ask for it: JSON and XML, compressed and plain, links, entity tags, refusals."""

from __future__ import annotations

import gzip
import io
import threading
import time
from typing import Any
from xml.etree import ElementTree

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.unit.application import CT_STUDY, Client, MakeClient
from tests.unit.dicomweb.parts import ROOT, instance_path, parts_of

from ithil.archive import resources, series_documents
from ithil.archive.archive import Archive
from ithil.archive.errors import StorageFull
from ithil.archive.index import series_documents as documents
from ithil.archive.model import DICOM_FILE
from ithil.dicom.level import Level
from ithil.dicomweb import metadata as metadata_module
from ithil.settings.dicomweb_options import DicomWeb

OHIF = 'multipart/related; type="application/octet-stream", application/dicom+json'
XML = 'multipart/related; type="application/dicom+xml"'
XMLNS = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def store(client: Client, *contents: bytes) -> None:
    for content in contents:
        assert client.post("/instances", content=content).status_code == 200


def again(content: bytes, series: int, number: int) -> bytes:
    """The same image as another one of the study."""
    data = pydicom.dcmread(io.BytesIO(content))
    data.SeriesInstanceUID = f"1.2.3.{series}"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{series}.{number}"
    data.InstanceNumber = number
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def metadata(client: Client, path: str, **headers: str) -> list[dict[str, Any]]:
    answer = client.get(f"{path}/metadata", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def levels(content: bytes) -> tuple[str, str, str]:
    """The paths of a file's study, series and instance."""
    instance = instance_path(content)
    series = instance.rpartition("/instances/")[0]
    return series.rpartition("/series/")[0], series, instance


def test_pydicom_reads_back_what_was_stored(client: Client, ct: bytes) -> None:
    store(client, ct)
    original = pydicom.dcmread(io.BytesIO(ct), stop_before_pixels=True)
    for path in levels(ct):
        (found,) = metadata(client, path)
        read = Dataset.from_json(found, bulk_data_uri_handler=lambda uri: client.get(uri).content)
        for element in original:
            if element.VR not in ("SQ",):
                assert read[element.tag].value == element.value or element.tag == 0x00080005, element
        assert read.PixelData == pydicom.dcmread(io.BytesIO(ct)).PixelData


def test_a_study_has_the_instances_of_all_its_series(client: Client, ct: bytes) -> None:
    store(client, *(again(ct, series, number) for series in (1, 2) for number in (1, 2, 3)))
    study = levels(ct)[0]
    assert [one["00080018"]["Value"][0] for one in metadata(client, study)] == [
        f"1.2.3.{series}.{number}" for series in (1, 2) for number in (1, 2, 3)
    ]
    assert len(metadata(client, f"{study}/series/1.2.3.1")) == 3


def test_compressed_where_the_client_takes_it(client: Client, ct: bytes) -> None:
    store(client, *(again(ct, series, 1) for series in (1, 2)))
    for path in (levels(ct)[0], f"{levels(ct)[0]}/series/1.2.3.1"):
        plain = client.get(f"{path}/metadata", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        for accepted in ("gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5"):
            small = client.get(f"{path}/metadata", headers={"Accept-Encoding": accepted})
            assert small.headers["content-encoding"] == "gzip"
            assert int(small.headers["content-length"]) < len(plain.content) / 3
            assert small.content == plain.content
            assert small.headers["etag"] == plain.headers["etag"]
            assert "Accept-Encoding" in small.headers["vary"]
        for refused in ("gzip;q=0", "gzip; q=0.0, identity", "br"):
            answer = client.get(f"{path}/metadata", headers={"Accept-Encoding": refused})
            assert "content-encoding" not in answer.headers


def test_the_whole_is_one_gzip_member(client: Client, ct: bytes) -> None:
    """Chromium ignores all that follows the first."""
    store(client, *(again(ct, series, 1) for series in (1, 2)))
    answer = client.get(f"{levels(ct)[0]}/metadata", headers={"Accept-Encoding": "gzip"})
    assert len(answer.json()) == 2  # httpx stops at the end of the first member, too


def test_large_answers_are_streamed(client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from ithil.archive import series_documents
    from ithil.dicomweb import metadata as skin

    monkeypatch.setattr(skin, "LARGEST_AT_ONCE", 1000)
    monkeypatch.setattr(skin, "LARGEST_HELD", 1000)
    monkeypatch.setattr(series_documents, "PIECE", 20_000)
    store(client, *(again(ct, series, number) for series in (1, 2) for number in range(5)))
    study = levels(ct)[0]
    for accepted in ("gzip", "identity"):
        for path, count in ((study, 10), (f"{study}/series/1.2.3.2", 5)):
            assert len(metadata(client, path, **{"accept-encoding": accepted})) == count


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("*/*", "application/dicom+json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/dicom+json"),
        (OHIF, "application/dicom+json"),
        ('multipart/related; type="application/dicom+json"', "application/dicom+json"),
    ],
)
def test_the_accept_headers_of_viewers(client: Client, ct: bytes, accept: str, media_type: str) -> None:
    store(client, ct)
    for path in levels(ct):
        answer = client.get(f"{path}/metadata", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert len(answer.json()) == 1


@pytest.mark.parametrize(
    "accept", ["application/octet-stream", "image/jpeg", 'multipart/related; type="a/b"']
)
def test_what_there_is_not_is_refused_with_what_there_is(client: Client, ct: bytes, accept: str) -> None:
    store(client, ct)
    for path in levels(ct):
        answer = client.get(f"{path}/metadata", headers={"Accept": accept})
        assert answer.status_code == 406
        assert "application/dicom+json" in answer.json()["ErrorPayload"]["Available"]


def test_the_query_may_say_what_the_header_would(client: Client, ct: bytes) -> None:
    store(client, ct)
    answer = client.get(f"{levels(ct)[1]}/metadata?accept=application/json", headers={"Accept": "image/png"})
    assert answer.headers["content-type"] == "application/json"


def test_xml_has_a_part_for_each_instance(client: Client, ct: bytes) -> None:
    store(client, again(ct, 1, 1), again(ct, 1, 2))
    study = levels(ct)[0]
    for path, count in (
        (study, 2),
        (f"{study}/series/1.2.3.1", 2),
        (f"{study}/series/1.2.3.1/instances/1.2.3.1.2", 1),
    ):
        parts = parts_of(client.get(f"{path}/metadata", headers={"Accept": XML}))
        assert [part.headers["Content-Type"] for part in parts] == ["application/dicom+xml"] * count
        root = ElementTree.fromstring(parts[-1].content)
        uid = root.find(f"{XMLNS}DicomAttribute[@tag='00080018']/{XMLNS}Value")
        assert uid is not None
        assert uid.text == "1.2.3.1.2"
        pixels = root.find(f"{XMLNS}DicomAttribute[@tag='7FE00010']/{XMLNS}BulkData")
        assert pixels is not None
        assert len(client.get(pixels.get("uri") or "").content) == 32768


def test_links_are_those_of_the_proxy(client: Client, ct: bytes) -> None:
    store(client, ct)
    proxy = {"x-forwarded-proto": "https", "x-forwarded-host": "pacs.example.org", "x-forwarded-prefix": "/a"}
    for path in levels(ct):
        for headers, start in (
            ({}, "http://server/dicom-web/"),
            (proxy, "https://pacs.example.org/a/dicom-web/"),
            ({"forwarded": "proto=https;host=other"}, "https://other/dicom-web/"),
        ):
            (found,) = metadata(client, path, **headers)
            assert found["7FE00010"]["BulkDataURI"].startswith(start + "studies/")


def test_a_client_that_has_it_already_gets_304(client: Client, ct: bytes) -> None:
    store(client, again(ct, 1, 1))
    study = levels(ct)[0]
    for path in (study, f"{study}/series/1.2.3.1", f"{study}/series/1.2.3.1/instances/1.2.3.1.1"):
        tag = client.get(f"{path}/metadata").headers["etag"]
        assert client.get(f"{path}/metadata", headers={"If-None-Match": tag}).status_code == 304
        xml = client.get(f"{path}/metadata", headers={"If-None-Match": tag, "Accept": XML})
        assert xml.status_code == 200
    tag = client.get(f"{study}/metadata").headers["etag"]
    store(client, again(ct, 1, 2))
    answer = client.get(f"{study}/metadata", headers={"If-None-Match": tag})
    assert (answer.status_code, len(answer.json())) == (200, 2)


def test_head_tells_without_sending(client: Client, ct: bytes) -> None:
    store(client, ct)
    for path in levels(ct):
        headers = {"Accept-Encoding": "identity"}
        full, head = (
            client.request(method, f"{path}/metadata", headers=headers) for method in ("GET", "HEAD")
        )
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(full.content))
        assert head.headers["etag"] == full.headers["etag"]


def test_what_is_unknown(client: Client, ct: bytes) -> None:
    store(client, ct)
    study, series, _ = levels(ct)
    for path in (f"{ROOT}/studies/1.2", f"{study}/series/1.2", f"{series}/instances/1.2"):
        for accept in ("application/dicom+json", XML):
            assert client.get(f"{path}/metadata", headers={"Accept": accept}).status_code == 404


def test_a_lost_file_is_told_in_a_warning(client: Client, ct: bytes) -> None:
    store(client, again(ct, 1, 1), again(ct, 1, 2))
    archive = client.app.context.archive
    for one in resources.read_many(archive, Level.INSTANCE, resources.list_ids(archive, Level.INSTANCE))[:1]:
        archive.storage.remove(one.attachments[DICOM_FILE].uuid)
        archive.cache.drop(one.attachments[DICOM_FILE].uuid)
    study = levels(ct)[0]
    for path in (study, f"{study}/series/1.2.3.1"):
        answer = client.get(f"{path}/metadata")
        assert (answer.status_code, len(answer.json())) == (200, 1)
        assert answer.headers["warning"].startswith("299 - ")
    answer = client.get(f"{study}/series/1.2.3.1/instances/1.2.3.1.1/metadata")
    assert answer.status_code in (404, 500)


@pytest.mark.parametrize("mode", ["MainDicomTags", "Extrapolate"])
def test_reduced_modes_are_full_all_the_same(make_client: MakeClient, ct: bytes, mode: str) -> None:
    client = make_client(dicom_web=DicomWeb(studies_metadata=mode, series_metadata=mode))
    store(client, ct)
    study, series, instance = levels(ct)
    assert metadata(client, study) == metadata(client, series) == metadata(client, instance)
    assert "00281050" in metadata(client, study)[0] or len(metadata(client, study)[0]) > 100


@pytest.mark.parametrize("mode", ["BulkDataURI", "InlineBinary", "ArrayOfValues"])
def test_pixels_of_floating_point_numbers_have_a_link(make_client: MakeClient, ct: bytes, mode: str) -> None:
    client = make_client(dicom_web=DicomWeb(other_binary_mode=mode))
    data = pydicom.dcmread(io.BytesIO(ct))
    del data.PixelData
    data.FloatPixelData = b"\0\0\x80\x3f" * (128 * 128)
    file = io.BytesIO()
    data.save_as(file)
    store(client, file.getvalue())
    for path in levels(ct):
        (found,) = metadata(client, path)
        assert set(found["7FE00008"]) == {"vr", "BulkDataURI"}
        assert client.get(found["7FE00008"]["BulkDataURI"]).content == data.FloatPixelData
    parts = parts_of(client.get(f"{levels(ct)[2]}/metadata", headers={"Accept": XML}))
    assert b'<BulkData uri="' in parts[0].content.partition(b'tag="7FE00008"')[2]


def test_small_binary_values_stand_in_the_document(make_client: MakeClient, ct: bytes) -> None:
    default = make_client()
    store(default, ct)
    (found,) = metadata(default, levels(ct)[2])
    assert "BulkDataURI" in found["00431029"]  # 2,068 bytes of OB
    inline = make_client(dicom_web=DicomWeb(other_binary_mode="InlineBinary"))
    store(inline, ct)
    assert "InlineBinary" in metadata(inline, levels(ct)[2])[0]["00431029"]
    arrays = make_client(dicom_web=DicomWeb(other_binary_mode="ArrayOfValues"))
    store(arrays, ct)
    assert len(metadata(arrays, levels(ct)[2])[0]["00431029"]["Value"]) == 2068


def test_the_cache_of_answers_keeps_compressed_and_plain_apart(client: Client, ct: bytes) -> None:
    store(client, ct)
    path = f"{levels(ct)[1]}/metadata".encode()

    def quick(*headers: tuple[bytes, bytes]) -> tuple[bytes, Any] | None:
        return client.app.quick_answer(path, {b"host": b"server", **dict(headers)}, ("127.0.0.1", 1))

    client.get(path.decode())  # builds the document, which changes the index
    settle(client.app.context.archive)
    for accepted in ("gzip", "identity"):
        client.get(path.decode(), headers={"Accept": "*/*", "Accept-Encoding": accepted})
    kept = quick((b"accept", b"*/*"), (b"accept-encoding", b"gzip"))
    plain = quick((b"accept", b"*/*"), (b"accept-encoding", b"identity"))
    assert kept is not None
    assert plain is not None
    assert gzip.decompress(b"".join(kept[1])) == b"".join(plain[1])


def test_documents_can_be_built_ahead(client: Client, make_client: MakeClient, ct: bytes) -> None:
    store(client, ct)
    answer = client.post(f"/studies/{CT_STUDY}/update-dicomweb-cache")
    assert (answer.status_code, answer.json()) == (200, {})
    assert client.post("/studies/unknown/update-dicomweb-cache").status_code == 404
    without = make_client(dicom_web=DicomWeb(enable_metadata_cache=False))
    store(without, ct)
    assert without.post(f"/studies/{CT_STUDY}/update-dicomweb-cache").status_code == 400
    assert len(metadata(without, levels(ct)[0])) == 1


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize(
    ("largest", "held"), [(4_000_000, 16_000_000), (100, 16_000_000), (100, 1)], ids=["once", "held", "again"]
)
@pytest.mark.parametrize("accepted", ["identity", "gzip"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_first_answer_is_that_of_all_others(
    client: Client,
    ct: bytes,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    accepted: str,
    largest: int,
    held: int,
    failing: bool,
) -> None:
    """Whoever asks first is answered before the documents are kept, or when they cannot be."""
    monkeypatch.setattr(metadata_module, "LARGEST_AT_ONCE", largest)
    monkeypatch.setattr(metadata_module, "LARGEST_HELD", held)
    monkeypatch.setattr(series_documents, "PIECE", 1)
    store(client, again(ct, 1, 1), again(ct, 1, 2), again(ct, 2, 1))
    archive = client.app.context.archive
    opened, write = threading.Event(), documents.put

    def put(*arguments: Any) -> None:
        if failing:
            raise StorageFull("The disk of the index is full")
        assert opened.wait(20)
        write(*arguments)

    asked = {"Accept-Encoding": accepted}
    with monkeypatch.context() as broken:
        broken.setattr(documents, "put", put)
        first = client.request(method, f"{levels(ct)[0]}/metadata", headers=asked)
        assert are_kept(archive) == [False, False]  # and yet the answer is there
        opened.set()
        settle(archive)
    assert are_kept(archive) == [not failing] * 2
    for _ in range(2):
        later = client.request("GET", f"{levels(ct)[0]}/metadata", headers=asked)
        assert len(later.json()) == 3
        assert first.content == (later.content if method == "GET" else b"")
        settle(archive)
    if held > 1:
        assert first.headers == later.headers


def are_kept(archive: Archive) -> list[bool]:
    """Of each series, whether its document is in the index."""
    ids = resources.list_ids(archive, Level.SERIES)
    found = [series_documents.series_of(archive, Level.SERIES, public_id)[0] for public_id in ids]
    with archive.index.read() as session:
        return [documents.exists(session, one.id, series_documents.version_of(archive, one)) for one in found]


def settle(archive: Archive) -> None:
    """Wait until nothing waits to be kept."""
    end = time.monotonic() + 20
    while archive.keeper.unfinished:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_study_that_was_never_asked_for_is_held_as_any_other(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text is not what counts: as documents are compressed they are smaller by far."""
    monkeypatch.setattr(metadata_module, "LARGEST_AT_ONCE", 1000)
    store(client, *(again(ct, series, number) for series in range(3) for number in range(3)))
    archive, path = client.app.context.archive, f"{levels(ct)[0]}/metadata"
    got: list[object] = []
    get = series_documents.get

    def counted(*arguments: Any) -> object:
        got.append(1)
        return get(*arguments)

    monkeypatch.setattr(series_documents, "get", counted)
    monkeypatch.setattr(metadata_module, "LARGEST_HELD", 30_000)
    cold = client.get(path, headers={"Accept-Encoding": "identity"})
    assert len(cold.content) > 30_000
    assert cold.headers["content-length"] == str(len(cold.content))
    assert len(got) == 3
    settle(archive)
    assert client.get(path, headers={"Accept-Encoding": "identity"}).content == cold.content
