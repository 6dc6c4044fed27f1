"""A program written with dicomweb-client, which 3D Slicer and others use: search, metadata, files and frames."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from tests.data import synthetic
from tests.data.real import content_of
from tests.servers.ithil import Ithil

EXPLICIT, RLE, JPEG_BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"

CT, MR, CINE = (
    content_of(f"pydicom/{name}.dcm") for name in ("CT_small", "MR_small_RLE", "examples_ybr_color")
)


@pytest.fixture
def client(ithil: Ithil) -> DICOMwebClient:
    for content in (CT, MR, CINE, *(one.content for one in synthetic.study(2, 3, size=16))):
        assert ithil.upload(content).status == 200
    place = f"127.0.0.1:{ithil.http_port}"
    # The client leaves the port out of `Host`, so links lack it unless a proxy, or this, tells better.
    return DICOMwebClient(
        f"http://{place}/dicom-web", headers={"X-Forwarded-Host": place}, chunk_size=100_000
    )


def names(content: bytes) -> tuple[str, str, str]:
    ds = pydicom.dcmread(io.BytesIO(content))
    return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID


def test_searches_at_all_levels(client: DICOMwebClient) -> None:
    study, series, instance = names(CT)
    assert len(client.search_for_studies()) == 4
    assert len(client.search_for_studies(limit=2, offset=1)) == 2
    (found,) = client.search_for_studies(
        search_filters={"PatientID": "1CT1"}, fields=["00081030", "StudyDate"], get_remaining=True
    )
    assert found["0020000D"]["Value"] == [study]
    assert (
        len(client.search_for_studies(search_filters={"PatientName": "compressed*"}, fuzzymatching=True)) == 2
    )
    (found,) = client.search_for_series(study, search_filters={"Modality": "CT"})
    assert found["0020000E"]["Value"] == [series]
    (found,) = client.search_for_instances(study, series)
    assert found["00080018"]["Value"] == [instance]
    assert len(client.search_for_series()) == 5
    assert len(client.search_for_instances(get_remaining=True)) == 9
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_metadata_at_all_levels(client: DICOMwebClient) -> None:
    study, series, instance = names(CT)
    for found in (
        client.retrieve_study_metadata(study),
        client.retrieve_series_metadata(study, series),
        [client.retrieve_instance_metadata(study, series, instance)],
    ):
        ds = pydicom.Dataset.from_json(found[0], bulk_data_uri_handler=lambda tag, vr, uri: b"")
        assert (ds.SOPInstanceUID, ds.Rows, ds.Columns) == (instance, 128, 128)
    two = synthetic.instance(0, 0, 0, size=16)
    assert len(client.retrieve_study_metadata(two.study_uid)) == 6


def test_whole_studies_series_and_instances(client: DICOMwebClient) -> None:
    study, series, instance = names(CT)
    expected = pydicom.dcmread(io.BytesIO(CT))
    for found in (
        client.retrieve_study(study),
        client.retrieve_series(study, series),
        list(client.iter_series(study, series)),
        [client.retrieve_instance(study, series, instance)],
    ):
        (ds,) = found
        assert ds.PixelData == expected.PixelData
        assert ds.file_meta.TransferSyntaxUID == EXPLICIT
    two = synthetic.instance(0, 0, 0, size=16)
    assert len(client.retrieve_study(two.study_uid)) == 6
    assert len(list(client.iter_study(two.study_uid))) == 6


def test_compressed_instances_come_decoded_or_as_they_are(client: DICOMwebClient) -> None:
    place = names(MR)
    expected = pydicom.dcmread(io.BytesIO(MR)).pixel_array
    plain = client.retrieve_instance(*place, media_types=("application/dicom",))
    assert plain.file_meta.TransferSyntaxUID == EXPLICIT
    assert np.array_equal(plain.pixel_array, expected)
    stored = client.retrieve_instance(*place)  # "*" by default
    assert stored.file_meta.TransferSyntaxUID == RLE
    other = client.retrieve_instance(*place, media_types=(("application/dicom", JPEG_2000),))
    assert other.file_meta.TransferSyntaxUID == JPEG_2000
    lossy = client.retrieve_instance(*names(CINE), media_types=("application/dicom",))
    assert lossy.file_meta.TransferSyntaxUID == JPEG_BASELINE


def test_frames_of_every_media_type(client: DICOMwebClient) -> None:
    place = names(MR)
    pixels = pydicom.dcmread(io.BytesIO(MR)).pixel_array.astype("<i2").tobytes()
    for media_types in (
        None,
        ("application/octet-stream",),
        (("application/octet-stream", EXPLICIT),),
        ("*/*",),
    ):
        assert client.retrieve_instance_frames(*place, [1], media_types=media_types) == [pixels]
    assert list(client.iter_instance_frames(*place, [1])) == [pixels]
    (rle,) = client.retrieve_instance_frames(*place, [1], media_types=(("image/dicom-rle", RLE),))
    assert rle == pydicom.encaps.get_frame(pydicom.dcmread(io.BytesIO(MR)).PixelData, 0, number_of_frames=1)
    (jls,) = client.retrieve_instance_frames(*place, [1], media_types=(("image/jls", JPEG_LS),))
    assert jls.startswith(b"\xff\xd8\xff")
    listed = (("image/jpeg", JPEG_BASELINE), ("image/jls", JPEG_LS), "application/octet-stream")
    assert client.retrieve_instance_frames(*names(CT), [1], media_types=listed[1:]) == [
        bytes(pydicom.dcmread(io.BytesIO(CT)).PixelData)
    ]


def test_many_frames_of_a_cine_loop(client: DICOMwebClient) -> None:
    place = names(CINE)
    stored = [
        *pydicom.encaps.generate_frames(pydicom.dcmread(io.BytesIO(CINE)).PixelData, number_of_frames=30)
    ]
    jpeg = (("image/jpeg", JPEG_BASELINE),)
    found = client.retrieve_instance_frames(*place, [30, 1, 7], media_types=jpeg)
    assert found == [stored[29], stored[0], stored[6]]
    every = list(client.iter_instance_frames(*place, list(range(1, 31)), media_types=jpeg))
    assert every == stored


def test_pictures_and_bulk_data(client: DICOMwebClient) -> None:
    study, series, instance = names(CT)
    jpeg = ("image/jpeg",)
    assert client.retrieve_instance_rendered(study, series, instance, media_types=jpeg).startswith(
        b"\xff\xd8\xff"
    )
    assert client.retrieve_instance_frames_rendered(
        study, series, instance, [1], media_types=("image/png",)
    ).startswith(b"\x89PNG")
    metadata = client.retrieve_instance_metadata(study, series, instance)
    uri = metadata["7FE00010"]["BulkDataURI"]
    expected = bytes(pydicom.dcmread(io.BytesIO(CT)).PixelData)
    assert client.retrieve_bulkdata(uri) == [expected]
    assert list(client.iter_bulkdata(uri)) == [expected]


def test_what_is_stored_is_found_and_what_is_deleted_is_gone(ithil: Ithil) -> None:
    client = DICOMwebClient(f"http://127.0.0.1:{ithil.http_port}/dicom-web")
    client.store_instances([pydicom.dcmread(io.BytesIO(CT)), pydicom.dcmread(io.BytesIO(MR))])
    study, series, instance = names(CT)
    assert client.retrieve_instance(study, series, instance).PatientID == "1CT1"
    client.delete_study(study)
    assert client.search_for_studies(search_filters={"StudyInstanceUID": study}) == []
    client.delete_series(*names(MR)[:2])
    assert client.search_for_studies() == []
