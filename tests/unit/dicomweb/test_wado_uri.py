"""WADO-URI (PS3.18 9)."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb.images import PDF, SERIES, document, image, ramp, shown, store

UIDS = f"studyUID=1.2.3&seriesUID={SERIES}&objectUID=1.2.3.4.5"
WADO = f"/wado?requestType=WADO&{UIDS}"


@pytest.fixture
def stored(client: Client) -> Client:
    """A server with one image."""
    store(client, image(ramp(), PatientName="DOE^JANE"))
    return client


def test_a_picture_without_more(stored: Client) -> None:
    answer = stored.get(WADO)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert shown(answer.content).shape == (32, 64)


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("image/png", "image/png"),
        ("image/gif", "image/gif"),
        ("image/jp2,image/png", "image/png"),
        ("image/png;q=0.2,image/jpeg", "image/jpeg"),
        ("application%2Fdicom", "application/dicom"),
        ("*/*", "image/jpeg"),
    ],
)
def test_content_types(stored: Client, content_type: str, media_type: str) -> None:
    answer = stored.get(f"{WADO}&contentType={content_type}")
    assert answer.headers["content-type"] == media_type


def test_the_file_is_the_one_that_is_stored(stored: Client) -> None:
    answer = stored.get(f"{WADO}&contentType=application/dicom")
    assert answer.content == image(ramp(), PatientName="DOE^JANE")
    part = stored.get(f"{WADO}&contentType=application/dicom", headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    assert stored.get(f"{WADO}&contentType=application/dicom&transferSyntax=*").content == answer.content
    same = {"If-None-Match": answer.headers["etag"]}
    assert stored.get(f"{WADO}&contentType=application/dicom", headers=same).status_code == 304


def test_another_transfer_syntax(stored: Client) -> None:
    syntax = "1.2.840.10008.1.2.4.70"
    answer = stored.get(f"{WADO}&contentType=application/dicom&transferSyntax={syntax}")
    assert pydicom.dcmread(io.BytesIO(answer.content)).file_meta.TransferSyntaxUID == syntax
    for wrong, status in (("1.2.3", 400), ("1.2.840.10008.1.2.4.102", 406)):
        query = f"&contentType=application/dicom&transferSyntax={wrong}"
        assert stored.get(WADO + query).status_code == status


def test_without_a_content_type_the_header_counts(stored: Client) -> None:
    assert stored.get(WADO, headers={"Accept": "image/png"}).headers["content-type"] == "image/png"
    assert stored.get(WADO, headers={"Accept": "text/html"}).headers["content-type"] == "image/jpeg"


def test_one_uid_is_enough_but_all_must_be_right(stored: Client) -> None:
    one = "/wado?requestType=WADO&objectUID=1.2.3.4.5"
    assert stored.get(one).status_code == 200
    assert stored.get(f"{one}&studyUID=1.2.3").status_code == 200
    assert stored.get(f"{one}&studyUID=9").status_code == 404
    assert stored.get(f"{one}&studyUID=1.2.3&seriesUID=9").status_code == 404
    assert stored.get("/wado?requestType=WADO&objectUID=9").status_code == 404


@pytest.mark.parametrize(
    "query", ["", "requestType=WADO", f"requestType=Other&{UIDS}", UIDS, f"requestType=wado&{UIDS}"]
)
def test_what_is_no_request(stored: Client, query: str) -> None:
    answer = stored.get(f"/wado?{query}")
    assert answer.status_code == 400
    assert "argument" in answer.json()["Details"]


def test_sizes_and_regions(stored: Client) -> None:
    for query, shape in (
        ("rows=16", (16, 32)),
        ("columns=16", (8, 16)),
        ("rows=100&columns=32", (16, 32)),
        ("region=0.5,0,1,0.5", (16, 32)),
        ("region=0,0,0.25,1&rows=16", (16, 8)),
    ):
        assert shown(stored.get(f"{WADO}&{query}").content).shape == shape
    part = stored.get(f"{WADO}&region=0.5,0,1,0.5&contentType=image/png")
    assert np.array_equal(shown(part.content), ramp()[:16, 32:])


def test_a_window(stored: Client) -> None:
    answer = stored.get(f"{WADO}&windowCenter=100&windowWidth=1&contentType=image/png")
    assert np.array_equal(shown(answer.content) > 0, ramp() >= 100)


def test_frames(client: Client) -> None:
    frames = np.stack([ramp() // (number + 1) for number in range(3)])
    store(client, image(frames))
    for number in (1, 3):
        answer = client.get(f"{WADO}&frameNumber={number}&contentType=image/png")
        assert np.array_equal(shown(answer.content), frames[number - 1])
    moving = Image.open(io.BytesIO(client.get(f"{WADO}&contentType=image/gif").content))
    assert getattr(moving, "n_frames", 0) == 3
    refused = client.get(f"{WADO}&frameNumber=4")
    assert refused.status_code == 400
    assert "3" in refused.json()["Details"]


@pytest.mark.parametrize(
    "query",
    [
        *("frameNumber=0", "frameNumber=x", "frameNumber=2", "rows=0", "rows=x", "columns=99999"),
        *("region=0,0,1", "region=0,0,2,1", "region=0.5,0,0.5,1", "region=a,b,c,d", "region="),
        *("windowCenter=1", "windowWidth=1", "windowCenter=x&windowWidth=1", "imageQuality=0"),
        *(
            "imageQuality=101",
            "anonymize=maybe",
            "windowCenter=nan&windowWidth=1",
            "windowCenter=1&windowWidth=0",
        ),
    ],
)
def test_arguments_that_make_no_sense(stored: Client, query: str) -> None:
    answer = stored.get(f"{WADO}&{query}")
    assert answer.status_code == 400
    assert answer.json()["Details"]


def test_a_type_that_there_is_not(stored: Client) -> None:
    answer = stored.get(f"{WADO}&contentType=text/html")
    assert answer.status_code == 406
    assert "image/jpeg" in answer.json()["Details"]


def test_a_document_and_a_plan(client: Client, plan: bytes) -> None:
    store(client, document(PDF, b"%PDF-1.4", "application/pdf", "1.2.3.4.5"), plan)
    answer = client.get(WADO)
    assert (answer.headers["content-type"], answer.content) == ("application/pdf", b"%PDF-1.4")
    uid = pydicom.dcmread(io.BytesIO(plan)).SOPInstanceUID
    answer = client.get(f"/wado?requestType=WADO&objectUID={uid}")
    assert (answer.headers["content-type"], answer.content) == ("application/dicom", plan)


def anonymised(client: Client, query: str = "") -> pydicom.Dataset:
    answer = client.get(f"{WADO}&contentType=application/dicom&anonymize=yes{query}")
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(io.BytesIO(answer.content))


def test_anonymised_files_belong_together(stored: Client) -> None:
    first = anonymised(stored)
    assert (first.PatientName, first.PatientIdentityRemoved) == ("Anonymized", "YES")
    assert first.SOPInstanceUID != "1.2.3.4.5"
    assert first.PixelData == ramp().tobytes()
    again = anonymised(stored, "&transferSyntax=1.2.840.10008.1.2.4.70")
    assert (again.StudyInstanceUID, again.SOPInstanceUID) == (first.StudyInstanceUID, first.SOPInstanceUID)
    assert stored.get("/statistics").json()["CountInstances"] == 1


def test_pixels_that_tell_who_it_is_are_not_given_away(client: Client) -> None:
    store(client, image(ramp(), BurnedInAnnotation="YES"))
    for kind in ("application/dicom", "image/jpeg"):
        assert client.get(f"{WADO}&contentType={kind}&anonymize=yes").status_code == 403
    assert client.get(WADO).status_code == 200


def test_its_place_and_its_switch(make_client: MakeClient) -> None:
    from ithil.settings.dicomweb_options import DicomWeb

    moved = make_client(dicom_web=DicomWeb(wado_root="/my/wado/"))
    store(moved, image(ramp()))
    assert moved.get(WADO.replace("/wado", "/my/wado", 1)).status_code == 200
    assert moved.get(WADO).status_code == 404
    off = make_client(dicom_web=DicomWeb(enable_wado=False))
    store(off, image(ramp()))
    assert off.get(WADO).status_code == 404
    assert off.get("/dicom-web/studies/1.2.3/rendered").status_code == 200
